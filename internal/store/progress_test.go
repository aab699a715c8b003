package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

// backlog commits entries through a queue, a number of them at a time, as a consumer of
// the stream does: one that fails comes back after a second.
type backlog struct {
	db       *storetest.Slow
	inFlight int

	mu       sync.Mutex
	settled  []time.Time
	failures int
}

func (b *backlog) commit(t *testing.T, entries []store.Entry) {
	t.Helper()
	queue := store.NewQueue(store.NewCommitter(b.db, now), max(b.inFlight/2, 1))
	waiting := make(chan store.Entry, len(entries))
	for _, e := range entries {
		waiting <- e
	}
	close(waiting)
	b.settled = []time.Time{time.Now()}
	var work sync.WaitGroup
	for range min(b.inFlight, len(entries)) {
		work.Go(func() {
			for e := range waiting {
				for !b.try(t, queue, e) {
					time.Sleep(time.Second)
				}
			}
		})
	}
	work.Wait()
	queue.Close()
}

func (b *backlog) try(t *testing.T, queue *store.Queue, e store.Entry) bool {
	_, err := queue.Commit(t.Context(), e)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.failures++
		return false
	}
	b.settled = append(b.settled, time.Now())
	return true
}

// longestPause returns the longest time without progress.
func (b *backlog) longestPause() (longest time.Duration) {
	for i := range b.settled[1:] {
		longest = max(longest, b.settled[i+1].Sub(b.settled[i]))
	}
	return longest
}

// eventsOf returns events of as many subscriptions.
func eventsOf(n int) []store.Entry {
	entries := make([]store.Entry, n)
	for i := range entries {
		entries[i] = storetest.Entry(fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_%d", i), "updated", 1, "active")
	}
	return entries
}

// However slow the database is and however many messages are in flight, every batch is
// committed, and the round trips are linear in the messages.
func TestProgressOnASlowDatabase(t *testing.T) {
	t.Parallel()
	for _, roundTrip := range []time.Duration{0, 30 * time.Millisecond, 200 * time.Millisecond, time.Second} {
		for _, tt := range []struct{ inFlight, parallel int }{{1, 1}, {16, 1}, {256, 8}, {2000, 1}, {2000, 8}, {10_000, 8}} {
			t.Run(fmt.Sprintf("%s, %d in flight, %d at once", roundTrip, tt.inFlight, tt.parallel), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { testProgress(t, roundTrip, tt.inFlight, tt.parallel) })
			})
		}
	}
}

func testProgress(t *testing.T, roundTrip time.Duration, inFlight, parallel int) {
	const length = 600
	trips := map[string]int{}
	for _, n := range []int{length / 2, length} {
		server := storetest.NewMemory()
		for _, kind := range []string{"new", "known"} {
			b := &backlog{db: storetest.NewSlow(server, roundTrip, parallel), inFlight: inFlight}
			b.commit(t, eventsOf(n))
			if pause := b.longestPause(); b.failures > 0 || pause > 20*time.Second {
				t.Errorf("%s: %d deliveries failed, and nothing was settled for %s", kind, b.failures, pause)
			}
			all := b.db.Trips()
			// A record that is new needs two more than one that is known, for its user.
			if most := map[string]int{"new": 5 * n, "known": 4 * n}[kind]; all > most {
				t.Errorf("%s: %d round trips for %d messages", kind, all, n)
			}
			// Without delay, batches are as small as it happens.
			if most := 2*trips[kind] + 20; n == length && roundTrip > 0 && all > most {
				t.Errorf("%s: %d round trips for %d messages, %d for half of them", kind, all, n, trips[kind])
			}
			if kind == "known" && roundTrip > 0 && inFlight >= 256 && all > n/10 {
				t.Errorf("known: %d round trips for %d messages", all, n)
			}
			trips[kind] = all
		}
		if got := len(server.Audited()); got != n {
			t.Errorf("got %d audit documents, want %d", got, n)
		}
	}
	t.Logf("round trips for %d messages: %v", length, trips)
}

// A database that was quick gets slow, or hangs for ten minutes. What was written counts,
// and a batch that failed is not tried again as a whole.
func TestBatchesShrinkUntilTheyFit(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		slow, then, after time.Duration
		size              int // of the last batches, at most
	}{
		"slow":      {time.Second, time.Second, 0, 10},
		"very slow": {4 * time.Second, 4 * time.Second, 0, 2},
		"hanging":   {time.Hour, time.Millisecond, 10 * time.Minute, 256},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := storetest.NewMemory()
				b := &backlog{db: storetest.NewSlow(server, time.Millisecond, 1), inFlight: 512}
				entries := eventsOf(2500)
				time.AfterFunc(1500*time.Millisecond, func() {
					b.db.Set(tt.slow)
					time.AfterFunc(tt.after, func() { b.db.Set(tt.then) })
				})
				b.commit(t, entries)
				batches := slices.Compact(b.db.Batches())
				// At most the largest batch, half of it, and so on, and twice one that is alone.
				if b.failures == 0 || b.failures > 2*slices.Max(batches)+1 {
					t.Errorf("%d deliveries failed", b.failures)
				}
				if got := slices.Max(batches[len(batches)-2:]); got > tt.size {
					t.Errorf("the last batches had %d entries, want at most %d", got, tt.size)
				}
				if pause := b.longestPause() - tt.after; pause > 2*time.Minute {
					t.Errorf("nothing was settled for %s", pause)
				}
				if got := len(server.Audited()); got != len(entries) {
					t.Errorf("got %d audit documents, want %d", got, len(entries))
				}
				expect(t, server, "sub_2499", "evt_2499")
				t.Logf("%d round trips, %d failures, batches %v", b.db.Trips(), b.failures, batches)
			})
		})
	}
}
