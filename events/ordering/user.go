package ordering

import (
	"cmp"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
)

// CustomerCheckoutSession is the source of a user who is named only by a Checkout session
// of the customer that made something else than the subscription.
const CustomerCheckoutSession events.IdentitySource = "customer_checkout_session"

// UserFact is what one event says about the user of a customer or a subscription, and
// when.
type UserFact struct {
	events.Identity
	EventID string
	// Created is when the event was created, in seconds.
	Created time.Time
}

// UserFactOf returns the fact in a message. It reports false if the message names no
// customer and no subscription, was not admitted, or is about a subscription: what a
// subscription's own metadata say is part of its state.
func UserFactOf(m events.Message) (UserFact, bool) {
	if m.Data.Identity == nil || m.Data.Ignored != "" || m.Data.Identity.Source == events.IdentitySubscriptionMetadata {
		return UserFact{}, false
	}
	return UserFact{*m.Data.Identity, m.ID, m.Time}, true
}

// User is the application's user to whom a subscription belongs.
type User struct {
	// ID is "" if nothing names a user.
	ID     string
	Source events.IdentitySource
	// Conflict is true if sources disagree, or two events of one source and one second.
	Conflict bool
}

// ResolveUser returns the user of a subscription, from the facts of its mode and
// account. It depends on the set of facts only, not on their sequence, and ignores those
// about other customers. The user is the first of
//
//   - that in the subscription's own metadata,
//   - that of the Checkout session that made the subscription,
//   - that in the metadata of the customer, or of the account that represents it, as of
//     its newest event,
//   - that which the application has linked to the customer,
//   - that of another Checkout session of the customer.
//
// If several facts have the same rank, the newest counts, and of those in one second
// the one with the greatest event id.
func ResolveUser(sub *events.Subscription, facts []UserFact) User {
	ranked := map[events.IdentitySource][]UserFact{}
	for _, f := range facts {
		if source := rankOf(sub, f); source != "" {
			ranked[source] = append(ranked[source], f)
		}
	}
	user := User{}
	if sub.UserID != "" {
		user = User{ID: sub.UserID, Source: events.IdentitySubscriptionMetadata}
	}
	for _, source := range userRanks {
		id, conflict := latestUser(ranked[source])
		user.Conflict = user.Conflict || conflict || id != "" && user.ID != "" && id != user.ID
		if user.ID == "" && id != "" {
			user.ID, user.Source = id, source
		}
	}
	return user
}

// userRanks are the sources that rank below the subscription's own metadata, in order.
var userRanks = []events.IdentitySource{
	events.IdentityCheckoutSession, events.IdentityCustomerMetadata, events.IdentityLink, CustomerCheckoutSession,
}

// rankOf returns the source of a fact from the subscription's point of view; "" if the
// fact is about another one.
func rankOf(sub *events.Subscription, f UserFact) events.IdentitySource {
	isSession := f.Source == events.IdentityCheckoutSession
	isCustomers := f.CustomerID != "" && f.CustomerID == sub.CustomerID ||
		f.CustomerAccountID != "" && f.CustomerAccountID == sub.CustomerAccountID
	switch {
	case isSession && f.SubscriptionID != "" && f.SubscriptionID == sub.ID:
		return events.IdentityCheckoutSession
	case !isCustomers:
		return ""
	case isSession:
		return CustomerCheckoutSession
	}
	return f.Source
}

// latestUser returns the user of the newest fact, and whether another one of the same
// second disagrees.
func latestUser(facts []UserFact) (user string, conflict bool) {
	if len(facts) == 0 {
		return "", false
	}
	last := slices.MaxFunc(facts, func(a, b UserFact) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.EventID, b.EventID))
	})
	return last.UserID, slices.ContainsFunc(facts, func(f UserFact) bool {
		return f.Created.Equal(last.Created) && f.UserID != last.UserID
	})
}
