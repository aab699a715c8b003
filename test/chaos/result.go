package chaos

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/test/chaos/report"
	"github.com/billbus/billbus/test/chaos/verdict"
)

// Result is what came of a run.
type Result struct {
	Seed     int64             `json:"seed"`
	Command  string            `json:"command"`
	Dir      string            `json:"dir,omitempty"`
	Faults   int               `json:"faults"`
	Missed   int               `json:"missed"` // faults of these that could not be brought about
	Sent     int               `json:"sent"`
	Accepted int               `json:"accepted"`
	Requests int64             `json:"requests"`
	Drain    float64           `json:"drain_seconds"` // after the heal
	Pauses   []report.Pause    `json:"pauses"`
	Findings []verdict.Finding `json:"findings"`
	// Figures say how much was judged.
	Figures map[string]float64 `json:"figures,omitempty"`
	// Failures are what kept the run from its end.
	Failures []string `json:"failures,omitempty"`
}

// Good reports whether nothing is wrong.
func (r Result) Good() bool { return len(r.Findings)+len(r.Failures) == 0 && r.Accepted > 0 }

func (r *run) result(dir string, failures []string) Result {
	result := Result{Seed: r.cfg.Seed, Command: r.cfg.Command(), Dir: dir, Faults: len(r.happened), Missed: r.missed, Findings: r.judged.Findings, Figures: r.judged.Figures, Failures: failures}
	if r.traffic == nil {
		return result
	}
	result.Sent, result.Accepted, result.Requests = int(r.traffic.sent.Load()), r.traffic.acceptances(), r.traffic.requests.Load()
	if !r.ended.IsZero() {
		result.Drain = (r.ended.Sub(r.healed) - idle).Seconds()
	}
	result.Pauses = r.pauses()
	if r.cfg.Report != "" {
		if err := r.write(r.cfg.Report, result); err != nil {
			result.Failures = append(result.Failures, err.Error())
		}
	}
	return result
}

// aftermath is how long after a fault a pause can begin that it causes.
const (
	aftermath = 15 * time.Second
	moment    = 500 * time.Millisecond
)

// pauses returns the longest pause of each fault of the stream or of a NATS server, until the
// next of them.
func (r *run) pauses() []report.Pause {
	causes := slices.DeleteFunc(slices.Clone(r.happened), func(f report.Fault) bool {
		return !isNode(f.Target) && !r.kind(Fault{Kind: f.Kind}).pauses
	})
	slices.SortFunc(causes, func(a, b report.Fault) int { return a.Begin.Compare(b.Begin) })
	var all []report.Pause
	for i, f := range causes {
		end := f.End.Add(aftermath)
		if i+1 < len(causes) && causes[i+1].Begin.Before(end) {
			end = causes[i+1].Begin
		}
		// The last answer before a fault is a moment older.
		begin, length := r.traffic.pause(f.Begin.Add(-moment), end.Add(-moment))
		all = append(all, report.Pause{What: Fault{Kind: f.Kind, Target: f.Target}.String(), Begin: begin, Length: length})
	}
	return all
}

func (r *run) write(path string, result Result) error {
	file, err := os.Create(filepath.Clean(path))
	if err != nil {
		return err
	}
	ended := r.ended
	if ended.IsZero() { // the run failed before
		ended = time.Now()
	}
	figures := map[string]float64{
		"faults": float64(result.Faults), "events sent": float64(result.Sent), "requests": float64(result.Requests), "seconds to drain": result.Drain,
	}
	maps.Copy(figures, result.Figures)
	return errors.Join(report.Write(file, report.Data{
		Seed: result.Seed, Command: result.Command, Began: r.began, Healed: r.healed, Ended: ended,
		Faults: r.happened, Points: r.watch.points, Findings: result.Findings, Failures: result.Failures, Pauses: result.Pauses, Versions: versions(),
		Figures: figures,
	}), file.Close())
}

// versions returns those of the parts that matter.
func versions() map[string]string {
	all := map[string]string{"Go": runtime.Version()}
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return all
	}
	for _, dep := range info.Deps {
		for _, part := range []string{"nats-server/v2", "FerretDB", "toxiproxy/v2"} {
			if strings.HasSuffix(dep.Path, "/"+part) {
				all[strings.TrimSuffix(part, "/v2")] = dep.Version
			}
		}
	}
	return all
}

// mostFindings is how many are printed for a person.
const mostFindings = 30

// Print prints the result, for a person or as a line of JSON.
func (r Result) Print(w io.Writer, asJSON bool) error {
	if asJSON { // without null for nothing
		r.Findings, r.Pauses = append([]verdict.Finding{}, r.Findings...), append([]report.Pause{}, r.Pauses...)
		return json.NewEncoder(w).Encode(r)
	}
	out := term.NewPrinter(w)
	for _, line := range r.lines() {
		if err := out.Text(line); err != nil {
			return err
		}
	}
	return nil
}

// judged says how much was judged: a run in which nothing happened is no good one.
func (r Result) judged() string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(r.Figures)) {
		all = append(all, fmt.Sprintf("%.0f %s", r.Figures[what], what))
	}
	return strings.Join(all, ", ")
}

func (r Result) lines() []string {
	lines := []string{fmt.Sprintf("%d faults (%d could not be brought about), %d events sent with %d requests, %d accepted; stored %.1f s after the last fault",
		r.Faults, r.Missed, r.Sent, r.Requests, r.Accepted, r.Drain)}
	longest := slices.SortedFunc(slices.Values(r.Pauses), func(a, b report.Pause) int { return int(b.Length - a.Length) })
	for _, p := range longest {
		lines = append(lines, fmt.Sprintf("no webhook was answered 200 for %5.2f s: %s", p.Length.Seconds(), p.What))
	}
	for _, f := range r.Findings[:min(len(r.Findings), mostFindings)] {
		lines = append(lines, fmt.Sprintf("%s: %s: %s", f.Rule, f.Subject, f.What))
	}
	if more := len(r.Findings) - mostFindings; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more, which --json lists", more))
	}
	lines = append(lines, r.Failures...)
	if r.Good() {
		return append(lines, "nothing is lost, and everything is right: "+r.judged())
	}
	return append(lines, "FAILED. Logs, data and history are in "+r.Dir+" ("+historyFile+"). Repeat it with", "  "+r.Command)
}
