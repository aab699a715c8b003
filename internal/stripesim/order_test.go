package stripesim_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/test/corpus"
)

// allOrders is up to how many events arrive in every order.
const allOrders = 6

// TestOrderOfArrivalDoesNotMatter lets histories of every kind arrive in every order if
// they are small, and in some orders with repetitions if not; at once and one by one.
func TestOrderOfArrivalDoesNotMatter(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(*seed, 4))
	for _, s := range subscriptions(t, ofEachKind(*perKind/10)) {
		want := ordering.Fold(s.facts)
		for arrival := range arrivals(rng, s.facts) {
			if got := ordering.Fold(arrival); !same(want, got) {
				t.Fatalf("got %s, want %s\n%s", got.Explanation, want.Explanation, s)
			}
		}
		var kept []ordering.Fact
		for _, f := range shuffled(rng, s.facts) {
			kept = ordering.Fold(append(kept, f)).Relevant
		}
		if got := ordering.Fold(kept); !same(want, got) {
			t.Errorf("one by one: got %s, want %s\n%s", got.Explanation, want.Explanation, s)
		}
	}
}

// same is quicker than cmp.Equal.
func same(a, b ordering.Verdict) bool {
	return a.Winner == b.Winner && a.Ordering == b.Ordering && a.Explanation == b.Explanation && slices.Equal(a.Relevant, b.Relevant)
}

// arrivals returns orders in which facts can arrive.
func arrivals(rng *rand.Rand, facts []ordering.Fact) func(yield func([]ordering.Fact) bool) {
	if len(facts) <= allOrders {
		return permutations(facts)
	}
	return func(yield func([]ordering.Fact) bool) {
		for range 20 {
			repeated := append(slices.Clone(facts), facts[rng.IntN(len(facts))], facts[rng.IntN(len(facts))])
			if !yield(shuffled(rng, repeated)) {
				return
			}
		}
	}
}

// permutations returns all orders of a list, each as a new list.
func permutations[T any](list []T) func(yield func([]T) bool) {
	var visit func(head, rest []T, yield func([]T) bool) bool
	visit = func(head, rest []T, yield func([]T) bool) bool {
		if len(rest) == 0 {
			return yield(head)
		}
		for i := range rest {
			if !visit(append(slices.Clone(head), rest[i]), slices.Delete(slices.Clone(rest), i, i+1), yield) {
				return false
			}
		}
		return true
	}
	return func(yield func([]T) bool) { visit(nil, list, yield) }
}

// testEvent is an event as JSON, a number of seconds after midnight, with the members that
// differ from those of an active subscription with one item.
type testEvent struct {
	id, word string
	second   int
	object   map[string]any
	previous map[string]any
}

func (e testEvent) json(t *testing.T) []byte {
	t.Helper()
	midnight := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC).Unix()
	object := map[string]any{
		"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "created": midnight, "metadata": map[string]any{},
		"cancel_at_period_end": false, "items": map[string]any{"object": "list", "data": []any{
			map[string]any{"id": "si_1", "quantity": 1, "price": map[string]any{"id": "price_1"}},
		}},
	}
	maps.Copy(object, e.object)
	data := map[string]any{"object": object}
	if e.previous != nil {
		data["previous_attributes"] = e.previous
	}
	return []byte(encode(t, map[string]any{
		"id": e.id, "object": "event", "type": "customer.subscription." + e.word, "created": midnight + int64(e.second),
		"api_version": "2023-10-16", "livemode": false, "data": data,
	}))
}

func factsOf(t *testing.T, list []testEvent) (facts []ordering.Fact, status map[string]string) {
	t.Helper()
	n, status := normalizer(t), map[string]string{}
	for _, e := range list {
		m, err := n.Event(e.json(t), normalize.Receipt{Origin: events.OriginWebhook})
		if err != nil {
			t.Fatal(err)
		}
		fact, ok := ordering.FactOf(m)
		if !ok {
			t.Fatalf("%s has no fact", e.id)
		}
		facts, status[m.ID] = append(facts, fact), m.Data.Subscription.Status
	}
	return facts, status
}

type members = map[string]any

func quantity(n int) members {
	return members{"items": members{"object": "list", "data": []any{members{"id": "si_1", "quantity": n, "price": members{"id": "price_1"}}}}}
}

