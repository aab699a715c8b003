package stripesim

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is what makes the end of a history hard to put in order: several changes
// within a second or two, and what else can happen to them.
type Kind string

// The kinds of histories. But for the last five, nothing is missing in them, and
// each change has one event.
const (
	// Chain is two to five changes, which may undo each other.
	Chain Kind = "chain"
	// Created begins the history with these seconds, its first event stamped up
	// to 6 s late.
	Created Kind = "created"
	// Toggle goes to and fro, and ends where it was not before.
	Toggle Kind = "toggle"
	// Circle goes to and fro, and ends where it was before.
	Circle Kind = "circle"
	// OpenCircle is one of which nothing before is known: two truths are possible.
	OpenCircle Kind = "open-circle"
	// Beginning is a chain of which nothing before is known.
	Beginning Kind = "beginning"
	// Marker has among its changes an event that tells of none.
	Marker Kind = "marker"
	// Ended has the end of the subscription among its changes.
	Ended Kind = "ended"
	// Silent has texts of prices and coupons that change without an event.
	Silent Kind = "silent"
	// Sparse is a chain rendered before 2017-05-25, with arrays that list changed
	// elements only.
	Sparse Kind = "sparse"
	// Mixed is a chain in which each event is in an API version of its own.
	Mixed Kind = "mixed"
	// Renderings tells each event of a chain in two API versions, under one id.
	Renderings Kind = "renderings"
	// TestClock is months in a few seconds.
	TestClock Kind = "test-clock"
	// Doubled has a change of which Stripe makes two events, for one request.
	Doubled Kind = "doubled"
	// DoubledSilently has one without a request to know it by.
	DoubledSilently Kind = "doubled-silently"
	// LostMarker lacks the last change, but for an event that tells of none.
	LostMarker Kind = "lost-marker"
	// LostSnapshot lacks the last change, but for the subscription as it was read
	// from the API afterwards.
	LostSnapshot Kind = "lost-snapshot"
	// Lost lacks a change between two others.
	Lost Kind = "lost"
)

// Kinds are all kinds.
func Kinds() []Kind {
	var kinds []Kind
	for _, k := range knots() {
		kinds = append(kinds, k.kind)
	}
	return kinds
}

// SentKinds are those that webhooks alone tell completely, so that their end is
// either known or known to be open.
func SentKinds() []Kind {
	return slices.DeleteFunc(Kinds(), func(k Kind) bool {
		return slices.Contains([]Kind{DoubledSilently, LostMarker, LostSnapshot, Lost}, k)
	})
}

// knot is how a kind of history goes: a story, and what ties its end.
type knot struct {
	kind  Kind
	tie   step
	needs func(shape) bool
	from  []story // what happens before; the usual if nil
	open  bool
}

func knots() []knot {
	onTrial := []story{{steps: []step{trial}}, {steps: []step{trialWithoutCard}}, {steps: []step{trial, extendTrial}}}
	return []knot{
		{kind: Chain, tie: (*life).rush},
		{kind: Created, tie: start, from: []story{{}}},
		{kind: Toggle, tie: func(l *life) { l.toggle(pick(l, 3, 5)) }},
		{kind: Circle, tie: func(l *life) { l.toggle(pick(l, 2, 2, 4)) }},
		{kind: OpenCircle, tie: openCircle, open: true},
		{kind: Beginning, tie: beginning},
		{kind: Marker, tie: mark, from: onTrial},
		{kind: Ended, tie: finish},
		{kind: Silent, tie: silence, needs: shape.modern},
		{kind: Sparse, tie: (*life).rush, needs: shape.elementwise},
		{kind: Mixed, tie: mix, needs: shape.modern},
		{kind: Renderings, tie: tellTwice, needs: shape.modern},
		{kind: TestClock, tie: hurry, from: []story{{steps: []step{subscribe, pay}}}, needs: shape.modern},
		{kind: Doubled, tie: double},
		{kind: DoubledSilently, tie: double},
		{kind: LostMarker, tie: loseAndMark},
		{kind: LostSnapshot, tie: loseAndRead},
		{kind: Lost, tie: loseBetween},
	}
}

// usual is what has happened to a subscription that goes on.
func usual() []story {
	return []story{
		{steps: []step{subscribe, pay}},
		{steps: []step{subscribe, pay, renew}},
		{steps: []step{subscribe, pay, changePlan, changeQuantity}},
		{steps: []step{subscribe, pay, changeMetadata, changeCard}},
		{steps: []step{trial, trialWillEnd, trialEnds}},
	}
}

func knotOf(kind Kind) knot {
	for _, k := range knots() {
		if k.kind == kind {
			return k
		}
	}
	panic(fmt.Sprintf("stripesim: no histories of kind %q, only of %v", kind, Kinds()))
}

// entangle tells a history whose end is of one kind.
func (l *life) entangle(k knot) {
	l.kind, l.open = k.kind, k.open
	before := k.from
	if before == nil {
		before = usual()
	}
	able := slices.DeleteFunc(slices.Clone(l.shapes), func(s shape) bool { return k.needs != nil && !k.needs(s) })
	l.shape = pick(l, able...)
	l.arrive()
	for _, next := range pick(l, before...).steps {
		next(l)
	}
	l.wait(hour, day)
	l.frozen = true
	k.tie(l)
	l.frozen = false
}

func start(l *life) {
	if l.chance(0.3) {
		trial(l)
	} else {
		subscribe(l)
		pay(l)
	}
	l.rush()
}

