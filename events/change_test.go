package events_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

// An item that a truncated list lacks may still be there.
func TestTruncatedItemsAreNotCompared(t *testing.T) {
	t.Parallel()
	list := func(truncated bool, ids ...string) *events.Subscription {
		one, sub := int64(1), &events.Subscription{Status: events.StatusActive, ItemsTruncated: truncated}
		for _, id := range ids {
			sub.Items = append(sub.Items, events.Item{ID: id, PriceID: "price_" + id, Quantity: &one})
		}
		return sub
	}
	seven := int64(7)
	more := list(true, "a", "b")
	more.Items[1].Quantity = &seven
	upgraded := list(true, "b", "a")
	upgraded.Items[1].PriceID = "price_new"
	for name, tt := range map[string]struct {
		before, after *events.Subscription
		want          events.Change
	}{
		"nothing":                    {list(true, "a", "b"), list(true, "a", "b"), events.ChangeOther},
		"another item is cut off":    {list(true, "a", "b"), list(true, "b", "c"), events.ChangeOther},
		"all are other items":        {list(true, "a", "b"), list(true, "c", "d"), events.ChangeOther},
		"an item that is listed":     {list(true, "a", "b"), more, events.ChangeQuantity},
		"a price in another order":   {list(true, "a", "b"), upgraded, events.ChangePlan},
		"complete, then truncated":   {list(false, "a", "b"), list(true, "b"), events.ChangeOther},
		"one is certainly new":       {list(false, "a", "b"), list(true, "a", "c"), events.ChangeItems},
		"truncated, then complete":   {list(true, "a"), list(false, "a", "b"), events.ChangeOther},
		"one is certainly gone":      {list(true, "a", "b"), list(false, "b"), events.ChangeItems},
		"both are complete, one new": {list(false, "a"), list(false, "a", "b"), events.ChangeItems},
	} {
		got := events.Changes(events.StripeTypeUpdated, tt.before, tt.after)
		if diff := cmp.Diff([]events.Change{tt.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
