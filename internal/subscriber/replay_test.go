package subscriber

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A replay that has not settled anything says so, instead of an endless time.
func TestReplayProgress(t *testing.T) {
	t.Parallel()
	r := &replay{total: 1973}
	for done, want := range map[int64][]any{
		0:   {"done", int64(0), "total", int64(1973), "per_second", 0.0},
		25:  {"done", int64(25), "total", int64(1973), "per_second", 2.5, "left", "12m59s"},
		500: {"done", int64(500), "total", int64(1973), "per_second", 50.0, "left", "29s"},
	} {
		r.done.Store(done)
		if diff := cmp.Diff(want, r.progress(10*time.Second)); diff != "" {
			t.Errorf("%d done (-want +got):\n%s", done, diff)
		}
	}
}
