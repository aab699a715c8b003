package chaos

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/chaos/report"
	"github.com/billbus/billbus/test/chaos/verdict"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/deploy"
	"github.com/billbus/billbus/test/kit/proxy"
)

func second(n int) time.Time { return time.Unix(int64(n), 0) }

func TestAcknowledgedBefore(t *testing.T) {
	t.Parallel()
	line := func(at int, process string, sequence uint64, msg, outcome string) handling {
		return handling{Time: second(at), process: process, Sequence: sequence, Msg: msg, Outcome: outcome}
	}
	got := acknowledgedBefore([]handling{
		line(1, "a", 1, "message", "applied"),
		line(2, "a", 2, "message", "recorded"), line(3, "a", 2, unconfirmed, ""),
		line(4, "a", 3, "message", "transient"),
		line(5, "b", 4, "message", "applied"),
		line(9, "a", 5, "message", "applied"),
	}, "a", second(8))
	if diff := cmp.Diff(map[uint64]time.Time{1: second(1)}, got); diff != "" {
		t.Error(diff)
	}
}

// What a subscriber had acknowledged must not come again after it stopped, to whichever.
func TestRedeliveryAfterACleanStopIsCounted(t *testing.T) {
	t.Parallel()
	r := &run{log: slog.New(slog.DiscardHandler), cfg: Config{kinds: kinds(shape{servers: 1})}}
	r.cleanStops = []verdict.CleanStop{{Process: "a", At: second(5)}}
	r.countRedelivered([]handling{
		{Time: second(1), process: "a", Sequence: 1, Msg: "message", Outcome: "applied"},
		{Time: second(2), process: "a", Sequence: 2, Msg: "message", Outcome: "applied"},
		{Time: second(3), process: "a", Sequence: 3, Msg: "message", Outcome: "applied"},
		{Time: second(4), process: "a", Sequence: 3, Msg: unconfirmed},
		{Time: second(6), process: "b", Sequence: 2, Msg: "message", Outcome: "duplicate"},
		{Time: second(7), process: "b", Sequence: 3, Msg: "message", Outcome: "duplicate"},
	})
	if got := r.cleanStops[0].Redelivered; got != 1 {
		t.Errorf("got %d, want 1", got)
	}
}

// What was stored before the stream was deleted is not sent again: that would hide a loss. The
// answer to a webhook that the stream had can come after the deletion.
func TestWhatTheDeletedStreamMayHaveHadIsSentAgain(t *testing.T) {
	t.Parallel()
	r := &run{deletions: []interval{{second(10), second(11)}}}
	r.watch.settled = []interval{{second(3), second(4)}, {second(5), second(6)}, {second(9), second(12)}, {second(20), second(21)}}
	r.traffic = newTraffic(&deploy.Deployment{}, nil, nil, 1)
	for id, at := range map[string]interval{
		"stored": {second(4), second(4)}, "perhaps stored": {second(4), second(7)}, "in doubt": {second(10), second(12)}, "after": {second(12), second(13)},
	} {
		r.traffic.noteAsked(id, at.begin)
		r.traffic.noteAsked(id, second(14)) // again
		r.traffic.accepted[id] = at.end
		r.history.Deliveries = append(r.history.Deliveries, stripesim.Delivery{ID: id})
	}
	want := map[string]bool{"stored": false, "perhaps stored": true, "in doubt": true, "after": false}
	if diff := cmp.Diff(want, r.unsure()); diff != "" {
		t.Error(diff)
	}
	if got := len(r.deliveries(r.unsure())); got != 2 {
		t.Errorf("%d events are sent again, want 2", got)
	}
}

