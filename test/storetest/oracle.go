package storetest

import (
	"slices"
	"strings"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// Content is what a record says, without when and how often it was written. Of the
// subscription it has the fields that tests use to tell events and renderings apart.
type Content struct {
	EventID             string
	Status, Description string
	Terminal            bool
	Ordering            ordering.Certainty
	Explanation         string
	Rule                int
	Known               []ordering.Fact
}

// ContentOf returns what a record says; the zero Content if there is none.
func ContentOf(r store.Record) Content {
	if r.Revision == 0 {
		return Content{}
	}
	return Content{
		EventID: r.Winner.ID, Status: r.Winner.Data.Subscription.Status, Description: r.Winner.Data.Subscription.Description,
		Terminal: r.Terminal, Ordering: r.Ordering, Explanation: r.Explanation, Rule: r.Rule, Known: r.Known,
	}
}

// Oracle returns what the records must say, by the key of the subscription, if these
// messages are audited. It uses nothing but [ordering.Fold] of all of them.
func Oracle(audited []events.Message) map[string]Content {
	bySubscription := map[string][]events.Message{}
	for _, m := range audited {
		if _, ok := ordering.FactOf(m); ok {
			bySubscription[m.SubscriptionKey()] = append(bySubscription[m.SubscriptionKey()], m)
		}
	}
	contents := map[string]Content{}
	for key, messages := range bySubscription {
		contents[key] = folded(messages)
	}
	return contents
}

func folded(messages []events.Message) Content {
	slices.SortFunc(messages, func(a, b events.Message) int { return strings.Compare(a.ID, b.ID) })
	facts := make([]ordering.Fact, len(messages))
	for i, m := range messages {
		facts[i], _ = ordering.FactOf(m)
	}
	v := ordering.Fold(facts)
	winner := messages[slices.IndexFunc(messages, func(m events.Message) bool { return m.ID == v.Winner.EventID })]
	return Content{
		EventID: winner.ID, Status: winner.Data.Subscription.Status, Description: winner.Data.Subscription.Description,
		Terminal: v.Winner.Terminal, Ordering: v.Ordering, Explanation: v.Explanation, Rule: ordering.Rule, Known: v.Relevant,
	}
}
