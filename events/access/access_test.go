package access_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/access"
)

func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func subscription(id, status string, start, end int, products ...string) access.Record {
	r := access.Record{Subscription: events.Subscription{
		ID: id, Status: status, Access: events.Access(status), StartDate: day(start), CustomerID: "cus_1", UserID: "u1",
	}}
	if end > 0 {
		r.EndsAt = day(end)
	}
	for _, p := range products {
		r.Items = append(r.Items, events.Item{ProductID: p, PriceID: "price_" + p})
	}
	return r
}

func TestTakesAway(t *testing.T) {
	t.Parallel()
	of := func(records ...access.Record) events.AccessDocument { return access.Of(records, nil) }
	basic, pro := subscription("sub_1", "active", 1, 0, "basic"), subscription("sub_2", "active", 2, 0, "pro")
	ended, late := subscription("sub_1", "canceled", 1, 3, "basic"), subscription("sub_1", "past_due", 1, 0, "basic")
	for name, tt := range map[string]struct {
		before, after events.AccessDocument
		want          bool
	}{
		"the same":           {of(basic), of(basic), false},
		"one more":           {of(basic), of(basic, pro), false},
		"from the beginning": {events.AccessDocument{}, of(basic), false},
		"the last one":       {of(basic), of(ended), true},
		"one of two":         {of(basic, pro), of(ended, pro), true},
		"another product":    {of(basic), of(ended, pro), true},
		"a payment is late":  {of(basic), of(late), true},
		"it was paid":        {of(late), of(basic), false},
	} {
		if got := access.TakesAway(tt.before, tt.after); got != tt.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func uncertain(r access.Record) access.Record { return or(r, events.AccessGranted, events.AccessNone) }

// or adds alternatives with the same items.
func or(r access.Record, levels ...string) access.Record {
	for _, level := range levels {
		r.Alternatives = append(r.Alternatives, access.Alternative{Access: level, SameItems: true})
	}
	return r
}

func product(id, subscription, level string) events.AccessProduct {
	return events.AccessProduct{ProductID: id, PriceID: "price_" + id, SubscriptionID: subscription, Access: level}
}

func TestOf(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		records []access.Record
		want    events.AccessDocument
	}{
		"nothing": {nil, events.AccessDocument{Access: "none", Explanation: "There is no subscription."}},
		"one that ended": {
			[]access.Record{subscription("sub_1", "canceled", 1, 9, "a")},
			events.AccessDocument{Access: "none", Subscriptions: []string{"sub_1"}, Explanation: "Subscription sub_1 is canceled."},
		},
		"an old one ended after a new one began": {
			[]access.Record{subscription("sub_1", "canceled", 1, 9, "a"), subscription("sub_2", "active", 8, 0, "b")},
			events.AccessDocument{
				Access: "granted", SubscriptionID: "sub_2", Since: day(8), Subscriptions: []string{"sub_1", "sub_2"},
				Products: []events.AccessProduct{product("b", "sub_2", "granted")}, Explanation: "Subscription sub_2 is active; subscriptions that give access: 1 of 2.",
			},
		},
		"two products, one of them overdue": {
			[]access.Record{subscription("sub_1", "past_due", 1, 0, "a"), subscription("sub_2", "trialing", 8, 20, "b")},
			events.AccessDocument{
				Access: "granted", SubscriptionID: "sub_2", Since: day(8), Until: day(20), Subscriptions: []string{"sub_1", "sub_2"},
				Products:    []events.AccessProduct{product("a", "sub_1", "grace"), product("b", "sub_2", "granted")},
				Explanation: "Subscription sub_2 is trialing; subscriptions that give access: 2 of 2.",
			},
		},
		"the one that lasts": {
			[]access.Record{subscription("sub_1", "active", 1, 9), subscription("sub_2", "active", 3, 0), subscription("sub_3", "active", 2, 12)},
			events.AccessDocument{
				Access: "granted", SubscriptionID: "sub_2", Since: day(3), Subscriptions: []string{"sub_1", "sub_2", "sub_3"},
				Explanation: "Subscription sub_2 is active; subscriptions that give access: 3 of 3.",
			},
		},
		"a status that nobody knows": {
			[]access.Record{subscription("sub_1", "dormant", 1, 0, "a"), subscription("sub_2", "unpaid", 1, 0, "b")},
			events.AccessDocument{Access: "none", Subscriptions: []string{"sub_1", "sub_2"}, Explanation: "None of the 2 subscriptions gives access."},
		},
		"uncertain, and it matters": {
			[]access.Record{uncertain(subscription("sub_1", "active", 1, 0, "a"))},
			events.AccessDocument{
				Access: "granted", SubscriptionID: "sub_1", Since: day(1), Subscriptions: []string{"sub_1"}, Ambiguous: true,
				Products: []events.AccessProduct{product("a", "sub_1", "granted")}, Explanation: "Subscription sub_1 is active.",
			},
		},
		"another status, and the same access": {
			[]access.Record{or(subscription("sub_1", "trialing", 1, 0, "a"), events.AccessGranted)},
			events.AccessDocument{
				Access: "granted", SubscriptionID: "sub_1", Since: day(1), Subscriptions: []string{"sub_1"},
				Products: []events.AccessProduct{product("a", "sub_1", "granted")}, Explanation: "Subscription sub_1 is trialing.",
			},
		},
		"one of two is enough, and both are uncertain": {
			[]access.Record{uncertain(subscription("sub_1", "active", 1, 0, "a")), uncertain(subscription("sub_2", "active", 2, 0, "a"))},
			events.AccessDocument{
				Access: "granted", SubscriptionID: "sub_1", Since: day(1), Subscriptions: []string{"sub_1", "sub_2"}, Ambiguous: true,
				Products:    []events.AccessProduct{product("a", "sub_1", "granted"), product("a", "sub_2", "granted")},
				Explanation: "Subscription sub_1 is active; subscriptions that give access: 2 of 2.",
			},
		},
		"uncertain, but another one gives the same": {
			[]access.Record{uncertain(subscription("sub_1", "unpaid", 1, 0, "a")), subscription("sub_2", "active", 2, 0, "a")},
			events.AccessDocument{
				Access: "granted", SubscriptionID: "sub_2", Since: day(2), Subscriptions: []string{"sub_1", "sub_2"},
				Products: []events.AccessProduct{product("a", "sub_2", "granted")}, Explanation: "Subscription sub_2 is active; subscriptions that give access: 1 of 2.",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if len(tt.records) > 0 {
				tt.want.UserID, tt.want.CustomerIDs = "u1", []string{"cus_1"}
			}
			for range 5 {
				rand.Shuffle(len(tt.records), func(i, j int) { tt.records[i], tt.records[j] = tt.records[j], tt.records[i] })
				if diff := cmp.Diff(tt.want, access.Of(tt.records, nil)); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			}
		})
	}
}

func TestOfSeveralUsers(t *testing.T) {
	t.Parallel()
	other := subscription("sub_2", "active", 1, 0)
	other.UserID, other.CustomerID = "u2", "cus_2"
	got := access.Of([]access.Record{subscription("sub_1", "active", 1, 0), other}, []string{"b", "a", "b"})
	if got.UserID != "" || len(got.CustomerIDs) != 2 || !cmp.Equal(got.Features, []string{"a", "b"}) {
		t.Errorf("got %+v, want no user, two customers and two features", got)
	}
}

func TestSameAnswer(t *testing.T) {
	t.Parallel()
	active := access.Of([]access.Record{subscription("sub_1", "active", 1, 0, "a")}, nil)
	for name, tt := range map[string]struct {
		other access.Record
		want  bool
	}{
		"another reason":       {subscription("sub_1", "trialing", 1, 0, "a"), true},
		"an end":               {subscription("sub_1", "active", 1, 9, "a"), false},
		"another product":      {subscription("sub_1", "active", 1, 0, "b"), false},
		"another subscription": {subscription("sub_2", "active", 1, 0, "a"), false},
		"no access":            {subscription("sub_1", "unpaid", 1, 0, "a"), false},
	} {
		if got := active.SameAnswer(access.Of([]access.Record{tt.other}, nil)); got != tt.want {
			t.Errorf("%s: got %t, want %t", name, got, tt.want)
		}
	}
	doc := active
	doc.Revision, doc.Since = 7, active.Since.In(time.FixedZone("", 3600))
	if !active.SameAnswer(doc) {
		t.Error("a revision and a time zone are no other answer")
	}
}
