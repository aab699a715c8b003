package ordering_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// burst returns updates of one subscription, several in each second, in random order.
func burst(t testing.TB, n, seconds int) []ordering.Fact {
	t.Helper()
	list := make([]events.Message, n)
	for i := range list {
		list[i] = update(fmt.Sprintf("evt_%d", i), i*seconds/n, fmt.Sprint(i), fmt.Sprint(i+1))
	}
	found := facts(t, list...)
	rand.New(rand.NewPCG(1, 1)).Shuffle(n, func(i, j int) { found[i], found[j] = found[j], found[i] })
	return found
}

// TestRelevantIsBounded folds more events than a record keeps.
func TestRelevantIsBounded(t *testing.T) {
	t.Parallel()
	const n, most = 1500, 1000
	all := burst(t, n, 15)
	var known []ordering.Fact
	for i := 0; i < n; i += 100 {
		known = ordering.Fold(append(known, all[i:i+100]...)).Relevant
	}
	v := ordering.Fold(all)
	if len(v.Relevant) != most || !sameIDs(v.Relevant, known) {
		t.Errorf("got %d facts at once and %d one by one, want %d", len(v.Relevant), len(known), most)
	}
	if want := fmt.Sprintf("evt_%d", n-1); v.Winner.EventID != want || v.Ordering != ordering.Determined {
		t.Errorf("got %s, %s: %s", v.Winner.EventID, v.Ordering, v.Explanation)
	}
}

func sameIDs(a, b []ordering.Fact) bool {
	for i := range a {
		if i >= len(b) || a[i].EventID != b[i].EventID {
			return false
		}
	}
	return len(a) == len(b)
}
