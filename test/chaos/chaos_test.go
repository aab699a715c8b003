package chaos

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/test/chaos/report"
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
