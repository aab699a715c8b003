package store_test

import (
	"flag"
	"fmt"
	"testing"

	"github.com/billbus/billbus/test/storetest"
)

var (
	firstSeed = flag.Uint64("seed", 1, "seed of the first schedule of TestSimulatedSchedules")
	schedules = flag.Uint64("schedules", defaultSchedules, "number of schedules of TestSimulatedSchedules")
)

// After any failures, in any order, the records say what the audit trail says,
// and no acknowledged event is missing.
func TestSimulatedSchedules(t *testing.T) {
	t.Parallel()
	const parts = 4
	for part := range uint64(parts) {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			for seed := *firstSeed + part; seed < *firstSeed+*schedules; seed += parts {
				if err := storetest.Simulate(seed); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
