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
	// account is whose events these are. It stands in ids and URLs only.
	account = "acct_1BillbusSimulated"
)

// life is one subscription while its story is told.
type life struct {
	rng      *rand.Rand
	shape    shape
	livemode bool
	rushed   bool // several changes of an ordinary story carry one second
	userIDs  bool
	shapes   []shape // those that histories are rendered in
	kind     Kind    // "" of an ordinary story
	open     bool    // two truths are possible

	// now is when the next thing happens.
	now int64
	// wall is when it happens by the clock on the wall, where that is not now.
	wall int64
	// frozen makes everything happen at once that needs no time by its nature.
	frozen bool
	// quiet is when the next event of the subscription may come at the earliest.
	quiet int64

	user     string
	customer customer
	sub      subscription
	due      *invoice // the one that is not paid

	was        subscription // as last told
	caused     bool         // by cause, and not by anything
	cause      any
	told       events.Subscription
	toldToo    *events.Subscription // the same in another rendering
	lastID     string
	deliveries []Delivery
}

func newLife(cfg Config, i int, s shape) *life {
	l := &life{
		rng: rand.New(rand.NewPCG(cfg.Seed, uint64(i)+1)), shape: s,
		livemode: cfg.Livemode, userIDs: cfg.UserIDs,
	}
	l.now = cfg.Start.Unix() + l.rng.Int64N(30*day)
	l.user = fmt.Sprintf("user_%d", 1000+l.rng.IntN(1_000_000))
	return l
}

// chance is true with the probability p.
func (l *life) chance(p float64) bool { return l.rng.Float64() < p }

func (l *life) between(least, most int64) int64 { return least + l.rng.Int64N(most-least+1) }

func pick[T any](l *life, choices ...T) T { return choices[l.rng.IntN(len(choices))] }

// id makes an id like Stripe's.
func (l *life) id(prefix string, length int) string {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	b := []byte(prefix)
	for range length {
		b = append(b, letters[l.rng.IntN(len(letters))])
	}
	return string(b)
}

// wait lets some time pass; while frozen none, or just a second.
func (l *life) wait(least, most int64) {
	if l.frozen {
		if l.chance(0.15) {
			l.now++
		}
		return
	}
	l.now = max(l.now+l.between(least, most), l.quiet)
}

// until lets time pass up to a moment that does not come sooner for anything,
// and the little while that Stripe then takes.
func (l *life) until(moment int64) {
	if l.now < moment {
		l.now = moment + l.between(1, minute)
	}
	if !l.frozen {
		l.now = max(l.now, l.quiet)
	}
}

// tell sends an event that shows the subscription as it is now.
func (l *life) tell(word string) {
	l.report(word, l.now, l.shape.subscription(&l.sub, l.livemode), nil)
}

// begin sends the created event, which Stripe stamps a little later than the
// object. What follows at once may then carry an earlier stamp.
func (l *life) begin(delay int64) {
	l.report("created", l.now+delay, l.shape.subscription(&l.sub, l.livemode), nil)
}

// update sends an updated event, if this rendering shows any difference.
func (l *life) update() bool {
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
	l.deliver(id, subscriptionType+word, stamp, data)
	if l.kind == Renderings {
		l.retell(id, word, stamp)
	}
	l.lastID = id
	l.was, l.told = l.sub, l.shape.normalized(&l.sub, l.livemode)
	l.quiet = stamp + 3
}

// retell renders the same event once more, for an endpoint of another version.
func (l *life) retell(id, word string, stamp int64) {
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
	l.toldToo = new(l.shape.normalized(&l.sub, l.livemode))
	l.shape = own
}

// companion sends an event of another object.
func (l *life) companion(kind string, o object) {
	l.deliver(l.id("evt_1", 23), kind, l.now, object{"object": o})
}

func (l *life) deliver(id, kind string, stamp int64, data object) {
	created := l.stamped(stamp)
	l.deliveries = append(l.deliveries, Delivery{
		ID: id, Type: kind, Created: created, SubscriptionID: l.sub.id, APIVersion: l.shape.version, at: l.now,
		Body: render(object{
			"id": id, "object": "event", "api_version": l.shape.version, "created": created.Unix(), "data": data,
			"livemode": l.livemode, "pending_webhooks": int64(1), "request": l.request(), "type": kind,
		}),
	})
}

// stamped is what an event is stamped with.
func (l *life) stamped(at int64) time.Time {
	if l.wall != 0 {
		at = l.wall
	}
	return time.Unix(at, 0).UTC()
}

// request is what caused the event: a request of the application, one with an
// idempotency key, or Stripe itself. Before 2017-05-25 it was an id only.
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
