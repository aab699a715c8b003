package stripesim_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
)

// This file makes up histories in another way than the simulation does, with which the
// rule was built: a truth is a list of states, and what is wrong with its events is drawn
// at random.

// twist is what is wrong with the events of a tale.
type twist struct{ announced, late, versions, snapshots, cutOff bool }

func (w twist) isPlain() bool { return w == twist{} }

// twists are one each, and any of them at once.
func twists(rng *rand.Rand) map[string]twist {
	some := func() bool { return rng.IntN(2) == 0 }
	return map[string]twist{
		"plain": {}, "announced": {announced: true}, "late": {late: true}, "versions": {versions: true},
		"snapshots": {snapshots: true}, "cut off": {cutOff: true}, "several": {some(), some(), some(), some(), some()},
	}
}

// tale is the truth about a subscription, and what its events say.
type tale struct {
	rng      *rand.Rand
	twist    twist
	versions []string
	second   int64
	state    members
	events   []telling
}

// telling is an event or, without a word, a snapshot. It shows a state, and perhaps says
// what was before.
type telling struct {
	id, word, version string
	second            int64
	shown, was        members
	because           string
	cutOff            bool
}

const midnight = int64(1_767_225_600)

func oneOf[T any](rng *rand.Rand, list ...T) T { return list[rng.IntN(len(list))] }

func newTale(rng *rand.Rand, w twist) *tale {
	l := &tale{rng: rng, twist: w, second: midnight}
	l.versions = oneOf(rng, []string{"2015-10-01", "2020-08-27"}, []string{"2020-08-27", "2025-09-30.clover"}, []string{"2023-10-16", "2026-07-29.dahlia"})
	if !w.versions {
		l.versions = l.versions[rng.IntN(2):][:1]
	}
	l.state = members{
		"status": oneOf(rng, "trialing", "active"), "price": "price_1", "quantity": 1, "metadata": members{}, "end": midnight + 2_592_000,
		"cancel_at_period_end": false, "canceled_at": nil, "cancellation_details": members{"reason": nil},
		"default_payment_method": nil, "description": nil, "latest_invoice": "in_1",
	}
	l.add(telling{word: "created", shown: l.state, second: l.second + rng.Int64N(7)})
	l.second += oneOf[int64](rng, 0, 1, 40, 90_000)
	var last telling
	for range 2 + rng.IntN(5) {
		l.second += oneOf[int64](rng, 0, 0, 0, 1)
		last = l.change()
	}
	if w.cutOff {
		l.add(telling{shown: l.state, because: last.id})
	}
	return l
}

func (l *tale) add(e telling) telling {
	e.id = fmt.Sprintf("evt_%016x", l.rng.Uint64())
	e.version = oneOf(l.rng, l.versions...)
	e.cutOff = l.twist.cutOff && e.word != ""
	if e.second == 0 {
		e.second = l.second
	}
	if l.twist.late && e.was != nil && l.rng.IntN(3) == 0 {
		e.second += 1 + l.rng.Int64N(30)
	}
	l.events = append(l.events, e)
	return e
}

// change changes one or two things. Each takes one of few values, so that states come back. An event or a snapshot may show the state before, half way or after.
func (l *tale) change() telling {
	was := l.state
	for reflect.DeepEqual(was, l.state) {
		l.state = maps.Clone(was)
		for range oneOf(l.rng, 1, 1, 2) {
			l.changeOne()
		}
	}
	if l.twist.announced && l.rng.IntN(2) == 0 {
		word := oneOf(l.rng, "trial_will_end", "pending_update_expired", "paused", "resumed")
		l.add(telling{word: word, shown: l.halfWay(was), second: l.second + l.rng.Int64N(2)})
	}
	if l.twist.snapshots && l.rng.IntN(2) == 0 {
		l.add(telling{shown: was, second: l.second + l.rng.Int64N(2)})
	}
	e := l.add(telling{word: "updated", shown: l.state, was: was})
	if l.twist.snapshots && l.rng.IntN(2) == 0 {
		l.add(telling{shown: l.state, because: e.id})
	}
	return e
}

func (l *tale) changeOne() {
	s, rng := l.state, l.rng
	switch rng.IntN(7) {
	case 0:
		s["status"], s["latest_invoice"] = oneOf(rng, "active", "past_due"), fmt.Sprint("in_", rng.IntN(3))
	case 1:
		s["quantity"] = 1 + rng.IntN(3)
	case 2:
		s["price"] = fmt.Sprint("price_", rng.IntN(3))
	case 3:
		s["metadata"] = oneOf(rng, members{}, members{"plan": "pro"}, members{"plan": "team", "seats": "5"})
	case 4:
		s["default_payment_method"] = fmt.Sprint("pm_", rng.IntN(3))
	case 5:
		s["cancel_at_period_end"], s["canceled_at"], s["cancellation_details"] = false, nil, members{"reason": nil}
		if rng.IntN(2) == 0 {
			s["cancel_at_period_end"], s["canceled_at"], s["cancellation_details"] = true, l.second, members{"reason": "cancellation_requested"}
		}
	case 6:
		s["description"] = oneOf[any](rng, nil, "Pro", "Team")
	}
}

// halfWay returns the state before a change, after it, or with some of what it changes.
func (l *tale) halfWay(was members) members {
	shown := maps.Clone(was)
	for key, value := range l.state {
		if l.rng.IntN(2) == 0 {
			shown[key] = value
		}
	}
	return shown
}

