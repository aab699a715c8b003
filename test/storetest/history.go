package storetest

import (
	"fmt"
	"maps"
	"math/rand/v2"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

// Told is an entry about a subscription of the platform in test mode; second
// counts from a fixed time.
func Told(sub, id, word string, second int, status string) store.Entry {
	return store.Entry{
		Message:    kit.Event(sub, id, word, second, status),
		References: events.References{ObjectID: sub, SubscriptionID: sub},
		Position:   store.Position{StreamSequence: 1, StoredAt: kit.At(second + 2)},
	}
}

// Generate returns the events of one subscription: a life of several changes a
// second, of which some are told twice and some not at all, beside events that do
// not say what was before. The ids say nothing about the order.
func Generate(random *rand.Rand, sub string, length int) []store.Entry {
	g := generator{random: random, sub: sub, status: "incomplete", steps: random.IntN(3)}
	g.add("created")
	for range length {
		g.next()
	}
	if random.IntN(3) == 0 {
		g.end()
	}
	return g.told
}

type generator struct {
	random *rand.Rand
	sub    string
	second int
	steps  int // how often the second moves on
	status string
	told   []store.Entry
}

func (g *generator) next() {
	if g.random.IntN(4) < g.steps {
		g.second += g.random.IntN(4)
	}
	switch g.random.IntN(10) {
	case 0:
		g.add("trial_will_end")
	case 1:
		g.change(g.other()) // and nobody hears of it
		g.told = g.told[:len(g.told)-1]
	case 2:
		g.change(g.other())
		g.again()
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
		g.status = "active" // stamped late, and about what was before
		g.add("updated")
	}
}

// change tells of a step from one status to another.
func (g *generator) change(status string) {
	before := g.status
	g.status = status
	g.add("updated")
	g.last().Data.Previous = &events.Previous{Fields: []string{"status"}, Values: events.Subscription{Status: before}}
}

// again tells of the last event under another id, for the same request or for none.
func (g *generator) again() {
	twin := *g.last()
	twin.ID = g.id()
	if g.random.IntN(2) == 0 {
		request := []byte(`{"request":{"idempotency_key":"` + twin.ID + `"}}`)
		g.last().Data.Event, twin.Data.Event = request, request
	}
	g.told = append(g.told, twin)
}

func (g *generator) add(word string) {
	g.told = append(g.told, Told(g.sub, g.id(), word, g.second, g.status))
}

func (g *generator) last() *store.Entry { return &g.told[len(g.told)-1] }

func (g *generator) id() string { return fmt.Sprintf("evt_%08x", g.random.Uint32()) }

// Rendered is another rendering of an event, which says something else: the first
// one that is stored counts.
func Rendered(e store.Entry) store.Entry {
	sub := *e.Data.Subscription
	sub.Metadata = maps.Clone(sub.Metadata)
	sub.Description = "rendered again"
	e.Data.Subscription, e.StripeAPIVersion = &sub, "2026-06-24.dahlia"
	return e
}
