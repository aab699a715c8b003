package storetest

import (
	"fmt"
	"maps"
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
	// Items are the ids, quantities and names of the items, followed by "…" if there may
	// be more.
	Items       string
	User        ordering.User
	Terminal    bool
	Ordering    ordering.Certainty
	Explanation string
	Rule        int
	Known       []ordering.Fact
}

// ContentOf returns what a record says; the zero Content if there is none.
func ContentOf(r store.Record) Content {
	if r.Revision == 0 {
		return Content{}
	}
	return Content{
		EventID: r.Winner.ID, Status: r.Winner.Data.Subscription.Status, Description: r.Winner.Data.Subscription.Description,
		Items: itemsOf(r.Winner.Data.Subscription), User: r.User,
		Terminal: r.Terminal, Ordering: r.Ordering, Explanation: r.Explanation, Rule: r.Rule, Known: r.Known,
	}
}

// Oracle returns what the records must say, by the key of the subscription, if these
// messages are audited. It uses nothing but [ordering.Fold] and [ordering.ResolveUser] of
// all of them, and the newest names.
func Oracle(audited []events.Message) map[string]Content {
	bySubscription, users := map[string][]events.Message{}, map[string][]ordering.UserFact{}
	for _, m := range audited {
		if fact, ok := ordering.UserFactOf(m); ok {
			users[m.Source] = append(users[m.Source], fact)
		}
		if _, ok := ordering.FactOf(m); ok {
			bySubscription[m.SubscriptionKey()] = append(bySubscription[m.SubscriptionKey()], m)
		}
	}
	contents, names := map[string]Content{}, listings(audited)
	for key, messages := range bySubscription {
		contents[key] = folded(messages, users[messages[0].Source], names)
	}
	return contents
}

func folded(messages []events.Message, users []ordering.UserFact, names map[string]events.Message) Content {
	slices.SortFunc(messages, func(a, b events.Message) int { return strings.Compare(a.ID, b.ID) })
	facts := make([]ordering.Fact, len(messages))
	for i, m := range messages {
		facts[i], _ = ordering.FactOf(m)
	}
	v := ordering.Fold(facts)
	message := func(id string) events.Message {
		return messages[slices.IndexFunc(messages, func(m events.Message) bool { return m.ID == id })]
	}
	winner, known := message(v.Winner.EventID), v.Relevant
	sub := *winner.Data.Subscription
	if complete := completeOnly(facts); 0 < len(complete) && len(complete) < len(facts) {
		lists := ordering.Fold(complete)
		known = merged(known, lists.Relevant)
		if sub.ItemsTruncated {
			sub.Items = filledUp(sub.Items, message(lists.Winner.EventID).Data.Subscription.Items)
		}
	}
	sub.Items = withNames(sub.Items, names)
	return Content{
		EventID: winner.ID, Status: sub.Status, Description: sub.Description, Items: itemsOf(&sub), User: ordering.ResolveUser(&sub, users),
		Terminal: v.Winner.Terminal, Ordering: v.Ordering, Explanation: v.Explanation, Rule: ordering.Rule, Known: known,
	}
}

func completeOnly(facts []ordering.Fact) []ordering.Fact {
	return slices.DeleteFunc(slices.Clone(facts), func(f ordering.Fact) bool { return f.ItemsTruncated })
}

func merged(a, b []ordering.Fact) []ordering.Fact {
	byID := map[string]ordering.Fact{}
	for _, f := range slices.Concat(a, b) {
		byID[f.EventID] = f
	}
	var facts []ordering.Fact
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		facts = append(facts, byID[id])
	}
	return facts
}

// filledUp returns the items of a complete list, those that are listed again as they
// are there, and then those that are only listed there.
func filledUp(listed, complete []events.Item) []events.Item {
	var items []events.Item
	for _, item := range complete {
		if i := indexOf(listed, item.ID); i >= 0 {
			item = listed[i]
		}
		items = append(items, item)
	}
	for _, item := range listed {
		if indexOf(complete, item.ID) < 0 {
			items = append(items, item)
		}
	}
	return items
}

func indexOf(items []events.Item, id string) int {
	return slices.IndexFunc(items, func(item events.Item) bool { return item.ID == id })
}

func itemsOf(s *events.Subscription) string {
	var text strings.Builder
	for _, item := range s.Items {
		fmt.Fprintf(&text, "%s:%d ", item.ID, *item.Quantity)
		if item.PriceID != "" {
			fmt.Fprintf(&text, "(%s, %s, %s) ", item.ProductName, item.Nickname, item.LookupKey)
		}
	}
	if s.ItemsTruncated {
		text.WriteString("…")
	}
	return strings.TrimSpace(text.String())
}
