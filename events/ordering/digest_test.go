package ordering_test

import (
	"testing"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// Texts and amounts of prices and coupons can change without an event of the
// subscription. Which prices and coupons it has cannot.
func TestDigestsIgnoreOtherObjects(t *testing.T) {
	t.Parallel()
	item := events.Item{ID: "si_1", PriceID: "price_1", Nickname: "Pro", UnitAmount: new(int64(900)), Discounts: []events.Discount{{ID: "di_1"}}}
	renamed := item
	renamed.Nickname, renamed.UnitAmount = "Pro (2025)", new(int64(1000))
	renamed.Discounts = []events.Discount{{ID: "di_1", CouponID: "HALF", PercentOff: "50"}}
	discounted := item
	discounted.Discounts = []events.Discount{{ID: "di_2"}}
	for name, tt := range map[string]struct {
		item events.Item
		same bool
	}{
		"other texts":    {renamed, true},
		"other discount": {discounted, false},
	} {
		for place, with := range map[string]func(events.Item) events.Subscription{
			"items": func(it events.Item) events.Subscription {
				return events.Subscription{ID: "sub_1", Items: []events.Item{it}}
			},
			"pending update": func(it events.Item) events.Subscription {
				return events.Subscription{ID: "sub_1", PendingUpdate: &events.PendingUpdate{SubscriptionItems: []events.Item{it}, Discounts: it.Discounts}}
			},
		} {
			if same := fullDigest(t, with(item)) == fullDigest(t, with(tt.item)); same != tt.same {
				t.Errorf("%s, %s: got same %v, want %v", place, name, same, tt.same)
			}
		}
	}
}

func fullDigest(t *testing.T, s events.Subscription) string {
	t.Helper()
	fact, ok := ordering.FactOf(events.Message{ID: "evt_1", Data: events.Data{Subscription: &s}})
	if !ok {
		t.Fatal("got no fact")
	}
	return fact.After.Full
}