// render shows a state as some version does.
func (e telling) render(state members) members {
	o := members{
		"id": "sub_1", "object": "subscription", "customer": "cus_1", "livemode": false, "status": state["status"], "metadata": state["metadata"],
		"cancel_at_period_end": state["cancel_at_period_end"], "canceled_at": state["canceled_at"], "items": e.items(state),
		"default_payment_method": state["default_payment_method"], "latest_invoice": state["latest_invoice"],
	}
	if e.version < "2025" {
		o["current_period_start"], o["current_period_end"] = midnight, state["end"]
	}
	if e.version >= "2020" {
		o["created"] = midnight
	}
	if e.version >= "2023" {
		o["description"], o["cancellation_details"] = state["description"], state["cancellation_details"]
	}
	return o
}

func (e telling) items(state members) members {
	list := []any{}
	for i := range 12 {
		it := members{"id": fmt.Sprint("si_", i), "object": "subscription_item", "quantity": 1, "price": members{"id": fmt.Sprint("price_of_", i)}}
		if i == 0 {
			it["quantity"], it["price"] = state["quantity"], members{"id": state["price"]}
		}
		if e.version >= "2025" {
			it["current_period_start"], it["current_period_end"] = midnight, state["end"]
		}
		list = append(list, it)
	}
	if !e.cutOff {
		return members{"object": "list", "data": list[:2], "has_more": false}
	}
	return members{"object": "list", "data": list[:10], "has_more": true}
}

// previous returns the members that differ, with their former values, and of objects
// that are no lists the members that differ.
func previous(was, is members) members {
	changed := members{}
	for key, before := range was {
		after, isObject := is[key].(members)
		switch {
		case reflect.DeepEqual(before, is[key]):
		case isObject && key != "items":
			changed[key] = previous(before.(members), after)
		default:
			changed[key] = before
		}
	}
	for key := range is {
		if _, ok := was[key]; !ok {
			changed[key] = nil
		}
	}
	return changed
}

func (e telling) read(t *testing.T, n *normalize.Normalizer) events.Message {
	t.Helper()
	at := time.Unix(e.second, 0).UTC()
	var m events.Message
	var err error
	if e.word == "" {
		m, err = n.Snapshot([]byte(encode(t, e.render(e.shown))), normalize.Reading{
			APIVersion: e.version, At: at, Origin: events.OriginThin, Reason: events.ReasonThin, ReceivedAt: at,
		})
	} else {
		data := members{"object": e.render(e.shown)}
		if e.was != nil {
			data["previous_attributes"] = previous(e.render(e.was), e.render(e.shown))
		}
		m, err = n.Event([]byte(encode(t, members{
			"id": e.id, "object": "event", "type": "customer.subscription." + e.word, "created": e.second,
			"api_version": e.version, "livemode": false, "data": data,
		})), normalize.Receipt{Origin: events.OriginWebhook})
	}
	if err != nil {
		t.Fatal(err)
	}
	m.Data.BecauseOf = e.because
	return m
}

// isRight reports whether an event shows the true end, as its version does. Items take no
// part if events list only some of them.
func (l *tale) isRight(t *testing.T, n *normalize.Normalizer, winner events.Message) bool {
	t.Helper()
	e := telling{id: "evt_end", word: "paused", version: winner.StripeAPIVersion, shown: l.state, second: l.second, cutOff: winner.Data.Subscription.ItemsTruncated}
	got, want := *winner.Data.Subscription, *e.read(t, n).Data.Subscription
	if l.twist.cutOff {
		got.Items, want.Items = nil, nil
	}
	return reflect.DeepEqual(got, want)
}

func (l *tale) String() string {
	var b strings.Builder
	for _, e := range l.events {
		fmt.Fprintf(&b, "\n  %3d %s %s %s", e.second-midnight, e.id, e.word, e.version)
		if e.because != "" {
			fmt.Fprintf(&b, " because of %s", e.because)
		}
		if e.was != nil {
			fmt.Fprintf(&b, " from %v", previous(e.shown, e.was))
		}
		fmt.Fprintf(&b, " shows %v", e.shown)
	}
	return fmt.Sprintf("%s\n  the end is %v", b.String(), l.state)
}

// TestTales puts made-up histories in order. All have a beginning, and nothing is missing.
func TestTales(t *testing.T) {
	t.Parallel()
	n, rng := normalizer(t), rand.New(rand.NewPCG(*seed, 9))
	for _, kind := range slices.Sorted(maps.Keys(twists(rng))) {
		unknown := 0
		for range *perKind {
			l := newTale(rng, twists(rng)[kind])
			unknown += count(checkTale(t, n, l))
		}
		t.Logf("%s: %d of %d are ambiguous, although one truth alone explains the events; seed %d", kind, unknown, *perKind, *seed)
	}
}

// checkTale reports whether the verdict is ambiguous.
func checkTale(t *testing.T, n *normalize.Normalizer, l *tale) bool {
	t.Helper()
	var facts []ordering.Fact
	messages := map[string]events.Message{}
	for _, e := range l.events {
		m := e.read(t, n)
		fact, _ := ordering.FactOf(m)
		facts, messages[m.ID] = append(facts, fact), m
	}
	v := ordering.Fold(facts)
	for range 10 {
		if got := ordering.Fold(shuffled(l.rng, facts)); !same(v, got) {
			t.Errorf("in another order got %s, want %s; %s%s", got.Explanation, v.Explanation, repeat(), l)
		}
	}
	isAmbiguous := v.Ordering == ordering.Ambiguous
	if !isAmbiguous && !l.isRight(t, n, messages[v.Winner.EventID]) || isAmbiguous && l.twist.isPlain() {
		t.Errorf("got %s: %s; %+v; %s%s", v.Ordering, v.Explanation, l.twist, repeat(), l)
	}
	return isAmbiguous
}
