package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

// An event is applied if the state would be decided in another way without it. The
// committer tries only what can make a difference.
func TestAppliedIsWhatMakesADifference(t *testing.T) {
	t.Parallel()
	applied, recorded := 0, 0
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 1))
		entries := storetest.Generate(random, "sub_1", 2+random.IntN(12))
		random.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		known := random.IntN(len(entries))
		server := storetest.NewMemory()
		commit(t, server, entries[:known]...)
		before, batch := facts(t, entries[:known]), entries[known:]
		got := commit(t, server, batch...)
		want := make([]store.Effect, len(batch))
		for i, e := range batch {
			want[i] = store.Recorded
			if makesADifference(slices.Concat(before, facts(t, batch)), e.ID) {
				want[i] = store.Applied
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
		for _, effect := range got {
			if effect == store.Applied {
				applied++
			} else {
				recorded++
			}
		}
	}
	if applied < 100 || recorded < 100 {
		t.Errorf("got %d events that are applied and %d that are not", applied, recorded)
	}
}

func facts(t *testing.T, entries []store.Entry) []ordering.Fact {
	t.Helper()
	var found []ordering.Fact
	for _, e := range entries {
		if fact, ok := ordering.FactOf(e.Message); ok {
			found = append(found, fact)
		}
	}
	return found
}

func makesADifference(all []ordering.Fact, eventID string) bool {
	others := slices.DeleteFunc(slices.Clone(all), func(f ordering.Fact) bool { return f.EventID == eventID })
	if len(others) == 0 || len(others) == len(all) {
		return len(others) == 0
	}
	with, without := store.Decide(all), store.Decide(others)
	return with.Winner.EventID != without.Winner.EventID || with.Ordering != without.Ordering || with.Items.EventID != without.Items.EventID
}

// Of many events of one subscription in one batch, trying each would take a fold for
// each. Then only the one that holds the state is applied.
func TestEffectsOfABurstAreBounded(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{40: 39, 400: 1} {
		server := storetest.NewMemory()
		applied := 0
		for _, effect := range commit(t, server, burst(n)...) {
			if effect == store.Applied {
				applied++
			}
		}
		if applied != want {
			t.Errorf("of %d steps in one second, %d are applied, want %d", n, applied, want)
		}
		expect(t, server, "sub_1", fmt.Sprintf("evt_%d", n-1))
	}
}

// burst returns steps from one state to the next, all in one second.
func burst(n int) []store.Entry {
	entries := make([]store.Entry, n)
	for i := range entries {
		entries[i] = stepped(fmt.Sprintf("evt_%d", i), 1, fmt.Sprintf("status_%d", i), fmt.Sprintf("status_%d", i+1))
	}
	return entries
}
