package stripesim

import (
	"fmt"
	"slices"
	"strings"
)

// Kind says what makes the end of a history hard to put in order: several changes
// within a second or two, and more.
type Kind string

// The kinds of histories. Except in the doubled and lost ones, nothing is missing, and each
// change has one event.
const (
	// Chain is two to five changes, which may undo each other.
	Chain Kind = "chain"
	// Created is a chain at the beginning of the history. The created event is
	// stamped up to 6 s late.
	Created Kind = "created"
	// Toggle changes one thing back and forth, and ends with the other value.
	Toggle Kind = "toggle"
	// Circle changes one thing back and forth, and ends with the value it had before.
	Circle Kind = "circle"
	// OpenCircle is a circle without any earlier event, so it can end in two states.
	OpenCircle Kind = "open-circle"
	// Beginning is a chain without any earlier event.
	Beginning Kind = "beginning"
	// Marker has an event among its changes that only shows a state.
	Marker Kind = "marker"
	// Ended has the end of the subscription among its changes.
	Ended Kind = "ended"
	// Silent has changes of prices and coupons between its events, which have no event
	// of the subscription.
	Silent Kind = "silent"
	// Sparse is a chain in a rendering from before 2017-05-25: its
	// previous_attributes list only the changed elements of arrays.
	Sparse Kind = "sparse"
	// Mixed is a chain in which each event has another API version.
	Mixed Kind = "mixed"
	// Renderings is a chain in which each event comes in two API versions, with one id.
	Renderings Kind = "renderings"
	// TestClock is months of a test clock in a few seconds.
	TestClock Kind = "test-clock"
	// Doubled has a change for which Stripe makes two events with the same request.
	Doubled Kind = "doubled"
	// DoubledSilently is the same without a request.
	DoubledSilently Kind = "doubled-silently"
	// LostMarker lacks the event of the last change. An event that only shows the
	// state follows.
	LostMarker Kind = "lost-marker"
	// LostSnapshot lacks the event of the last change. A snapshot follows.
	LostSnapshot Kind = "lost-snapshot"
	// Lost lacks the event of a change between two others.
	Lost Kind = "lost"

	// The following are traits. Alone they are chains; joined to another kind or to each
	// other by "+", such as "toggle+late", they change how its events come.

	// Announced has events that announce something. They show the subscription before or
	// half way through a change, and are stamped like the change or a little later.
	Announced Kind = "announced"
	// Late has stamps that are up to 12 s late.
	Late Kind = "late"
	// TwoVersions has each event in one of two API versions. Some changes are not visible
	// in both.
	TwoVersions Kind = "two-versions"
	// StaleSnapshot has snapshots that were read before a change and stamped after it, and
	// snapshots that were read because of an event, in its second.
	StaleSnapshot Kind = "stale-snapshot"
	// Truncated has twelve items, but events list ten. In the end, the subscription
	// is read because of its last event.
	Truncated Kind = "truncated"
)

// traits are the kinds that can be joined to others.
func traits() []Kind { return []Kind{Announced, Late, TwoVersions, StaleSnapshot, Truncated} }

// parts splits a kind into a kind without traits, [Chain] if there is none, and traits.
func (k Kind) parts() (base Kind, with []Kind) {
	base = Chain
	for part := range strings.SplitSeq(string(k), "+") {
		if slices.Contains(traits(), Kind(part)) {
			with = append(with, Kind(part))
		} else {
			base = Kind(part)
		}
	}
	return base, with
}

func (k Kind) has(trait Kind) bool {
	_, with := k.parts()
	return slices.Contains(with, trait)
}

// Kinds returns all kinds.
func Kinds() []Kind {
	var kinds []Kind
	for _, k := range endings() {
		kinds = append(kinds, k.kind)
	}
	return append(kinds, traits()...)
}

// Combinations returns the kinds of complete histories with each trait, and with all.
func Combinations() []Kind {
	var kinds []Kind
	for _, base := range Kinds()[:slices.Index(Kinds(), DoubledSilently)] {
		all := base
		for _, trait := range traits() {
			kinds = append(kinds, base+"+"+trait)
			all += "+" + trait
		}
		kinds = append(kinds, all)
	}
	return kinds
}

