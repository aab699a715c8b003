package stripesim

import (
	"fmt"
	"math/rand/v2"
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
	ties     float64
	userIDs  bool

	// now is when the next thing happens.
	now int64
	// frozen makes everything happen at once that needs no time by its nature.
	frozen bool
	// quiet is when the next event of the subscription may come at the earliest.
	quiet int64

	user     string
	customer customer
	sub      subscription
	open     *invoice // the one that is not paid

	was        subscription // as last told
	told       events.Subscription
	lastID     string
	deliveries []Delivery
}

func newLife(cfg Config, i int, s shape) *life {
	l := &life{
		rng: rand.New(rand.NewPCG(cfg.Seed, uint64(i)+1)), shape: s,
		livemode: cfg.Livemode, ties: cfg.Ties, userIDs: cfg.UserIDs,
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
	l.lastID = l.deliver(subscriptionType+word, stamp, data)
	l.was, l.told = l.sub, l.shape.normalized(&l.sub, l.livemode)
	l.quiet = stamp + 3
}

// companion sends an event of another object.
func (l *life) companion(kind string, o object) { l.deliver(kind, l.now, object{"object": o}) }

func (l *life) deliver(kind string, stamp int64, data object) string {
	id := l.id("evt_1", 23)
	l.deliveries = append(l.deliveries, Delivery{
		ID: id, Type: kind, Created: time.Unix(stamp, 0).UTC(), SubscriptionID: l.sub.id, APIVersion: l.shape.version, at: l.now,
		Body: render(object{
			"id": id, "object": "event", "api_version": l.shape.version, "created": stamp, "data": data,
			"livemode": l.livemode, "pending_webhooks": int64(1), "request": l.request(), "type": kind,
		}),
	})
	return id
}

// request is what caused the event: a request of the application, one with an
// idempotency key, or Stripe itself. Before 2017-05-25 it was an id only.
func (l *life) request() any {
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
