package verify_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/verify"
	"github.com/billbus/billbus/test/kit"
)

// Heads returns what the records know.
func (m *memory) Heads(_ context.Context, keys []string) (map[string]store.Head, error) {
	heads := map[string]store.Head{}
	for _, key := range keys {
		var facts []ordering.Fact
		for _, message := range m.messages[key] {
			fact, _ := ordering.FactOf(message)
			facts = append(facts, fact)
		}
		heads[key] = store.Head{Key: key, Revision: 1, Rule: ordering.Rule, Known: ordering.Fold(facts).Relevant}
	}
	return heads, nil
}

// watchedMemory is a memory with a watch and a clock.
type watchedMemory struct {
	*memory
	watch *verify.GapWatch
	now   time.Time
}

func newWatched() *watchedMemory {
	w := &watchedMemory{memory: newMemory(), now: kit.At(0)}
	w.watch = verify.NewGapWatch(w.memory, func() time.Time { return w.now })
	return w
}

// store stores a message that is received now.
func (w *watchedMemory) store(m events.Message) {
	m.Data.ReceivedAt = w.now
	w.messages[m.SubscriptionKey()] = append(w.messages[m.SubscriptionKey()], m)
	if fact, ok := ordering.FactOf(m); ok {
		w.watch.Notice(m.SubscriptionKey(), fact)
	}
}

func (w *watchedMemory) expect(t *testing.T, what string, want int) {
	t.Helper()
	if got, err := w.count(t); got != want || err != nil {
		t.Errorf("%s: got %d gaps, %v, want %d", what, got, err, want)
	}
}

func (w *watchedMemory) count(t *testing.T) (n int, err error) {
	t.Helper()
	open, err := w.watch.Check(t.Context())
	for _, gaps := range open {
		n += len(gaps)
	}
	return n, err
}

func TestGapCountsWhenItIsOldAndUntilItIsFilled(t *testing.T) {
	t.Parallel()
	w := newWatched()
	w.store(kit.Event("sub_1", "evt_1", "created", 0, "incomplete"))
	w.store(kit.Update("sub_1", "evt_3", 90, "active", "past_due"))
	w.expect(t, "at once", 0)
	w.now = w.now.Add(14 * time.Minute)
	w.expect(t, "after 14 minutes", 0)
	w.now = w.now.Add(time.Minute)
	w.expect(t, "after 15 minutes", 1)
	w.store(kit.Update("sub_1", "evt_5", 990, "unpaid", "active"))
	w.expect(t, "with a second one, which is young", 1)
	w.now = w.now.Add(20 * time.Minute)
	w.expect(t, "with both old", 2)
	w.store(kit.Update("sub_1", "evt_2", 9, "incomplete", "active"))
	w.expect(t, "with one filled", 1)
	w.messages[kit.Key("sub_1")] = append(w.messages[kit.Key("sub_1")], kit.Update("sub_1", "evt_4", 900, "past_due", "unpaid"))
	w.now = w.now.Add(5 * time.Minute)
	w.expect(t, "with the other filled by another process", 0)
}

func TestDisorderIsNoGap(t *testing.T) {
	t.Parallel()
	w := newWatched()
	w.store(kit.Update("sub_1", "evt_3", 90, "active", "past_due"))
	w.store(kit.Event("sub_2", "evt_8", "created", 90, "active"))
	w.store(kit.Event("sub_2", "evt_9", "deleted", 190, "canceled"))
	w.expect(t, "at once", 0)
	w.store(kit.Event("sub_1", "evt_1", "created", 0, "incomplete"))
	w.store(kit.Update("sub_1", "evt_2", 9, "incomplete", "active"))
	w.now = w.now.Add(time.Hour)
	w.expect(t, "later", 0)
}

// A process that starts looks after what one before it has found.
func TestGapOfAnotherProcessIsWatchedUntilItIsFilled(t *testing.T) {
	t.Parallel()
	w := newWatched()
	w.messages[kit.Key("sub_1")] = []events.Message{
		kit.Event("sub_1", "evt_1", "created", 0, "incomplete"), kit.Update("sub_1", "evt_3", 90, "active", "past_due"),
	}
	w.now = w.now.Add(time.Hour)
	w.watch.Watch(kit.Key("sub_1"), []ordering.Gap{{After: "evt_1", Before: "evt_3"}})
	w.expect(t, "at once", 1)
	w.store(kit.Update("sub_1", "evt_2", 9, "incomplete", "active"))
	w.expect(t, "filled", 0)
}

func TestGapWatchIsBounded(t *testing.T) {
	t.Parallel()
	w := newWatched()
	for n := range 20_000 {
		if n%1000 == 0 {
			w.expect(t, "meanwhile", 0)
		}
		w.store(kit.Event(subject(n), fmt.Sprintf("evt_%d", n), "created", 0, "incomplete"))
		w.store(kit.Update(subject(n), fmt.Sprintf("evt_%da", n), 90, "active", "past_due"))
	}
	w.now = w.now.Add(15 * time.Minute)
	got := 0
	for range 150 { // each call reads some trails
		got, _ = w.count(t)
	}
	if got != 10_000 {
		t.Errorf("got %d gaps, want the 10000 that are remembered", got)
	}
}
