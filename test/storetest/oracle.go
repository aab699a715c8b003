package storetest

import (
	"slices"
	"strings"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// Record is what a state says, but for how often and when it was written. Of the
// subscription it has what tells events, and renderings of them, apart.
type Record struct {
	EventID             string
	Status, Description string
	Terminal            bool
	Ordering            ordering.Certainty
	Explanation         string
	Rule                int
	Known               []ordering.Fact
}

// RecordOf is what a state says; the zero Record if there is none.
func RecordOf(s store.State) Record {
	if s.N == 0 {
		return Record{}
	}
	return Record{
		EventID: s.Winner.ID, Status: s.Winner.Data.Subscription.Status, Description: s.Winner.Data.Subscription.Description,
		Terminal: s.Terminal, Ordering: s.Ordering, Explanation: s.Explanation, Rule: s.Rule, Known: s.Known,
	}
}

// Oracle is what the states must say, by the key of the subscription, if these
// messages are audited: nothing but [ordering.Fold] of all of them.
func Oracle(audited []events.Message) map[string]Record {
	bySubscription := map[string][]events.Message{}
	for _, m := range audited {
		if _, ok := ordering.FactOf(m); ok {
			bySubscription[m.SubscriptionKey()] = append(bySubscription[m.SubscriptionKey()], m)
		}
	}
	records := map[string]Record{}
	for key, messages := range bySubscription {
		records[key] = folded(messages)
	}
	return records
}

func folded(messages []events.Message) Record {
	slices.SortFunc(messages, func(a, b events.Message) int { return strings.Compare(a.ID, b.ID) })
	facts := make([]ordering.Fact, len(messages))
	for i, m := range messages {
		facts[i], _ = ordering.FactOf(m)
	}
	v := ordering.Fold(facts)
	winner := messages[slices.IndexFunc(messages, func(m events.Message) bool { return m.ID == v.Winner.EventID })]
	return Record{
		EventID: winner.ID, Status: winner.Data.Subscription.Status, Description: winner.Data.Subscription.Description,
		Terminal: v.Winner.Terminal, Ordering: v.Ordering, Explanation: v.Explanation, Rule: ordering.Rule, Known: v.Relevant,
	}
}
