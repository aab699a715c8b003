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

// expiring is a store with an audit trail that can be removed.
type expiring struct {
	documents []store.Expired
	heads     map[string]store.Head
	most      int // documents of one removal
}

func (f *expiring) Expired(_ context.Context, before time.Time) iter.Seq2[store.Expired, error] {
	return func(yield func(store.Expired, error) bool) {
		for _, doc := range slices.Clone(f.documents) {
			if doc.Created.Before(before) && !yield(doc, nil) {
				return
			}
		}
	}
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
		if _, err := verify.RemoveExpired(t.Context(), tt.trail, kit.At(1000)); err != nil {
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

func TestRemoveExpiredUsesBatches(t *testing.T) {
	t.Parallel()
	f := &expiring{}
	for n := range 1234 {
		id := fmt.Sprint(n)
		f.documents = append(f.documents, store.Expired{ID: id, EventID: id, Created: kit.At(n)})
	}
	removed, err := verify.RemoveExpired(t.Context(), f, kit.At(1200))
	if removed != 1200 || err != nil || len(f.documents) != 34 || f.most > 500 {
		t.Errorf("got %d removed, %v, %d left, at most %d at once", removed, err, len(f.documents), f.most)
	}
}
