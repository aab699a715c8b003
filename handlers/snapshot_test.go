package handlers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// bucket is a bucket in memory.
type bucket struct {
	values    map[string][]byte
	revisions map[string]uint64
	before    func() // is called before a value is written
	fail      error
}

func (b *bucket) Get(_ context.Context, key string) ([]byte, uint64, error) {
	return b.values[key], b.revisions[key], b.fail
}

func (b *bucket) Put(_ context.Context, key string, value []byte, revision uint64) (uint64, bool, error) {
	if b.before != nil {
		b.before()
	}
	if b.fail != nil || b.revisions[key] != revision {
		return 0, false, b.fail
	}
	b.values[key], b.revisions[key] = value, revision+1
	return revision + 1, true, nil
}

const resolvedKey = "live.platform.sub_1"

// item returns an item of a quantity.
func item(id string, quantity int64) events.Item { return events.Item{ID: id, Quantity: &quantity} }

// cutOff returns an event that lists only some of its items.
func cutOff(id string, items ...events.Item) events.Message {
	m := truncated()
	m.ID, m.Data.Subscription.Items = id, items
	return m
}

// read makes Stripe answer with a subscription, read because of an event.
func (s *fakeStripe) read(id, becauseOf, status string, items ...events.Item) {
	m := snapshotMessage()
	m.ID, m.Data.BecauseOf = id, becauseOf
	s.reads++
	m.Time = m.Time.Add(time.Duration(s.reads) * time.Second)
	m.Data.Subscription = &events.Subscription{ID: "sub_1", Livemode: true, Status: status, Items: items}
	s.snapshot = m
}

// last returns the last message that was published.
func (r *resolveTest) last(t *testing.T) events.Message {
	t.Helper()
	if len(r.published) == 0 {
		t.Fatal("nothing was published")
	}
	m, err := events.Decode(r.published[len(r.published)-1].Payload)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (r *resolveTest) resolve(t *testing.T, m events.Message) {
	t.Helper()
	if err := r.handle(t, m); err != nil {
		t.Fatal(err)
	}
}

// ids returns the ids of what was published, in order.
func (r *resolveTest) ids() string {
	var ids []string
	for _, m := range r.published {
		ids = append(ids, m.UUID)
	}
	return strings.Join(ids, " ")
}

func words(changes ...events.Change) []events.Change { return changes }

func TestSnapshotSaysWhatItsEventLeftOut(t *testing.T) {
	t.Parallel()
	listed := func(items ...events.Item) []events.Item { return items }
	for name, tt := range map[string]struct {
		listed, after []events.Item
		want          []events.Change
	}{
		"nothing":                      {listed(item("a", 1)), listed(item("a", 1), item("b", 1)), nil},
		"quantity of a hidden item":    {listed(item("a", 1)), listed(item("a", 1), item("b", 7)), words(events.ChangeQuantity)},
		"quantity of a listed item":    {listed(item("a", 5)), listed(item("a", 5), item("b", 1)), nil},
		"another item is listed":       {listed(item("b", 1)), listed(item("b", 1), item("a", 1)), nil},
		"a hidden item is added":       {listed(item("a", 1)), listed(item("a", 1), item("b", 1), item("c", 1)), words(events.ChangeItems)},
		"a listed item is added":       {listed(item("c", 1)), listed(item("a", 1), item("b", 1), item("c", 1)), words(events.ChangeItems)},
		"a hidden item is removed":     {listed(item("a", 1)), listed(item("a", 1)), words(events.ChangeItems)},
		"an item is removed meanwhile": {listed(item("a", 1)), listed(item("b", 1)), words(events.ChangeItems)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResolve(t, &fakeStripe{})
			r.stripe.read("snap_1", "evt_1", "active", item("a", 1), item("b", 1))
			r.resolve(t, cutOff("evt_1", item("a", 1)))
			if got := r.last(t); got.Data.Changes != nil || got.Data.Previous != nil {
				t.Errorf("got words %v for the first snapshot", got.Data.Changes)
			}
			// The status changed after the event: it has an event of its own.
			r.stripe.read("snap_2", "evt_2", "past_due", tt.after...)
			r.resolve(t, cutOff("evt_2", tt.listed...))
			got := r.last(t)
			if diff := cmp.Diff(tt.want, got.Data.Changes); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			if fields := got.Data.Previous; (fields != nil) != (tt.want != nil) || fields.Has("status") || fields != nil && !fields.Has("items") {
				t.Errorf("got previous %+v", fields)
			}
		})
	}
}