// A run whose logs or metrics say nothing would have nothing to judge.
func TestRunWithoutLogsOrSamplesFails(t *testing.T) {
	t.Parallel()
	check := func(samples []verdict.Sample, handled []handling) []string {
		trial := kit.NewTrial(t.Context(), t.TempDir())
		bridge := &deploy.Program{Process: &kit.Process{Name: "bridge1"}}
		r := &run{Deployment: &deploy.Deployment{Trial: trial, Bridges: []*deploy.Program{bridge}}}
		r.watch.samples = samples
		return trial.Run(func() { r.checkSources(handled) })
	}
	if got := check(nil, nil); len(got) != 2 {
		t.Errorf("got %q", got)
	}
	if got := check([]verdict.Sample{{Process: "bridge1"}}, []handling{{}}); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// A program that has ended before a fault ends it has ended by itself.
func TestProcessThatEndedByItselfIsAFailure(t *testing.T) {
	t.Parallel()
	trial := kit.NewTrial(t.Context(), t.TempDir())
	failures := trial.Run(func() {
		p := &kit.Process{Name: "bridge1", Command: []string{"false"}, Log: t.TempDir() + "/log"}
		p.Start(trial)
		r := &run{Deployment: &deploy.Deployment{Trial: trial, Bridges: []*deploy.Program{{Process: p}}}, log: slog.New(slog.DiscardHandler)}
		kit.Eventually(trial, "the process has ended", p.Ended)
		r.Must(r.kill(Fault{Kind: "kill", Target: "bridge1"}))
	})
	if len(failures) != 1 {
		t.Errorf("got %q", failures)
	}
}

func TestFaultOfNoConnectionIsAnError(t *testing.T) {
	t.Parallel()
	n := &network{proxies: []way{{link: "bridge1-nats"}}}
	count := 0
	do := func(*proxy.Proxy) error { count++; return nil }
	if err := n.each(of("bridge1-nats"), do); err != nil || count != 1 {
		t.Errorf("got %v, %d calls", err, count)
	}
	if n.each(of("bridge2-nats"), do) == nil {
		t.Error("no error, and nothing happened")
	}
}

func TestForgot(t *testing.T) {
	t.Parallel()
	r := &run{cfg: Config{kinds: kinds(shape{servers: 1})}}
	r.happened = []report.Fault{
		{Kind: "kill", Target: "subscriber1", Begin: second(0), End: second(100)},
		{Kind: "kill", Target: "node1", Begin: second(10), End: second(12)},
	}
	for name, tt := range map[string]struct {
		handled, again int
		want           bool
	}{
		"before": {5, 9, false}, "between": {9, 13, true}, "during": {11, 13, true}, "after": {13, 20, false},
	} {
		if got := r.forgot(second(tt.handled), second(tt.again)); got != tt.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	tr := &traffic{accepted: map[string]time.Time{"f": second(30), "a": second(1), "b": second(2), "c": second(7), "d": second(8), "e": second(20)}}
	for name, tt := range map[string]struct{ begin, end, from, length int }{
		"in the middle": {1, 8, 2, 5}, "not from before": {3, 8, 7, 1}, "beyond the end": {7, 10, 8, 12},
	} {
		from, length := tr.pause(second(tt.begin), second(tt.end))
		if !from.Equal(second(tt.from)) || length != time.Duration(tt.length)*time.Second {
			t.Errorf("%s: got %v from %v", name, length, from.Unix())
		}
	}
}

func TestResultIsGood(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		Result
		want bool
	}{
		"good": {Result{Accepted: 1}, true}, "nothing sent": {Result{}, false}, "failed": {Result{Accepted: 1, Failures: []string{"x"}}, false},
	} {
		if got := tt.Good(); got != tt.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// A run that failed before its end has a page, too.
func TestReportOfARunThatFailed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.html")
	r := &run{began: time.Now().Add(-time.Minute)}
	if err := r.write(path, Result{Failures: []string{"interrupted"}}); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(page), "interrupted") || !strings.Contains(string(page), "UTC, 60.") {
		t.Errorf("got %v, %s", err, page)
	}
}

func TestResultAsJSONHasListsOfNothing(t *testing.T) {
	t.Parallel()
	var line strings.Builder
	if err := (Result{}).Print(&line, true); err != nil || strings.Contains(line.String(), "null") || strings.Count(line.String(), "\n") != 1 {
		t.Errorf("got %v, %s", err, line.String())
	}
}

func TestStoredIsCountedBySecond(t *testing.T) {
	t.Parallel()
	second := func(n float64) time.Time { return time.Unix(0, int64(n*1e9)) }
	points := []report.Point{{At: second(1)}, {At: second(2)}, {At: second(3)}}
	countStored(points, []handling{
		{Time: second(0.5), Msg: "message", Outcome: "applied"},
		{Time: second(1.5), Msg: "message", Outcome: "recorded"},
		{Time: second(1.6), Msg: "message", Outcome: "transient"},
		{Time: second(1.7), Msg: "message", Outcome: "duplicate"},
		{Time: second(1.8), Msg: unconfirmed},
		{Time: second(3.5), Msg: "message", Outcome: "applied"},
	})
	for i, want := range []int{1, 2, 0} {
		if points[i].Stored != want {
			t.Errorf("second %d: got %d, want %d", i+1, points[i].Stored, want)
		}
	}
}
