package verify_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/verify"
	"github.com/billbus/billbus/test/kit"
)

// expiring is a store with an audit trail that can be removed.
type expiring struct {
	documents []store.Expired
	heads     map[string]store.Head
	most      int // documents of one removal
	read      int // documents
	failAt    int // the document at which reading fails; 0 for none
	turn      store.Turn
}

func (f *expiring) Expired(_ context.Context, from, before time.Time) iter.Seq2[store.Expired, error] {
	return func(yield func(store.Expired, error) bool) {
		for _, doc := range slices.Clone(f.documents) {
			if doc.Created.Before(from) || !doc.Created.Before(before) {
				continue
			}
			if f.read++; f.read == f.failAt {
				yield(store.Expired{}, errors.New("the cursor broke"))
				return
			}
			if !yield(doc, nil) {
				return
			}
		}
	}
}

func (f *expiring) Turn(context.Context) (store.Turn, error) { return f.turn, nil }

func (f *expiring) SetTurn(_ context.Context, read, next store.Turn) (bool, error) {
	if f.turn != read {
		return false, nil
	}
	f.turn = next
	return true, nil
}

// keeping returns a retention whose clock is a variable, and the clock.
func keeping(db store.Retention, holder string, before time.Time) (*verify.Retention, *time.Time) {
	clock := before.AddDate(0, 0, 40)
	return &verify.Retention{Store: db, Keep: 40 * 24 * time.Hour, Holder: holder, Now: func() time.Time { return clock }}, &clock
}