// toggle changes one thing to and fro within one second.
func (l *life) toggle(times int) {
	there, back := l.schedule, l.withdraw
	if was := l.sub.metadata; l.sub.scheduled() || l.chance(0.5) {
		there = func() { l.sub.metadata = withPair(was, "toggled", "yes") }
		back = func() { l.sub.metadata = was }
	}
	for i := range times {
		if i%2 == 0 {
			there()
		} else {
			back()
		}
		l.update()
	}
}

func openCircle(l *life) {
	l.forget()
	l.toggle(pick(l, 2, 4))
}

func beginning(l *life) {
	l.forget()
	l.rush()
	l.changeForGood() // a circle would have two ends
}

// changeForGood leads to a state that was never before, so that one event alone
// tells of it.
func (l *life) changeForGood() {
	l.sub.metadata = withPair(l.sub.metadata, "last", l.id("", 6))
	l.update()
}

// forget loses all that was told so far.
func (l *life) forget() { l.deliveries = nil }

func mark(l *life) {
	for i, at, n := 0, l.rng.IntN(4), 3; i <= n; i++ {
		if i == at {
			l.tell("trial_will_end")
		} else {
			l.change()
		}
	}
}

// change is one small change that this rendering shows.
func (l *life) change() {
	for !l.aside() {
	}
}

func finish(l *life) {
	for range l.rng.IntN(3) {
		l.change()
	}
	cancelNow(l)
	for range l.rng.IntN(3) {
		afterword(l)
	}
}

// silence changes between the events what belongs to other objects.
func silence(l *life) {
	grantDiscount(l)
	for range l.rng.IntN(3) + 1 {
		l.change()
		l.rename()
	}
	l.changeForGood()
}

// rename changes texts of the price and the coupon. Nothing tells of it, so it
// is as if it had been so before.
func (l *life) rename() {
	d := *l.sub.discount
	d.name = l.id("Named ", 4)
	for _, s := range []*subscription{&l.sub, &l.was} {
		s.items = slices.Clone(s.items)
		s.items[0].price.nickname, s.items[0].price.lookupKey = l.id("named ", 4), l.id("key_", 4)
		if s.discount != nil {
			s.discount = &d
		}
	}
}

// tellTwice is told in two renderings each.
func tellTwice(l *life) {
	l.rush()
	l.changeForGood()
}

// mix renders each event in a version of its own, all of which have prices.
func mix(l *life) {
	able := slices.DeleteFunc(slices.Clone(l.shapes), func(s shape) bool { return !s.modern() })
	for n := pick(l, 2, 3, 4, 5); n > 0; n-- {
		l.shape = pick(l, able...)
		if n > 1 {
			l.change()
		} else {
			l.changeForGood()
		}
	}
}

// hurry lets months go by while the events are stamped with the seconds that it
// truly takes.
func hurry(l *life) {
	l.wall, l.frozen = l.now, false
	for range pick(l, 1, 2, 3, 4) {
		pick(l, renew, renew, changePlan, changeQuantity, changeMetadata)(l)
		if l.chance(0.3) {
			l.wall++
		}
	}
	l.frozen = true
}

// double makes a second event of one of some changes.
func double(l *life) {
	n := pick(l, 2, 3, 4)
	twice := l.rng.IntN(n)
	for i := range n {
		l.caused = i == twice
		l.cause = l.doubledRequest()
		l.change()
		if l.caused {
			l.again()
		}
	}
	l.caused = false
}

// doubledRequest is the request of a change that is told twice.
func (l *life) doubledRequest() any {
	id := any(l.id("req_", 14))
	if l.kind == DoubledSilently {
		id = nil
	}
	if l.shape.era == era2015 {
		return id
	}
	return object{"id": id, "idempotency_key": nil}
}

// again tells of the last change under another id.
func (l *life) again() {
	d := l.deliveries[len(l.deliveries)-1]
	id := l.id("evt_1", 23)
	d.Body = []byte(strings.Replace(string(d.Body), d.ID, id, 1))
	d.ID, l.lastID = id, id
	l.deliveries = append(l.deliveries, d)
}

func loseAndMark(l *life) {
	l.changeThenLose()
	l.now += l.between(0, 2)
	word := "pending_update_expired"
	if l.sub.status == "trialing" {
		word = "trial_will_end"
	}
	l.tell(word)
}

func loseAndRead(l *life) {
	l.changeThenLose()
	l.now += l.between(0, 2)
	l.read()
}

func (l *life) changeThenLose() {
	for range l.rng.IntN(3) + 1 {
		l.change()
	}
	l.lose()
}

// lose makes a change of which no event is known.
func (l *life) lose() {
	told := len(l.deliveries)
	if l.kind == Lost {
		l.change()
	} else {
		// If it led back, a marker could not tell that it was there.
		l.sub.metadata = withPair(l.sub.metadata, "lost", l.id("", 6))
		l.update()
	}
	l.deliveries = slices.Clip(l.deliveries[:told])
}

func loseBetween(l *life) {
	l.changeThenLose()
	l.change()
}

// read is somebody who reads the subscription from the API.
func (l *life) read() {
	l.deliveries = append(l.deliveries, Delivery{
		Type: Snapshot, Created: l.stamped(l.now), SubscriptionID: l.sub.id, APIVersion: l.shape.version, at: l.now,
		Body: render(l.shape.subscription(&l.sub, l.livemode)),
	})
	l.lastID = ""
	l.was, l.told = l.sub, l.shape.normalized(&l.sub, l.livemode)
}
