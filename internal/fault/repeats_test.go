package fault_test

import (
	"testing"
	"time"

	"github.com/billbus/billbus/internal/fault"
)

func TestRepeatsAreLoggedOnceAMinuteAndKind(t *testing.T) {
	t.Parallel()
	var r fault.Repeats
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		kind     string
		at       time.Duration
		unlogged int
		due      bool
	}{
		{"down", 0, 0, true},
		{"down", time.Second, 1, false},
		{"slow", time.Second, 0, true},
		{"down", 59 * time.Second, 2, false},
		{"down", time.Minute, 2, true},
		{"down", 61 * time.Second, 1, false},
		{"slow", 2 * time.Minute, 0, true},
	} {
		if n, due := r.Due(tt.kind, start.Add(tt.at)); n != tt.unlogged || due != tt.due {
			t.Errorf("%s after %s: got %d, %v, want %d, %v", tt.kind, tt.at, n, due, tt.unlogged, tt.due)
		}
	}
}
