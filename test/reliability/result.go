package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// result is the row of a scenario.
type result struct {
	Scenario string `json:"scenario"`
	Title    string `json:"title"`
	// Sent is the number of different events; Requests counts repetitions and retries, too.
	Sent     int `json:"sent"`
	Requests int `json:"requests"`
	Accepted int `json:"accepted"` // answered 200
	verdict
	BridgeMB     int   `json:"bridge_peak_mb"`
	SubscriberMB int   `json:"subscriber_peak_mb"`
	Redelivered  int   `json:"redelivered"`
	Bridge       lines `json:"bridge_lines"`
	Subscriber   lines `json:"subscriber_lines"`
	// Recovered is from the end of the fault until every event has been accepted and
	// nothing is pending; negative if that was not reached.
	Recovered float64 `json:"recovered_seconds"`
	Fault     float64 `json:"fault_seconds"`
	// Alerts are those that fired, with the seconds after the beginning of the fault. It is
	// null if Prometheus is not installed.
	Alerts   map[string]int `json:"alerts"`
	Failures []string       `json:"failures,omitempty"`
}

// good reports whether the programs kept their promises.
func (r result) good() bool {
	return len(r.Failures) == 0 && r.Recovered >= 0 && r.Audited >= r.Accepted-r.mayLose && r.Twice == 0 && r.Wrong == 0 && r.Sent > 0
}

func (r *result) observe(w *watch, prometheus bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.BridgeMB, r.SubscriberMB, r.Redelivered = w.bridgeKB/1000, w.subKB/1000, w.redelivered.total()
	if !prometheus {
		return
	}
	r.Alerts = map[string]int{}
	for name, after := range w.fired {
		r.Alerts[name] = int(after.Round(time.Second).Seconds())
	}
}

func (r result) alerts() string {
	if r.Alerts == nil {
		return "not measured: Prometheus is not installed"
	}
	names := slices.SortedFunc(maps.Keys(r.Alerts), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.Alerts[a], r.Alerts[b]), cmp.Compare(a, b))
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d s", strings.TrimPrefix(name, "Billbus"), r.Alerts[name])
	}
	return cmp.Or(strings.Join(names, ", "), "none")
}

func (r result) recovery() string {
	if r.Recovered < 0 {
		return "not within the run"
	}
	return fmt.Sprintf("%.0f s", r.Recovered)
}

func (r result) row() []string {
	cells := []string{fmt.Sprintf("%s (%.0f s)", r.Title, r.Fault)}
	for _, n := range []int{r.Sent, r.Accepted, r.Audited, r.Wrong} {
		cells = append(cells, fmt.Sprint(n))
	}
	cells = append(cells, fmt.Sprintf("%d / %d MB", r.BridgeMB, r.SubscriberMB), r.recovery(), fmt.Sprint(r.Redelivered),
		r.Bridge.String(), r.Subscriber.String(), r.alerts())
	if len(r.Failures) > 0 {
		cells[0] += ": failed: " + strings.Join(r.Failures, "; ")
	}
	return cells
}

var header = []string{
	"scenario (length of the fault)", "sent", "200", "audited", "wrong", "peak memory, bridge / subscriber", "recovered after", "redeliveries",
	"lines of the bridge", "lines of the subscriber", "alerts, seconds after the fault began",
}

// markdown returns a function that prints results as rows of a table.
func markdown(w io.Writer) func(result) error {
	begun := false
	show := func(cells []string) error {
		_, err := fmt.Fprintln(w, "| "+strings.Join(cells, " | ")+" |")
		return err
	}
	return func(r result) error {
		if !begun {
			begun = true
			err := cmp.Or(show(header), show(slices.Repeat([]string{"---"}, len(header))))
			if err != nil {
				return err
			}
		}
		return show(r.row())
	}
}

func jsonLines(w io.Writer) func(result) error {
	encoder := json.NewEncoder(w)
	return func(r result) error { return encoder.Encode(r) }
}