// SentKinds returns the kinds whose webhooks are complete: their end is known, or
// known to be open.
func SentKinds() []Kind {
	return slices.DeleteFunc(Kinds(), func(k Kind) bool {
		return slices.Contains([]Kind{DoubledSilently, LostMarker, LostSnapshot, Lost, StaleSnapshot, Truncated}, k)
	})
}

// MayBeAmbiguous reports whether the events of some histories of a complete kind can also
// be those of another, because stamps or renderings differ.
func (k Kind) MayBeAmbiguous() bool { return k.has(Late) || k.has(TwoVersions) }

// ending is how the histories of one kind end.
type ending struct {
	kind  Kind
	end   step
	needs func(shape) bool
	from  []story // what happens before; usual() if nil
	open  bool
}

func endings() []ending {
	onTrial := []story{{steps: []step{trial}}, {steps: []step{trialWithoutCard}}, {steps: []step{trial, extendTrial}}}
	return []ending{
		{kind: Chain, end: (*life).rush},
		{kind: Created, end: start, from: []story{{}}},
		{kind: Toggle, end: func(l *life) { l.toggle(pick(l, 3, 5)) }},
		{kind: Circle, end: func(l *life) { l.toggle(pick(l, 2, 2, 4)) }},
		{kind: OpenCircle, end: openCircle, open: true},
		{kind: Beginning, end: unknownBeginning},
		{kind: Marker, end: emitMarker, from: onTrial},
		{kind: Ended, end: endAmongChanges},
		{kind: Silent, end: changeSilently, needs: shape.modern},
		{kind: Sparse, end: (*life).rush, needs: shape.elementwise},
		{kind: Mixed, end: mixVersions, needs: shape.modern},
		{kind: Renderings, end: renderTwice, needs: shape.modern},
		{kind: TestClock, end: runTestClock, from: []story{{steps: []step{subscribe, pay}}}, needs: shape.modern},
		{kind: Doubled, end: double},
		{kind: DoubledSilently, end: double},
		{kind: LostMarker, end: loseThenMark},
		{kind: LostSnapshot, end: loseAndRead},
		{kind: Lost, end: loseBetween},
	}
}

// usual returns what happens before most endings.
func usual() []story {
	return []story{
		{steps: []step{subscribe, pay}},
		{steps: []step{subscribe, pay, renew}},
		{steps: []step{subscribe, pay, changePlan, changeQuantity}},
		{steps: []step{subscribe, pay, changeMetadata, changeCard}},
		{steps: []step{trial, trialWillEnd, trialEnds}},
	}
}

func endingOf(kind Kind) ending {
	base, _ := kind.parts()
	for _, k := range endings() {
		if k.kind != base {
			continue
		}
		k.kind = kind
		if kind.has(TwoVersions) || kind.has(Truncated) {
			needs := k.needs
			k.needs = func(s shape) bool { return s.modern() && (needs == nil || needs(s)) }
		}
		return k
	}
	panic(fmt.Sprintf("stripesim: unknown kind of history %q, want one of %v", kind, Kinds()))
}

// playToEnding plays a history that ends as k says.
func (l *life) playToEnding(k ending) {
	l.kind, l.open = k.kind, k.open
	before := k.from
	if before == nil {
		before = usual()
	}
	able := slices.DeleteFunc(slices.Clone(l.shapes), func(s shape) bool { return k.needs != nil && !k.needs(s) })
	l.shape = pick(l, able...)
	l.takeTraits(able)
	l.arrive()
	for _, next := range pick(l, before...).steps {
		next(l)
	}
	l.wait(hour, day)
	l.frozen = true
	k.end(l)
	l.finish()
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

// toggle changes one thing back and forth within one second.
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
	l.dropEarlierEvents()
	l.toggle(pick(l, 2, 4))
}

func unknownBeginning(l *life) {
	l.dropEarlierEvents()
	l.rush()
	l.changeToNewState() // or else it could be a circle, with two possible ends
}

// changeToNewState leads to a state that is in no other event.
func (l *life) changeToNewState() {
	l.sub.metadata = withPair(l.sub.metadata, "last", l.id("", 6))
	l.update()
}

func (l *life) dropEarlierEvents() { l.deliveries = nil }

