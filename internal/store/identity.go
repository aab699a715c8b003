package store

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// Identity is what one event says about the user of a customer or a subscription, as it
// is stored. It has no Source, and names nobody, if a later reading of the event says
// nothing any more.
type Identity struct {
	// Key is the key of the event.
	Key string
	ordering.UserFact
	// Of the reading that it was taken from:
	APIVersion string
	Normalizer int
	RereadAt   time.Time
}

// IdentityOf returns what is stored of a message. It reports false if the message says
// nothing about users, unless it took the place of a reading that did.
func IdentityOf(m events.Message) (Identity, bool) {
	fact, ok := ordering.UserFactOf(m)
	if !ok {
		fact = ordering.UserFact{EventID: m.ID, Created: m.Time}
	}
	withdrawn := m.Data.Ignored == "" && m.Data.Subscription == nil && contradicts(m) && (m.Data.CheckoutSession != nil || m.Data.Customer != nil)
	return Identity{m.Key(), fact, m.StripeAPIVersion, m.Data.Normalizer, m.Data.RereadAt}, ok || withdrawn
}

// Equal reports whether two identities are the same.
func (i Identity) Equal(j Identity) bool {
	same := i.Created.Equal(j.Created) && i.RereadAt.Equal(j.RereadAt)
	j.Created, j.RereadAt = i.Created, i.RereadAt
	return same && i == j
}

// Replaces reports whether an identity takes the place of the one that is stored for the
// same event. The order is that of [Preferred].
func (i Identity) Replaces(stored Identity) bool {
	return compareReadings(i.reading(), stored.reading()) > 0
}

func (i Identity) reading() events.Message {
	return events.Message{StripeAPIVersion: i.APIVersion, Data: events.Data{Normalizer: i.Normalizer, RereadAt: i.RereadAt}}
}

// Owner is what a subscription itself says about whose it is.
type Owner struct {
	SubscriptionID, CustomerID, CustomerAccountID string
	// UserID is the user that the subscription's own metadata name.
	UserID string
}

// OwnerOf returns the owner of a subscription.
func OwnerOf(s *events.Subscription) Owner {
	return Owner{s.ID, s.CustomerID, s.CustomerAccountID, s.UserID}
}

// User resolves the user of the subscription.
func (o Owner) User(facts []ordering.UserFact) ordering.User {
	return ordering.ResolveUser(&events.Subscription{
		ID: o.SubscriptionID, CustomerID: o.CustomerID, CustomerAccountID: o.CustomerAccountID, UserID: o.UserID,
	}, facts)
}

func (o Owner) customers() []string { return ids(o.CustomerID, o.CustomerAccountID) }

// Owned is the owner of a record.
type Owned struct {
	Key string
	Owner
}

// Owners are the ids of many owners.
type Owners struct{ Subscriptions, Customers, CustomerAccounts []string }

// Add adds the ids that are not "".
func (o *Owners) Add(subscription, customer, account string) {
	o.Subscriptions = append(o.Subscriptions, ids(subscription)...)
	o.Customers = append(o.Customers, ids(customer)...)
	o.CustomerAccounts = append(o.CustomerAccounts, ids(account)...)
}

func ids(list ...string) []string {
	var set []string
	for _, id := range list {
		if id != "" {
			set = append(set, id)
		}
	}
	return set
}

// Identities keeps what events say about users, one document for each event, and finds
// the records that it concerns.
type Identities interface {
	IdentityTrail
	// Owned yields the records of customers and their accounts, in no particular order.
	// Records may be written while they are read.
	Owned(ctx context.Context, owners Owners) iter.Seq2[Owned, error]
	// SetUsers sets the users of records that exist, and returns the outcome of each. A
	// head of revision n has the user of the record, whose revision is n-1 and becomes
	// n; its UpdatedAt is set too, and nothing else. If the record has another revision,
	// or is gone, the error is [ErrExists]. Comparing and writing are one atomic step.
	SetUsers(ctx context.Context, heads []Head) []error
}

// IdentityTrail keeps what events say about users.
type IdentityTrail interface {
	// Identify inserts a document for each identity under its key and returns the
	// outcome of each, as Insert of [AuditTrail] does.
	Identify(ctx context.Context, identities []Identity) []error
	// Identities returns the identities that name one of the owners, in any mode and
	// account.
	Identities(ctx context.Context, owners Owners) ([]Identity, error)
	// Identified returns what is stored under keys, by key; nothing for a key that has no
	// document.
	Identified(ctx context.Context, keys []string) (map[string]Identity, error)
	// ReplaceIdentity replaces an identity by another one with the same key. It reports
	// false, and writes nothing, if what is stored is not the identity that was read.
	// Comparing and writing are one atomic step.
	ReplaceIdentity(ctx context.Context, have, want Identity) (bool, error)
}

// Anonymity finds the records without a user, and what may help to find their users.
type Anonymity interface {
	// Anonymous yields the records without a user, in no particular order.
	Anonymous(ctx context.Context) iter.Seq2[Anonymous, error]
	// ClaimsOf yields those events of owners that can say something about users, in no
	// particular order. Their messages lack Event.
	ClaimsOf(ctx context.Context, owners Owners) iter.Seq2[Audited, error]
}

// Anonymous is a record without a user.
type Anonymous struct {
	Owned
	// Metadata are the keys of the subscription's metadata.
	Metadata []string
}

// UserFacts returns what is known about the users of subscriptions, by the keys of their
// records. It takes one query.
func UserFacts(ctx context.Context, db IdentityTrail, of map[string]Owner) (map[string][]ordering.UserFact, error) {
	var owners Owners
	for _, o := range of {
		owners.Add(o.SubscriptionID, o.CustomerID, o.CustomerAccountID)
	}
	if len(of) == 0 {
		return nil, nil
	}
	found, err := db.Identities(ctx, owners)
	if err != nil {
		return nil, err
	}
	byOwner := map[scoped][]ordering.UserFact{}
	for _, i := range found {
		for _, id := range ids(i.SubscriptionID, i.CustomerID, i.CustomerAccountID) {
			at := scoped{scopeOf(i.Key), id}
			byOwner[at] = append(byOwner[at], i.UserFact)
		}
	}
	facts := make(map[string][]ordering.UserFact, len(of))
	for key, o := range of {
		for _, id := range append(o.customers(), o.SubscriptionID) {
			facts[key] = append(facts[key], byOwner[scoped{scopeOf(key), id}]...)
		}
	}
	return facts, nil
}

// scoped is an id in one mode and account.
type scoped struct{ scope, id string }

// scopeOf returns the mode and account in a key.
func scopeOf(key string) string { return key[:max(strings.LastIndexByte(key, ':'), 0)] }
