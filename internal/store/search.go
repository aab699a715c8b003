package store

import (
	"context"
	"iter"
	"time"

	"github.com/billbus/billbus/events"
)

// Query says which events of the audit trail are wanted: those for which all
// that is set holds.
type Query struct {
	// Subscription and Event are ids, or keys, which name mode and account, too.
	Subscription, Event string
	Customer, Type      string
	// User takes the events of the subscriptions and customers that belong to an
	// application's user.
	User         string
	Since, Until time.Time
	// Limit takes the newest; 0 takes all.
	Limit int
}

// Found is an event of the audit trail.
type Found struct {
	// Subscription is the key of the subscription whose state it tells, "" if it
	// tells none.
	Subscription string
	// Message lacks what came from Stripe.
	Message events.Message
	events.References
	StreamSequence int64
	StoredAt       time.Time
	// Unreadable is true if the document does not hold a message.
	Unreadable bool
}

// Search is what searching the audit trail needs of a database.
type Search interface {
	// Search returns events of the audit trail, the oldest first.
	Search(ctx context.Context, q Query) ([]Found, error)
	// Payload returns what Stripe sent with an event; "" if it was omitted for size.
	// It reports false if there is no such event.
	Payload(ctx context.Context, id string) (payload string, found bool, err error)
	// Trail yields the events of one subscription.
	Trail(ctx context.Context, key string) iter.Seq2[Audited, error]
}