// The update that makes the list too long says what the complete list was before.
func TestEventKnowsTheListBefore(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{})
	r.stripe.read("snap_1", "evt_1", "active", item("a", 1), item("b", 1), item("c", 1))
	grown := cutOff("evt_1", item("a", 1), item("b", 1))
	grown.Data.Previous = &events.Previous{Fields: []string{"items_truncated", "items"}, Values: events.Subscription{Items: []events.Item{item("a", 1)}}}
	r.resolve(t, grown)
	got := r.last(t)
	if diff := cmp.Diff(words(events.ChangeItems), got.Data.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	// b was reported by the event.
	if before := got.Data.Previous.Before(got.Data.Subscription); len(before.Items) != 2 {
		t.Errorf("got %+v before", before.Items)
	}
}

func TestSnapshotOfAThinEventSaysEverything(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{})
	first, second := thin(""), thin("")
	second.ID = "evt_thin_2"
	r.stripe.read("snap_1", first.ID, "active", item("a", 1))
	r.resolve(t, first)
	r.stripe.read("snap_2", second.ID, "past_due", item("a", 2))
	r.resolve(t, second)
	if diff := cmp.Diff(words(events.ChangeQuantity, events.ChangePastDue), r.last(t).Data.Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

// keptUnpublished returns a resolver whose second snapshot was kept and could not be
// published.
func keptUnpublished(t *testing.T) *resolveTest {
	t.Helper()
	r := newResolve(t, &fakeStripe{})
	r.stripe.read("snap_1", "evt_1", "active", item("a", 1), item("b", 1))
	r.resolve(t, cutOff("evt_1", item("a", 1)))
	r.stripe.read("snap_2", "evt_2", "active", item("a", 1), item("b", 7))
	r.fail = errTest
	if err := r.handle(t, cutOff("evt_2", item("a", 1))); !errors.Is(err, errTest) {
		t.Fatalf("got %v", err)
	}
	r.fail = nil
	return r
}

// Publishing fails, or the process dies, after a snapshot was kept. The next delivery
// publishes the same, although Stripe would say something else by now.
func TestKeptSnapshotIsPublishedAgain(t *testing.T) {
	t.Parallel()
	r := keptUnpublished(t)
	r.stripe.read("snap_3", "evt_2", "active", item("a", 1), item("b", 9))
	r.resolve(t, cutOff("evt_2", item("a", 1)))
	if got := r.last(t); got.ID != "snap_2" || !cmp.Equal(got.Data.Changes, words(events.ChangeQuantity)) {
		t.Errorf("got %s with %v", got.ID, got.Data.Changes)
	}
	// Now it is marked: another delivery publishes nothing, and asks nothing.
	asked := len(r.stripe.requests)
	r.resolve(t, cutOff("evt_2", item("a", 1)))
	if got := r.ids(); got != "snap_1 snap_2" || len(r.stripe.requests) != asked {
		t.Errorf("published %s, asked %q", got, r.stripe.requests)
	}
}

// Another event is resolved before the failed one is delivered again.
func TestNextEventPublishesWhatIsKept(t *testing.T) {
	t.Parallel()
	r := keptUnpublished(t)
	r.stripe.read("snap_3", "evt_3", "active", item("a", 1), item("b", 7), item("c", 1))
	r.resolve(t, cutOff("evt_3", item("a", 1)))
	if got := r.ids(); got != "snap_1 snap_2 snap_3" {
		t.Errorf("published %s", got)
	}
	if got := r.last(t).Data.Changes; !cmp.Equal(got, words(events.ChangeItems)) {
		t.Errorf("got %v, want the change since the snapshot that was kept", got)
	}
}

// Two events are resolved at the same time. Stripe is asked again after the other one,
// so no change is lost or reported twice.
func TestSnapshotsFollowEachOther(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{})
	r.stripe.read("snap_1", "evt_1", "active", item("a", 1), item("b", 1))
	r.resolve(t, cutOff("evt_1", item("a", 1)))
	r.stripe.read("snap_2", "evt_2", "active", item("a", 1), item("b", 1))
	r.bucket.before = func() {
		r.bucket.before = nil
		r.stripe.read("snap_3", "evt_3", "active", item("a", 1), item("b", 7))
		r.resolve(t, cutOff("evt_3", item("a", 1)))
		r.stripe.read("snap_4", "evt_2", "active", item("a", 1), item("b", 7))
	}
	r.resolve(t, cutOff("evt_2", item("a", 1)))
	if got := r.ids(); got != "snap_1 snap_3 snap_4" {
		t.Errorf("published %s", got)
	}
	if got := r.last(t).Data; got.Changes != nil {
		t.Errorf("got %v again", got.Changes)
	}
}

