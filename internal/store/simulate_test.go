package store_test

import (
	"flag"
	"testing"

	"github.com/billbus/billbus/internal/storetest"
)

var (
	firstSeed = flag.Uint64("seed", 1, "the first schedule of TestSimulatedSchedules")
	schedules = flag.Int("schedules", 4000, "how many schedules TestSimulatedSchedules plays")
)

// Whatever happens in whatever order, in the end the states are what the audit
// trail says, and nothing that was acknowledged is missing.
func TestSimulatedSchedules(t *testing.T) {
	t.Parallel()
	for seed := *firstSeed; seed < *firstSeed+uint64(*schedules); seed++ {
		if err := storetest.Simulate(seed); err != nil {
			t.Fatal(err)
		}
	}
}
