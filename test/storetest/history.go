package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

// Entry returns an entry about a subscription of the platform in test mode. The time of
// the event is second seconds after [kit.At](0).
func Entry(sub, id, word string, second int, status string) store.Entry {
	return store.Entry{
		Message:    kit.Event(sub, id, word, second, status),
		References: events.References{ObjectID: sub, SubscriptionID: sub},
		Position:   store.Position{StreamSequence: 1, StoredAt: kit.At(second + 2)},
	}
}

// Generate returns the events of one subscription that changes several times a second.
// For some changes there are two events, for some there is none, and some events do not
// say what was before, and some list only the first items. The ids do not follow the
// order.
func Generate(random *rand.Rand, sub string, length int) []store.Entry {
	g := generator{random: random, sub: sub, status: "incomplete", steps: random.IntN(3), pace: 1}
	if random.IntN(3) == 0 {
		g.pace = 5 // some events are older than states can order
	}
	if random.IntN(2) == 0 {
		g.items = 2 + random.IntN(3)
	}
	g.add("created")
	for range length {
		g.next()
	}
	if random.IntN(3) == 0 {
		g.end()
	}
	return g.entries
}

type generator struct {
	random *rand.Rand
	sub    string
	second int
	steps  int // how often the second advances
	pace   int // how far it advances at least
	status string
	// items is 0 if no event lists any. One of them changes its quantity.
	items    int
	quantity int64
	plan     int // decides which products the items are of

	entries []store.Entry
}

func (g *generator) next() {
	if g.random.IntN(4) < g.steps {
		g.second += g.pace * g.random.IntN(4)
	}
	switch g.random.IntN(10) {
	case 0:
		g.add("trial_will_end")
	case 1:
		g.change(g.other())
		g.entries = g.entries[:len(g.entries)-1] // this event is missing
	case 2:
		g.change(g.other())
		g.duplicate()
	default:
		g.change(g.other())
	}
}

func (g *generator) other() string {
	statuses := []string{"active", "past_due", "unpaid", "trialing", "paused"}
	return statuses[g.random.IntN(len(statuses))]
}

func (g *generator) end() {
	g.change("canceled")
	g.add("deleted")
	if g.random.IntN(2) == 0 {
		g.status = "active" // stamped late, and about the time before
		g.add("updated")
	}
}

// change adds an update from one status to another.
func (g *generator) change(status string) {
	before := g.status
	g.status = status
	g.add("updated")
	g.last().Data.Previous = &events.Previous{Fields: []string{"status"}, Values: events.Subscription{Status: before}}
}

// duplicate adds the last event under another id, for the same request or for none.
func (g *generator) duplicate() {
	twin := *g.last()
	twin.ID = g.id()
	if g.random.IntN(2) == 0 {
		request := []byte(`{"request":{"idempotency_key":"` + twin.ID + `"}}`)
		g.last().Data.Event, twin.Data.Event = request, request
	}
	g.entries = append(g.entries, twin)
}

func (g *generator) add(word string) {
	e := Entry(g.sub, g.id(), word, g.second, g.status)
	g.list(e.Data.Subscription)
	g.entries = append(g.entries, e)
}

// list lists the items: all of them, or only the first one.
func (g *generator) list(sub *events.Subscription) {
	if g.items == 0 {
		return
	}
	if g.random.IntN(3) == 0 {
		g.quantity++
	}
	if g.random.IntN(4) == 0 {
		g.plan = g.random.IntN(catalogSize)
	}
	for i := range g.items {
		quantity, item := g.quantity, events.Item{ID: fmt.Sprintf("si_%d", i)}
		item.Quantity = &quantity
		if plan := (g.plan + i) % (catalogSize + 1); plan < catalogSize { // else it has no price
			item.PriceID, item.ProductID, item.Nickname = fmt.Sprintf("price_%d", plan), fmt.Sprintf("prod_%d", plan), "as of the event"
		}
		sub.Items = append(sub.Items, item)
	}
	if g.random.IntN(3) > 0 {
		sub.Items, sub.ItemsTruncated = sub.Items[:1], true
	}
}

func (g *generator) last() *store.Entry { return &g.entries[len(g.entries)-1] }

func (g *generator) id() string { return fmt.Sprintf("evt_%08x", g.random.Uint32()) }

// Rendered returns another rendering of an event, which says something else. It has a
// newer API version, so it counts.
func Rendered(e store.Entry) store.Entry {
	sub := *e.Data.Subscription
	sub.Metadata = maps.Clone(sub.Metadata)
	sub.Description = "another rendering"
	e.Data.Subscription, e.StripeAPIVersion = &sub, "2026-06-24.dahlia"
	return e
}

// Ignored returns an event as it is stored if it is not admitted.
func Ignored(e store.Entry) store.Entry {
	e.Data.Ignored = events.IgnoredLivemode
	e.Type, e.Data.Subscription, e.Data.Previous = events.StripeSubject(e.StripeType), nil, nil
	return e
}