// round runs one round and returns how many documents it has removed and read.
func round(t *testing.T, f *expiring, r *verify.Retention) (removed, read int) {
	t.Helper()
	before := f.read
	removed, err := r.Round(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return removed, f.read - before
}

func (f *expiring) Heads(context.Context, []string) (map[string]store.Head, error) {
	return f.heads, nil
}

func (f *expiring) RemoveExpired(_ context.Context, ids []string) error {
	f.most = max(f.most, len(ids))
	f.documents = slices.DeleteFunc(f.documents, func(doc store.Expired) bool { return slices.Contains(ids, doc.ID) })
	return nil
}

// trailOf returns the trail of one subscription. Its record is correct, but for the rule
// that decided it; with rule 0 there is none.
func trailOf(rule int, messages ...events.Message) *expiring {
	f := &expiring{heads: map[string]store.Head{}}
	var facts []ordering.Fact
	for _, m := range messages {
		fact, _ := ordering.FactOf(m)
		facts = append(facts, fact)
		f.documents = append(f.documents, store.Expired{ID: m.ID, Subscription: m.SubscriptionKey(), EventID: m.ID, Created: m.Time, Terminal: fact.Terminal, ItemsTruncated: fact.ItemsTruncated})
	}
	if rule > 0 {
		f.heads[kit.Key("sub_1")] = store.Head{Revision: 1, Rule: rule, Known: store.Decide(facts).Relevant}
	}
	return f
}

func TestRemoveExpiredKeepsWhatARecordDependsOn(t *testing.T) {
	t.Parallel()
	life := []events.Message{
		kit.Event("sub_1", "evt_1", "created", 0, "incomplete"), kit.Update("sub_1", "evt_2", 100, "incomplete", "active"),
		kit.Update("sub_1", "evt_3", 200, "active", "past_due"), kit.Update("sub_1", "evt_4", 200, "past_due", "unpaid"),
	}
	end := kit.Event("sub_1", "evt_5", "deleted", 300, "canceled")
	replaying := trailOf(ordering.Rule, life[:2]...)
	replaying.documents = trailOf(ordering.Rule, life...).documents
	complete, partial := kit.Event("sub_1", "evt_1", "updated", 0, "active"), []events.Message{
		kit.Event("sub_1", "evt_2", "updated", 100, "active"), kit.Event("sub_1", "evt_3", "updated", 200, "active"), kit.Event("sub_1", "evt_4", "updated", 300, "active"),
	}
	for i := range partial {
		partial[i].Data.Subscription.ItemsTruncated = true
	}
	invoice := trailOf(ordering.Rule, life[0])
	invoice.documents = append(invoice.documents, store.Expired{ID: "evt_9", EventID: "evt_9", Created: kit.At(5)})
	for name, tt := range map[string]struct {
		trail *expiring
		want  []string
	}{
		"older ones go":                   {trailOf(ordering.Rule, life...), []string{"evt_2", "evt_3", "evt_4"}},
		"the end is enough":               {trailOf(ordering.Rule, append(life, end)...), []string{"evt_5"}},
		"nothing goes without a record":   {trailOf(0, life...), []string{"evt_1", "evt_2", "evt_3", "evt_4"}},
		"nothing goes with an older rule": {trailOf(ordering.Rule-1, life...), []string{"evt_1", "evt_2", "evt_3", "evt_4"}},
		"nothing goes during a replay":    {replaying, []string{"evt_1", "evt_2", "evt_3", "evt_4"}},
		"the last complete list stays":    {trailOf(ordering.Rule, append(partial, complete)...), []string{"evt_3", "evt_4", "evt_1"}},
		"truncated lists go":              {trailOf(ordering.Rule, partial...), []string{"evt_3", "evt_4"}},
		"an invoice goes":                 {invoice, []string{"evt_1"}},
		"a young one stays":               {trailOf(ordering.Rule, append(life, kit.Event("sub_1", "evt_6", "updated", 5000, "active"), kit.Event("sub_1", "evt_7", "updated", 6000, "active"))...), []string{"evt_6", "evt_7"}},
	} {
		r, _ := keeping(tt.trail, "a", kit.At(1000))
		round(t, tt.trail, r)
		var got []string
		for _, doc := range tt.trail.documents {
			got = append(got, doc.EventID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestRemoveExpiredUsesBatches(t *testing.T) {
	t.Parallel()
	f := &expiring{}
	for n := range 1234 {
		id := fmt.Sprint(n)
		f.documents = append(f.documents, store.Expired{ID: id, EventID: id, Created: kit.At(n)})
	}
	r, _ := keeping(f, "a", kit.At(1200))
	if removed, _ := round(t, f, r); removed != 1200 || len(f.documents) != 34 || f.most > 500 {
		t.Errorf("got %d removed, %d left, at most %d at once", removed, len(f.documents), f.most)
	}
}

// manyKept returns the trail of many subscriptions. Their records depend on all of it.
func manyKept(n int) *expiring {
	f := &expiring{heads: map[string]store.Head{}}
	for i := range n {
		id, key := fmt.Sprintf("evt_%d", i), kit.Key(fmt.Sprintf("sub_%d", i))
		f.documents = append(f.documents, store.Expired{ID: id, Subscription: key, EventID: id, Created: kit.At(i)})
		f.heads[key] = store.Head{Revision: 1, Rule: ordering.Rule, Known: []ordering.Fact{{EventID: id, Moment: kit.At(i)}}}
	}
	return f
}

func TestRetentionDoesNotReadAgainWhatIsKept(t *testing.T) {
	t.Parallel()
	f := manyKept(1300)
	r, clock := keeping(f, "a", kit.At(1200))
	if removed, read := round(t, f, r); removed != 0 || read != 1200 {
		t.Fatalf("first round: got %d removed, %d read", removed, read)
	}
	*clock = clock.Add(59 * time.Minute)
	if _, read := round(t, f, r); read != 0 {
		t.Errorf("within the hour: got %d read", read)
	}
	*clock = clock.Add(time.Minute)
	if _, read := round(t, f, r); read != 100 {
		t.Errorf("after an hour: got %d read, want those that have expired since", read)
	}
	f.heads[kit.Key("sub_7")] = store.Head{Revision: 2, Rule: ordering.Rule, Known: []ordering.Fact{{EventID: "evt_new", Moment: kit.At(5000), Terminal: true}}}
	*clock = clock.AddDate(0, 0, 7)
	if removed, read := round(t, f, r); removed != 1 || read != 1300 {
		t.Errorf("after a week: got %d removed, %d read, want all to be considered", removed, read)
	}
}

func TestRetentionResumes(t *testing.T) {
	t.Parallel()
	f := manyKept(1300)
	f.failAt = 1234
	r, clock := keeping(f, "a", kit.At(5000))
	if _, err := r.Round(t.Context()); err == nil {
		t.Fatal("got no error from a broken cursor")
	}
	f.read, f.failAt = 0, 0
	*clock = clock.Add(10 * time.Minute)
	if _, read := round(t, f, r); read != 301 {
		t.Errorf("got %d read, want those since the latest batch", read)
	}
}

func TestOneProcessEnforcesRetention(t *testing.T) {
	t.Parallel()
	f := manyKept(1300)
	first, clock := keeping(f, "a", kit.At(5000))
	second, later := keeping(f, "b", kit.At(5000))
	f.failAt = 600
	if _, err := first.Round(t.Context()); err == nil {
		t.Fatal("got no error from a broken cursor")
	}
	f.read, f.failAt = 0, 0
	if _, read := round(t, f, second); read != 0 {
		t.Errorf("during the turn of another: got %d read", read)
	}
	*later = later.Add(10 * time.Minute)
	if _, read := round(t, f, second); read != 801 {
		t.Errorf("after a crash of the other: got %d read", read)
	}
	*clock = later.Add(time.Minute)
	if _, read := round(t, f, first); read != 0 {
		t.Errorf("after the round of another: got %d read", read)
	}
}

// While a record is decided again from its trail, it may need what it did not depend on.
func TestRetentionLeavesWhatIsReadAgain(t *testing.T) {
	t.Parallel()
	f := trailOf(ordering.Rule, kit.Event("sub_1", "evt_1", "updated", 0, "active"), kit.Event("sub_1", "evt_2", "updated", 100, "active"), kit.Event("sub_1", "evt_3", "deleted", 200, "canceled"))
	r, clock := keeping(f, "a", kit.At(1000))
	head := f.heads[kit.Key("sub_1")]
	head.Reread, head.UpdatedAt = true, clock.Add(-time.Minute)
	f.heads[kit.Key("sub_1")] = head
	if removed, _ := round(t, f, r); removed != 0 {
		t.Errorf("got %d removed", removed)
	}
	*clock = clock.AddDate(0, 0, 7)
	if removed, _ := round(t, f, r); removed != 2 {
		t.Errorf("a week later: got %d removed, want 2", removed)
	}
}
