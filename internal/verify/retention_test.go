package verify_test

import (
	"context"
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

// forgetful is an audit trail that can forget.
type forgetful struct {
	documents []store.Expired
	known     map[string][]ordering.Fact
	most      int // of one removal
}

func (f *forgetful) Expired(_ context.Context, before time.Time) iter.Seq2[store.Expired, error] {
	return func(yield func(store.Expired, error) bool) {
		for _, doc := range slices.Clone(f.documents) {
			if doc.Created.Before(before) && !yield(doc, nil) {
				return
			}
		}
	}
}

func (f *forgetful) Known(_ context.Context, keys []string) (map[string][]ordering.Fact, error) {
	known := map[string][]ordering.Fact{}
	for _, key := range keys {
		known[key] = f.known[key]
	}
	return known, nil
}

func (f *forgetful) Forget(_ context.Context, ids []string) error {
	f.most = max(f.most, len(ids))
	f.documents = slices.DeleteFunc(f.documents, func(doc store.Expired) bool { return slices.Contains(ids, doc.ID) })
	return nil
}

// trailOf is the trail of one subscription, whose state rests on what it should,
// unless stated is false.
func trailOf(stated bool, messages ...events.Message) *forgetful {
	f := &forgetful{known: map[string][]ordering.Fact{}}
	var facts []ordering.Fact
	for _, m := range messages {
		fact, _ := ordering.FactOf(m)
		facts = append(facts, fact)
		f.documents = append(f.documents, store.Expired{ID: m.ID, Subscription: m.SubscriptionKey(), EventID: m.ID, Created: m.Time, Terminal: fact.Terminal})
	}
	if stated {
		f.known[kit.Key("sub_1")] = ordering.Fold(facts).Relevant
	}
	return f
}

func TestForgetKeepsWhatAStateRestsOn(t *testing.T) {
	t.Parallel()
	life := []events.Message{
		kit.Event("sub_1", "evt_1", "created", 0, "incomplete"), kit.Update("sub_1", "evt_2", 10, "incomplete", "active"),
		kit.Update("sub_1", "evt_3", 20, "active", "past_due"), kit.Update("sub_1", "evt_4", 20, "past_due", "unpaid"),
	}
	end := kit.Event("sub_1", "evt_5", "deleted", 30, "canceled")
	replaying := trailOf(true, life[:2]...)
	replaying.documents = trailOf(true, life...).documents
	invoice := trailOf(true, life[0])
	invoice.documents = append(invoice.documents, store.Expired{ID: "evt_9", EventID: "evt_9", Created: kit.At(5)})
	for name, tt := range map[string]struct {
		trail *forgetful
		want  []string
	}{
		"older ones go":                {trailOf(true, life...), []string{"evt_2", "evt_3", "evt_4"}},
		"the end is enough":            {trailOf(true, append(life, end)...), []string{"evt_5"}},
		"without a state nothing goes": {trailOf(false, life...), []string{"evt_1", "evt_2", "evt_3", "evt_4"}},
		"a replay is under way":        {replaying, []string{"evt_1", "evt_2", "evt_3", "evt_4"}},
		"what tells no state goes":     {invoice, []string{"evt_1"}},
		"what is not old enough stays": {trailOf(true, append(life, kit.Event("sub_1", "evt_6", "updated", 5000, "active"), kit.Event("sub_1", "evt_7", "updated", 6000, "active"))...), []string{"evt_6", "evt_7"}},
	} {
		if _, err := verify.Forget(t.Context(), tt.trail, kit.At(1000)); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, doc := range tt.trail.documents {
			got = append(got, doc.EventID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestForgetGoesInBoundedBatches(t *testing.T) {
	t.Parallel()
	f := &forgetful{}
	for n := range 1234 {
		id := fmt.Sprint(n)
		f.documents = append(f.documents, store.Expired{ID: id, EventID: id, Created: kit.At(n)})
	}
	removed, err := verify.Forget(t.Context(), f, kit.At(1200))
	if removed != 1200 || err != nil || len(f.documents) != 34 || f.most > 500 {
		t.Errorf("got %d removed, %v, %d left, at most %d at once", removed, err, len(f.documents), f.most)
	}
}
