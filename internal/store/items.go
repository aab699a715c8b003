package store

import (
	"slices"
	"strings"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// Verdict is what the facts of a subscription say about its record.
type Verdict struct {
	ordering.Verdict
	// Items is the event whose complete list of items fills up that of the winner. It
	// is the zero Fact if the winner lists all items, or if no event does.
	Items ordering.Fact
}

// Decide is [ordering.Fold] for a record. A winner that lists only some of the items
// needs the latest complete list, so Relevant also has the facts that decide which
// list that is. With them the verdict is still a function of the set of facts:
// Decide(Relevant ∪ new) equals Decide(all ∪ new).
func Decide(facts []ordering.Fact) Verdict {
	v := Verdict{Verdict: ordering.Fold(facts)}
	complete := slices.DeleteFunc(slices.Clone(facts), func(f ordering.Fact) bool { return f.ItemsTruncated })
	if len(complete) == 0 || len(complete) == len(facts) {
		return v
	}
	lists := ordering.Fold(complete)
	v.Relevant = union(v.Relevant, lists.Relevant)
	if v.Winner.ItemsTruncated {
		v.Items = lists.Winner
	}
	return v
}

func union(a, b []ordering.Fact) []ordering.Fact {
	all := slices.SortedStableFunc(slices.Values(slices.Concat(a, b)), func(a, b ordering.Fact) int {
		return strings.Compare(a.EventID, b.EventID)
	})
	return slices.CompactFunc(all, func(a, b ordering.Fact) bool { return a.EventID == b.EventID })
}

// WithItems returns the winner with the items of another message that it does not
// list itself. They may have changed or be gone, so the list stays marked as truncated.
func WithItems(winner, list events.Message) events.Message {
	sub := *winner.Data.Subscription
	if !sub.ItemsTruncated {
		return winner
	}
	listed := make(map[string]events.Item, len(sub.Items))
	for _, item := range sub.Items {
		listed[item.ID] = item
	}
	var items []events.Item
	for _, item := range list.Data.Subscription.Items {
		if newer, ok := listed[item.ID]; ok {
			item = newer
			delete(listed, item.ID)
		}
		items = append(items, item)
	}
	for _, item := range sub.Items {
		if _, ok := listed[item.ID]; ok {
			items = append(items, item)
		}
	}
	sub.Items = items
	winner.Data.Subscription = &sub
	return winner
}