func emitMarker(l *life) {
	for i, at, n := 0, l.rng.IntN(4), 3; i <= n; i++ {
		if i == at {
			l.emit("trial_will_end")
		} else {
			l.change()
		}
	}
}

// change makes a small change that this rendering shows.
func (l *life) change() {
	for !l.smallChange() {
	}
}

func endAmongChanges(l *life) {
	for range l.rng.IntN(3) {
		l.change()
	}
	cancelNow(l)
	for range l.rng.IntN(3) {
		changeAfterEnd(l)
	}
}

// changeSilently changes prices and coupons between the events.
func changeSilently(l *life) {
	grantDiscount(l)
	for range l.rng.IntN(3) + 1 {
		l.change()
		l.rename()
	}
	l.changeToNewState()
}

// rename changes texts of the price and the coupon. No event of the subscription shows
// this, so the previous state has the new texts, too.
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

// renderTwice relies on report, which renders every event of this kind twice.
func renderTwice(l *life) {
	l.rush()
	l.changeToNewState()
}

// mixVersions renders each event in another version that has prices.
func mixVersions(l *life) {
	able := slices.DeleteFunc(slices.Clone(l.shapes), func(s shape) bool { return !s.modern() })
	for n := pick(l, 2, 3, 4, 5); n > 0; n-- {
		l.shape = pick(l, able...)
		if n > 1 {
			l.change()
		} else {
			l.changeToNewState()
		}
	}
}

// runTestClock lets months pass. The events are stamped with real time.
func runTestClock(l *life) {
	l.wall, l.frozen = l.now, false
	for range pick(l, 1, 2, 3, 4) {
		pick(l, renew, renew, changePlan, changeQuantity, changeMetadata)(l)
		if l.chance(0.3) {
			l.wall++
		}
	}
	l.frozen = true
}

// double makes a second event for one of several changes.
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

// doubledRequest returns the request of a change that has two events.
func (l *life) doubledRequest() any {
	id := any(l.id("req_", 14))
	if base, _ := l.kind.parts(); base == DoubledSilently {
		id = nil
	}
	if l.shape.era == era2015 {
		return id
	}
	return object{"id": id, "idempotency_key": nil}
}

// again repeats the last event with another id.
func (l *life) again() {
	d := l.deliveries[slices.IndexFunc(l.deliveries, func(d Delivery) bool { return d.ID == l.lastID })]
	id := l.id("evt_1", 23)
	d.Body = []byte(strings.Replace(string(d.Body), d.ID, id, 1))
	d.ID, l.lastID = id, id
	l.deliveries = append(l.deliveries, d)
}

func loseThenMark(l *life) {
	l.changeThenLose()
	l.now += l.between(0, 2)
	word := "pending_update_expired"
	if l.sub.status == "trialing" {
		word = "trial_will_end"
	}
	l.emit(word)
}

func loseAndRead(l *life) {
	l.changeThenLose()
	l.now += l.between(0, 2)
	l.readFromAPI()
}

func (l *life) changeThenLose() {
	for range l.rng.IntN(3) + 1 {
		l.change()
	}
	l.lose()
}

// lose makes a change and loses its event.
func (l *life) lose() {
	known := len(l.deliveries)
	if base, _ := l.kind.parts(); base == Lost {
		l.change()
	} else {
		// If it led back, the marker would show a known state.
		l.sub.metadata = withPair(l.sub.metadata, "lost", l.id("", 6))
		l.update()
	}
	l.deliveries = slices.Clip(l.deliveries[:known])
}

func loseBetween(l *life) {
	l.changeThenLose()
	l.change()
}

// readFromAPI adds a snapshot.
func (l *life) readFromAPI() {
	l.addSnapshot(&l.sub, "")
	l.lastID = ""
	l.was, l.state = l.sub, l.shape.complete().normalized(&l.sub, l.livemode)
	l.keepSubscription()
}

// addSnapshot adds a snapshot that shows some state.
func (l *life) addSnapshot(shown *subscription, because string) {
	l.deliveries = append(l.deliveries, Delivery{
		Type: Snapshot, Created: l.stamped(l.now), SubscriptionID: l.sub.id, APIVersion: l.shape.version, at: l.now,
		Body: render(l.shape.complete().subscription(shown, l.livemode)), Because: because,
	})
}