// TestKnownSequences lets events that are known to arrive in any order do so, with any
// ids.
func TestKnownSequences(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * 3600
	activated := testEvent{word: "updated", second: 1, previous: members{"status": "incomplete"}}
	incomplete := members{"status": "incomplete"}
	deleted := testEvent{word: "deleted", second: 10, object: members{"status": "canceled", "ended_at": 1767225610}}
	cases := map[string]struct {
		events []testEvent // in true order
		want   int         // index of the event that holds the state
	}{
		"created and the activation in one second": {[]testEvent{{word: "created", second: 1, object: incomplete}, activated}, 1},
		"created stamped 6 s after the activation": {[]testEvent{{word: "created", second: 7, object: incomplete}, activated}, 1},
		"created stamped 6 s late, without a stamp on the subscription": {
			[]testEvent{
				{word: "created", second: 7, object: members{"status": "incomplete", "created": nil}},
				{word: "updated", second: 1, object: members{"created": nil}, previous: members{"status": "incomplete"}},
			}, 1,
		},
		"the end of a trial is near, and it is changed in that second": {
			[]testEvent{
				{word: "trial_will_end", second: 1, object: members{"status": "trialing"}},
				{word: "updated", second: 1, previous: members{"status": "trialing"}},
			}, 1,
		},
		"a trial is changed, and its end is near in that second": {
			[]testEvent{
				{word: "updated", second: 1, object: members{"status": "trialing"}, previous: members{"status": "paused"}},
				{word: "trial_will_end", second: 1, object: members{"status": "trialing"}},
			}, 1,
		},
		"three updates in one second": {
			[]testEvent{
				{word: "updated", second: 1, object: quantity(2), previous: quantity(1)},
				{word: "updated", second: 1, object: quantity(3), previous: quantity(2)},
				{word: "updated", second: 1, object: quantity(1), previous: quantity(3)},
				{word: "updated", second: 1, object: quantity(5), previous: quantity(1)},
			}, 3,
		},
		"four updates in one second back and forth": {
			[]testEvent{
				{word: "created", second: -9},
				{word: "updated", second: 1, object: members{"cancel_at_period_end": true}, previous: members{"cancel_at_period_end": false}},
				{word: "updated", second: 1, previous: members{"cancel_at_period_end": true}},
				{word: "updated", second: 1, object: members{"cancel_at_period_end": true}, previous: members{"cancel_at_period_end": false}},
				{word: "updated", second: 1, object: members{"cancel_at_period_end": true, "metadata": members{"a": "b"}}, previous: members{"metadata": members{"a": nil}}},
			}, 4,
		},
		"deleted after an older update":         {[]testEvent{activated, deleted}, 1},
		"deleted, and an update of that second": {[]testEvent{{word: "updated", second: 10, previous: members{"status": "past_due"}}, deleted}, 1},
		"deleted, and an update stamped later":  {[]testEvent{{word: "updated", second: 99, previous: members{"status": "past_due"}}, deleted}, 1},
		"an event sent again after 29 days": {
			[]testEvent{
				{word: "updated", second: 1, previous: members{"status": "past_due"}},
				{word: "updated", second: 29 * 24 * 3600, object: members{"status": "past_due"}, previous: members{"status": "active"}},
				{word: "updated", second: month, previous: members{"status": "past_due"}},
			}, 2,
		},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for ids := range permutations([]int{0, 1, 2, 3, 4}[:len(tt.events)]) {
				checkOrders(t, withIDs(tt.events, ids), tt.want)
			}
		})
	}
}

// withIDs gives the events ids in some order.
func withIDs(list []testEvent, ids []int) []testEvent {
	list = slices.Clone(list)
	for i := range list {
		list[i].id = fmt.Sprintf("evt_%d", ids[i])
	}
	return list
}

func checkOrders(t *testing.T, list []testEvent, want int) {
	t.Helper()
	facts, status := factsOf(t, list)
	for arrival := range permutations(facts) {
		got := ordering.Fold(append(arrival, arrival[0])) // one comes twice
		right := got.Winner.After == facts[want].After && status[got.Winner.EventID] == status[facts[want].EventID]
		if !right || got.Ordering != ordering.Determined {
			t.Fatalf("got %s, %s, want %s: %s", got.Winner.EventID, got.Ordering, facts[want].EventID, got.Explanation)
		}
	}
}

// TestRecordedSequences lets the recorded events of single subscriptions arrive in every
// order. The names of their files give the true order.
func TestRecordedSequences(t *testing.T) {
	t.Parallel()
	n, sequences := normalizer(t), map[string][]ordering.Fact{}
	for _, file := range corpus.Load(t) {
		folder := path.Dir(file.Name)
		if !strings.HasPrefix(folder, "seq-") || !json.Valid(file.Raw) {
			continue
		}
		m, err := n.Event(file.Raw, normalize.Receipt{Origin: events.OriginWebhook})
		if err != nil {
			t.Fatalf("%s: %v", file.Name, err)
		}
		if fact, ok := ordering.FactOf(m); ok {
			sequences[folder+" "+m.SubscriptionKey()] = append(sequences[folder+" "+m.SubscriptionKey()], fact)
		}
	}
	for name, facts := range sequences {
		last := facts[len(facts)-1]
		for arrival := range permutations(facts) {
			if got := ordering.Fold(arrival); got.Winner != last || got.Ordering != ordering.Determined {
				t.Errorf("%s: got %s, %s, want %s: %s", name, got.Winner.EventID, got.Ordering, last.EventID, got.Explanation)
			}
		}
		t.Logf("%s: %d events", name, len(facts))
	}
}
