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
		kind  string
		at    time.Duration
		count int
		due   bool
	}{
		{"down", 0, 1, true},
		{"down", time.Second, 1, false},
		{"slow", time.Second, 1, true},
		{"down", 59 * time.Second, 2, false},
		{"down", time.Minute, 3, true},
		{"down", 61 * time.Second, 1, false},
		{"slow", 2 * time.Minute, 1, true},
	} {
		if n, due := r.Next(tt.kind, start.Add(tt.at)); n != tt.count || due != tt.due {
			t.Errorf("%s after %s: got %d, %v, want %d, %v", tt.kind, tt.at, n, due, tt.count, tt.due)
		}
	}
}
