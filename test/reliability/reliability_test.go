package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/deploy"
	"github.com/billbus/billbus/test/kit/servers"
)

func TestMain(m *testing.M) {
	if served, err := servers.Serve(); served {
		exit(err)
	}
	os.Exit(kit.RunWithBinaries(&binaries, m.Run, deploy.Packages()...))
}

// One scenario from beginning to end. It must store everything, and say so.
func TestScenario(t *testing.T) {
	t.Parallel()
	opts, err := parse([]string{"--scenario", "subscriber-killed", "--seconds", "6", "--watch", "0s", "--json"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	status := runAll(t.Context(), opts, &out)
	var r result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	if status != 0 || r.Sent < 50 || r.Accepted != r.Sent || r.Audited != r.Sent || r.Twice+r.Wrong != 0 {
		t.Errorf("got status %d, %s", status, out.Bytes())
	}
	if r.BridgeMB == 0 || r.SubscriberMB == 0 || r.Bridge.All < r.Sent || r.Subscriber.All < r.Sent {
		t.Errorf("got no memory or no lines: %s", out.Bytes())
	}
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	if _, err := parse([]string{"--scenario", "quiet,none"}, &stderr); err == nil || !strings.Contains(stderr.String(), `there is no scenario "none"`) {
		t.Errorf("got %v, %s", err, stderr.String())
	}
	opts, err := parse(nil, io.Discard)
	if err != nil || len(opts.scenarios) != len(scenarios()) {
		t.Errorf("got %d scenarios, %v", len(opts.scenarios), err)
	}
	names := map[string]bool{}
	for _, s := range opts.scenarios {
		if names[s.name] || s.fault == nil || s.seconds < 30 {
			t.Errorf("%q has a name twice, no fault, or no length", s.name)
		}
		names[s.name] = true
	}
}

func TestFatalEndsTheScenarioOnly(t *testing.T) {
	t.Parallel()
	var order []string
	b := kit.NewTrial(t.Context(), t.TempDir())
	failures := b.Run(func() {
		b.Cleanup(func() { order = append(order, "first") })
		b.Cleanup(func() { order = append(order, "second") })
		b.Errorf("one of %d", 2)
		b.Fatal("the end")
		order = append(order, "never")
	})
	if diff := cmp.Diff([]string{"one of 2", "the end"}, failures) + cmp.Diff([]string{"second", "first"}, order); diff != "" {
		t.Error(diff)
	}
}

func TestCounter(t *testing.T) {
	t.Parallel()
	var c counter
	for _, n := range []float64{0, 2, 5, 1, 4} {
		c.see(n)
	}
	if c.total() != 9 {
		t.Errorf("got %d over a restart, want 9", c.total())
	}
}

func TestFiring(t *testing.T) {
	t.Parallel()
	const answer = `{"status":"success","data":{"alerts":[{"labels":{"alertname":"A","severity":"critical"},"state":"firing","activeAt":"2026-01-01T00:00:00Z","value":"1e+00"},` +
		`{"labels":{"alertname":"B"},"state":"pending"}]}}`
	if diff := cmp.Diff([]string{"A"}, firing(answer)); diff != "" {
		t.Error(diff)
	}
	if got := firing(""); got != nil {
		t.Errorf("without an answer: got %v", got)
	}
}

func TestCountLines(t *testing.T) {
	t.Parallel()
	got := count([]byte(`{"level":"INFO","msg":"a"}` + "\n" + `{"level":"WARN","msg":"b"}` + "\n" + `{"level":"ERROR","msg":"c"}` + "\n"))
	if want := (lines{All: 3, Severe: 2}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestResultIsGood(t *testing.T) {
	t.Parallel()
	good := result{Sent: 5, Accepted: 5, verdict: verdict{Audited: 5}}
	if !good.good() {
		t.Error("got bad, want good")
	}
	for name, spoil := range map[string]func(*result){
		"lost":                          func(r *result) { r.Audited = 4 },
		"twice":                         func(r *result) { r.Audited, r.Twice = 4, 1 },
		"twice, and others may be lost": func(r *result) { r.Twice, r.mayLose = 1, 5 },
		"wrong":                         func(r *result) { r.Wrong = 1 },
		"not recovered":                 func(r *result) { r.Recovered = -1 },
		"failed":                        func(r *result) { r.Failures = []string{"x"} },
		"nothing sent":                  func(r *result) { *r = result{} },
	} {
		r := good
		if spoil(&r); r.good() {
			t.Errorf("%s: got good, want bad", name)
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	show := markdown(&out)
	for _, r := range []result{
		{
			Title: "a", Fault: 2.1, Sent: 3, Accepted: 2, verdict: verdict{Audited: 1, Wrong: 4}, BridgeMB: 20, SubscriberMB: 30, Redelivered: 5,
			Recovered: 1.6, Bridge: lines{7, 1}, Subscriber: lines{8, 2}, Alerts: map[string]int{"BillbusB": 9, "BillbusA": 10},
		},
		{Title: "b", Recovered: -1, Failures: []string{"why"}},
	} {
		if err := show(r); err != nil {
			t.Fatal(err)
		}
	}
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	want := []string{
		"| a (2 s) | 3 | 2 | 1 | 4 | 20 / 30 MB | 2 s | 5 | 7 (1) | 8 (2) | B 9 s, A 10 s |",
		"| b (0 s): failed: why | 0 | 0 | 0 | 0 | 0 / 0 MB | not within the run | 0 | 0 (0) | 0 (0) | not measured: Prometheus is not installed |",
	}
	if diff := cmp.Diff(want, rows[2:]); diff != "" {
		t.Error(diff)
	}
	for _, row := range rows {
		if strings.Count(row, " | ") != len(header)-1 {
			t.Errorf("got %d cells in %s", strings.Count(row, " | ")+1, row)
		}
	}
}

// checkBurst must not accept any record but the last.
func TestCheckBurst(t *testing.T) {
	t.Parallel()
	record := func(quantity int, ordering string) records {
		return records{burstKey: {"subscription_id": "sub_burst", "ordering": ordering, "items": bson.A{bson.M{"id": "si_1", "quantity": quantity}}}}
	}
	for name, tt := range map[string]struct {
		all  records
		want int
	}{
		"the last": {record(burstEvents+1, "determined"), 0}, "ambiguous": {record(7, "ambiguous"), 0},
		"another": {record(7, "determined"), 1}, "none": {records{}, 1},
	} {
		if got := checkBurst(tt.all); got != tt.want {
			t.Errorf("%s: got %d, want %d", name, got, tt.want)
		}
	}
	if n := len(burst()); n != burstEvents {
		t.Errorf("got %d events", n)
	}
	for _, d := range append(burst()[:1], largeEvents()[0]) {
		if !json.Valid(d.Body) || len(d.Body) > 990_000 || !strings.Contains(string(d.Body), fmt.Sprintf("%q", d.ID)) {
			t.Errorf("%s: got a wrong body", d.ID)
		}
	}
}
