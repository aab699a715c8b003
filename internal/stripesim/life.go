package stripesim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
)

const (
	minute = int64(60)
	hour   = 60 * minute
	day    = 24 * hour

	subscriptionType = "customer.subscription."
	// account is the account of all events. It occurs in ids and URLs only.
	account = "acct_1BillbusSimulated"
)

// life is one subscription while its story is played.
type life struct {
	rng      *rand.Rand
	shape    shape
	livemode bool
	rushed   bool // several changes of an ordinary story have one second
	userIDs  bool
	old      bool    // its events are dropped
	shapes   []shape // the renderings to choose from
	kind     Kind    // "" for an ordinary story
	open     bool    // the events allow two final states
	versions []shape // the renderings in which its events come, if not in one

	// now is when the next thing happens.
	now int64
	// wall is the real time, if a test clock simulates now; else 0.
	wall int64
	// frozen makes changes happen at once.
	frozen bool
	// quiet is the earliest time for the next event of the subscription.
	quiet int64

	user     string
	customer customer
	arrived  int64 // when the customer came
	first    *life // of the same customer; nil if this is the first
	others   int   // how many more the customer will have
	sub      subscription
	due      *invoice // the unpaid invoice

	was        subscription // as of the last event
	caused     bool         // by the request in cause, not a random one
	cause      any
	state      events.Subscription  // as of the last event, normalized
	otherState *events.Subscription // the same in another rendering
	lastID     string
	deliveries []Delivery
	objects    []Object
	parts      []Object // of the subscription, as of its last event
	sold       []price
}

func newLife(cfg Config, i int, s shape) *life {
	l := &life{
		rng: rand.New(rand.NewPCG(cfg.Seed, uint64(i)+1)), shape: s,
		livemode: cfg.Livemode, userIDs: cfg.UserIDs, old: i < cfg.Old,
	}
	l.now = cfg.Start.Unix() + l.rng.Int64N(30*day)
	l.user = fmt.Sprintf("user_%d", 1000+l.rng.IntN(1_000_000))
	if cfg.PerCustomer > 1 {
		l.others = l.rng.IntN(cfg.PerCustomer)
	}
	return l
}

// join makes the subscription a further one of the customer of another.
func (l *life) join(first *life) {
	first.others--
	l.first, l.user = first, first.user
	l.now = first.arrived + l.rng.Int64N(200*day)
}

// chance is true with probability p.
func (l *life) chance(p float64) bool { return l.rng.Float64() < p }

func (l *life) between(least, most int64) int64 { return least + l.rng.Int64N(most-least+1) }

func pick[T any](l *life, choices ...T) T { return choices[l.rng.IntN(len(choices))] }

// id makes an id in Stripe's style.
func (l *life) id(prefix string, length int) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	b := []byte(prefix)
	for range length {
		b = append(b, letters[l.rng.IntN(len(letters))])
	}
	return string(b)
}

// wait lets some time pass. While frozen that is at most a second.
func (l *life) wait(least, most int64) {
	if l.frozen {
		if l.chance(0.15) {
			l.now++
		}
		return
	}
	l.now = max(l.now+l.between(least, most), l.quiet)
}

// until lets time pass up to a fixed moment and a little longer, even while frozen.
func (l *life) until(moment int64) {
	if l.now < moment {
		l.now = moment + l.between(1, minute)
	}
	if !l.frozen {
		l.now = max(l.now, l.quiet)
	}
}

// emit adds an event that only shows the subscription.
func (l *life) emit(word string) {
	l.report(word, l.now, l.shape.subscription(&l.sub, l.livemode), nil)
}

// begin adds the created event. Stripe stamps it a little later than the object, so the
// next event can have an earlier stamp.
func (l *life) begin(delay int64) {
	l.report("created", l.now+delay, l.shape.subscription(&l.sub, l.livemode), nil)
}

// update adds an updated event if this rendering shows a difference.
func (l *life) update() bool {
	l.beforeChange()
	if l.render() {
		return true
	}
	for _, s := range l.versions {
		l.shape = s
		if l.render() {
			return true
		}
	}
	return false
}

func (l *life) render() bool {
	after := l.shape.subscription(&l.sub, l.livemode)
	changed := previous(l.shape.before(&l.was, after, l.livemode), after, l.shape.elementwise())
	if len(changed) == 0 {
		return false
	}
	l.report("updated", l.now, after, changed)
	return true
}

func (l *life) report(word string, stamp int64, sub, changed object) {
	data := object{"object": sub}
	if changed != nil {
		data["previous_attributes"] = changed
	}
	id := l.id("evt_1", 23)
	stamp += l.lateness()
	l.deliver(id, subscriptionType+word, stamp, data)
	if base, _ := l.kind.parts(); base == Renderings {
		l.renderAgain(id, word, stamp)
	}
	l.lastID = id
	l.tellChange(changed != nil)
	l.was, l.state = l.sub, l.shape.normalized(&l.sub, l.livemode)
	for _, s := range l.versions {
		if s != l.shape {
			l.otherState = new(s.normalized(&l.sub, l.livemode))
		}
	}
	l.quiet = stamp + 3
	l.afterChange()
}

// renderAgain adds the same event as an endpoint of another version gets it.
func (l *life) renderAgain(id, word string, stamp int64) {
	own, able := l.shape, slices.DeleteFunc(slices.Clone(l.shapes), func(s shape) bool { return !s.modern() || s == l.shape })
	if len(able) == 0 {
		return
	}
	l.shape = pick(l, able...)
	after := l.shape.subscription(&l.sub, l.livemode)
	data := object{"object": after}
	if word == "updated" {
		data["previous_attributes"] = previous(l.shape.before(&l.was, after, l.livemode), after, false)
	}
	l.deliver(id, subscriptionType+word, stamp, data)
	l.otherState = new(l.shape.normalized(&l.sub, l.livemode))
	l.shape = own
}

// emitOther adds an event of another object.
func (l *life) emitOther(kind string, o object) {
	l.deliver(l.id("evt_1", 23), kind, l.now, object{"object": o})
}

func (l *life) deliver(id, kind string, stamp int64, data object) {
	d := Delivery{
		ID: id, Type: kind, Created: l.stamped(stamp), SubscriptionID: l.sub.id, APIVersion: l.shape.version, at: l.now,
	}
	event := object{
		"id": id, "object": "event", "api_version": l.shape.version, "created": d.Created.Unix(), "data": data,
		"livemode": l.livemode, "pending_webhooks": int64(1), "request": l.request(), "type": kind,
	}
	if !l.old {
		d.Body = render(event)
	}
	l.deliveries = append(l.deliveries, d)
}

// stamped returns the created stamp of an event.
func (l *life) stamped(at int64) time.Time {
	if l.wall != 0 {
		at = l.wall
	}
	return time.Unix(at, 0).UTC()
}

// request returns the API request that caused an event, with an idempotency key or
// without; null if Stripe caused it. Before 2017-05-25 it was only an id.
func (l *life) request() any {
	if l.caused {
		return l.cause
	}
	var id, key any
	if l.chance(0.6) {
		id = l.id("req_", 14)
	}
	if id != nil && l.chance(0.7) {
		key = fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", l.rng.Uint32(), l.rng.IntN(1<<16), l.rng.IntN(1<<12), l.rng.IntN(1<<12), l.rng.Int64N(1<<48))
	}
	if l.shape.era == era2015 {
		return id
	}
	return object{"id": id, "idempotency_key": key}
}
