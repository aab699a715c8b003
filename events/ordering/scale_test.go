package ordering_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// bursts are events of one subscription in one second.
var bursts = map[string]func(t testing.TB, n int) []ordering.Fact{
	"a path": func(t testing.TB, n int) []ordering.Fact { return burst(t, n, 1) },
	"a path with gaps": func(t testing.TB, n int) []ordering.Fact {
		all := burst(t, n+n/2, 1)
		return all[:n]
	},
	"each change twice": func(t testing.TB, n int) []ordering.Fact {
		all := burst(t, n/2, 1)
		for _, f := range all {
			f.EventID += "_again"
			all = append(all, f)
		}
		return all
	},
	"a snapshot because of each": func(t testing.TB, n int) []ordering.Fact {
		all := burst(t, n/2, 1)
		for _, f := range all {
			all = append(all, ordering.Fact{EventID: "snap_" + f.EventID, Type: events.SubjectSnapshot, Moment: f.Moment, After: f.After, Because: f.EventID})
		}
		return all
	},
	"back and forth": func(t testing.TB, n int) []ordering.Fact {
		list := make([]events.Message, n)
		for i := range list {
			list[i] = update(fmt.Sprintf("evt_%d", i), 0, fmt.Sprint(i%2), fmt.Sprint((i+1)%2))
		}
		return facts(t, list...)
	},
}

// TestFoldIsNearLinear compares ten times the events with the events, in one run. If time
// grew with the square, it would be 100 times as much.
func TestFoldIsNearLinear(t *testing.T) {
	for name, events := range bursts {
		t.Run(name, func(t *testing.T) {
			few, many := timeOf(events(t, 96)), timeOf(events(t, 960))
			t.Logf("960 events take %.1f times as long as 96", float64(many)/float64(few))
			if many > 40*few {
				t.Errorf("960 events took %s, 96 took %s", many, few)
			}
		})
	}
}

// timeOf returns the shortest of several times. It is that of the processor: others on the
// machine can interrupt each run.
func timeOf(facts []ordering.Fact) time.Duration {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	shortest := time.Hour
	for range 20 {
		began := processorTime()
		ordering.Fold(facts)
		shortest = min(shortest, processorTime()-began)
	}
	return shortest
}

// processorTime returns how long this thread has run.
func processorTime() time.Duration {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &now); err != nil {
		panic(err)
	}
	return time.Duration(now.Nano())
}
