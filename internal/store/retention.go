package store

import (
	"context"
	"iter"
	"time"

	"github.com/billbus/billbus/events/ordering"
)

// Expired is an audit document that is old enough to go.
type Expired struct {
	// ID is that of the document.
	ID string
	// Subscription is the key of the subscription whose state the event tells, ""
	// if it tells none.
	Subscription string
	EventID      string
	Created      time.Time
	Terminal     bool
}

// Retention is what removing old audit documents needs of a database.
type Retention interface {
	// Expired yields the documents of events created before then.
	Expired(ctx context.Context, before time.Time) iter.Seq2[Expired, error]
	// Known returns what the states of subscriptions rest on. States that do not
	// exist, or that today's rules did not decide, are left out.
	Known(ctx context.Context, subscriptions []string) (map[string][]ordering.Fact, error)
	// Forget removes documents.
	Forget(ctx context.Context, ids []string) error
}