// Reread returns an event as it is when it is read again after it was stored, by rules
// that find another status. It then can be an end that it was not before, or no longer
// be one.
func Reread(random *rand.Rand, e store.Entry) store.Entry {
	e = different(random, e)
	e.Data.Normalizer = 1 + random.IntN(2)
	e.Data.RereadAt = e.Time.Add(time.Duration(1+random.Uint32()) * time.Millisecond)
	return e
}

// RenderedIn returns an event as another endpoint delivers it, in one of some API
// versions. It can say something else, too.
func RenderedIn(random *rand.Rand, e store.Entry) store.Entry {
	e = different(random, e)
	e.StripeAPIVersion = []string{"2018-11-08", "2025-03-31.basil", "2026-06-24.dahlia"}[random.IntN(3)]
	return e
}

// different returns an event that may say something else about its subscription: another
// status, and more or fewer items than before, or a list that is cut off.
func different(random *rand.Rand, e store.Entry) store.Entry {
	sub := *e.Data.Subscription
	sub.Status = []string{"active", "paused", "canceled", sub.Status}[random.IntN(4)]
	sub.Description = fmt.Sprintf("read again, %d", random.Uint32())
	if len(sub.Items) > 0 && random.IntN(2) == 0 {
		sub.Items, sub.ItemsTruncated = sub.Items[:1+random.IntN(len(sub.Items))], !sub.ItemsTruncated
	}
	e.Data.Subscription = &sub
	return e
}

// Claim returns an event that says whose a customer or a subscription is.
func Claim(id string, second int, identity events.Identity) store.Entry {
	e := Entry("", id, "updated", second, "")
	e.References = events.References{CustomerID: identity.CustomerID, CustomerAccountID: identity.CustomerAccountID, SubscriptionID: identity.SubscriptionID}
	e.Data.Subscription, e.Data.Identity = nil, &identity
	switch identity.Source {
	case events.IdentityCheckoutSession:
		e.StripeType = "checkout.session.completed"
		e.Data.CheckoutSession = &events.CheckoutSession{
			ID: "cs_" + id, CustomerID: identity.CustomerID, CustomerAccountID: identity.CustomerAccountID, SubscriptionID: identity.SubscriptionID,
		}
	case events.IdentityCustomerMetadata:
		e.StripeType = "customer.updated"
		e.Data.Customer = &events.Customer{ID: identity.CustomerID, CustomerAccountID: identity.CustomerAccountID}
	default:
		e.StripeType = ""
	}
	if e.Type = events.StripeSubject(e.StripeType); e.StripeType == "" {
		e.Type = events.SubjectUserLinked
	}
	return e
}

// Own gives the events of a subscription a customer, which sometimes changes, and
// sometimes metadata that name a user.
func Own(random *rand.Rand, entries []store.Entry) {
	customer, user, account := "cus_"+fmt.Sprint(random.IntN(2)), "", ""
	if random.IntN(4) == 0 {
		account = "acct_c"
	}
	for i := range entries {
		if random.IntN(8) == 0 {
			customer = "cus_" + fmt.Sprint(random.IntN(2))
		}
		if random.IntN(5) == 0 {
			user = []string{"", "u_0", "u_1"}[random.IntN(3)]
		}
		sub := entries[i].Data.Subscription
		sub.CustomerID, sub.CustomerAccountID, sub.UserID = customer, account, user
	}
}

// Claims returns events about the users of two customers, their account, and three
// subscriptions, and some of the same names in another account.
func Claims(random *rand.Rand, n int) []store.Entry {
	var entries []store.Entry
	for range n {
		identity := events.Identity{
			UserID: []string{"u_0", "u_1", "u_2"}[random.IntN(3)], CustomerID: fmt.Sprintf("cus_%d", random.IntN(2)),
			Source: []events.IdentitySource{events.IdentityCheckoutSession, events.IdentityCustomerMetadata, events.IdentityLink}[random.IntN(3)],
		}
		switch random.IntN(4) {
		case 0:
			identity.CustomerAccountID = "acct_c"
		case 1:
			identity.CustomerID, identity.CustomerAccountID = "", "acct_c"
		}
		switch identity.Source {
		case events.IdentityCheckoutSession:
			identity.SubscriptionID = []string{"", "sub_0", "sub_1", "sub_2", "sub_9"}[random.IntN(5)]
		case events.IdentityCustomerMetadata:
			identity.UserID = []string{"", "u_0", "u_1"}[random.IntN(3)]
		}
		e := Claim(fmt.Sprintf("evt_c%07x", random.Uint32()>>4), random.IntN(4), identity)
		if random.IntN(6) == 0 {
			e.StripeAccount, e.Source = "acct_1", events.Source(false, "acct_1")
		}
		entries = append(entries, e)
	}
	return entries
}

// Withdrawn returns a claim as it is when it is read again and says nothing any more.
func Withdrawn(random *rand.Rand, e store.Entry) store.Entry {
	e.Data.Identity = nil
	e.Data.Normalizer = 1 + random.IntN(2)
	e.Data.RereadAt = e.Time.Add(time.Duration(1+random.Uint32()) * time.Millisecond)
	return e
}