// It cannot be decided which of two snapshots of one second is later.
func TestDifferentSnapshotsAreOfDifferentSeconds(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{})
	r.stripe.read("snap_1", "evt_1", "active", item("a", 1), item("b", 1))
	r.resolve(t, cutOff("evt_1", item("a", 1)))
	r.stripe.reads--
	r.stripe.read("snap_2", "evt_2", "active", item("a", 1), item("b", 1))
	r.resolve(t, cutOff("evt_2", item("a", 1)))
	if got := len(r.stripe.requests); got != 2 {
		t.Errorf("asked %d times, want no more for the same state", got)
	}
	r.stripe.reads--
	r.stripe.read("snap_3", "evt_3", "active", item("a", 1), item("b", 7))
	r.resolve(t, cutOff("evt_3", item("a", 1)))
	if got := len(r.stripe.requests); got != 4 || r.ids() != "snap_1 snap_2 snap_3" {
		t.Errorf("asked %d times, published %s, want one more time for the new state", got, r.ids())
	}
}

func TestEndlessCollisionsAreTransient(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{})
	r.stripe.read("snap_1", "evt_1", "active")
	r.bucket.before = func() { r.bucket.revisions[resolvedKey]++ }
	err := r.handle(t, cutOff("evt_1"))
	if fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.BucketFailed || len(r.published) != 0 {
		t.Errorf("got %v, published %s", err, r.ids())
	}
}

func TestBucketThatFailsIsTransient(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{})
	r.stripe.read("snap_1", "evt_1", "active")
	r.bucket.fail = fault.New(fault.Transient, fault.BucketFailed, errTest)
	if err := r.handle(t, cutOff("evt_1")); !errors.Is(err, errTest) || len(r.published) != 0 {
		t.Errorf("got %v, published %s", err, r.ids())
	}
}

// Another program has written into the bucket.
func TestUnreadableValueCountsAsNone(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "nonsense", `{"published":false}`, `{"message":{"id":"snap_0"}}`} {
		r := newResolve(t, &fakeStripe{})
		r.bucket.values[resolvedKey], r.bucket.revisions[resolvedKey] = []byte(value), 3
		r.stripe.read("snap_1", "evt_1", "active")
		r.resolve(t, cutOff("evt_1"))
		if got := r.ids(); got != "snap_1" || r.bucket.revisions[resolvedKey] != 5 {
			t.Errorf("%q: published %s, revision %d", value, got, r.bucket.revisions[resolvedKey])
		}
	}
}
