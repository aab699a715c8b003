package bridge_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/internal/fault"
)

// Calls that Stripe limits do not use up the tries of those that fail, and the other way
// round.
func TestFailuresAreCountedByKind(t *testing.T) {
	t.Parallel()
	limited := fault.New(fault.Transient, fault.RateLimited, errors.New("429"))
	failed := fault.New(fault.Transient, fault.StripeFailed, errors.New("500"))
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := bridge.Patiently(t.Context(), func() error {
			switch calls++; {
			case calls <= 20:
				return limited
			case calls <= 26:
				return failed
			}
			return nil
		})
		if calls != 27 || err != nil {
			t.Errorf("gave up after %d calls: %v", calls, err)
		}
		calls = 0
		err = bridge.Patiently(t.Context(), func() error { calls++; return failed })
		if calls != 7 || !errors.Is(err, failed) {
			t.Errorf("gave up after %d calls, want 7: %v", calls, err)
		}
	})
}
