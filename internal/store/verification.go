package store

import (
	"context"
	"iter"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// Audited is one event of a subscription as the audit trail has it.
type Audited struct {
	// Subscription is the key of the subscription it tells of.
	Subscription string
	// Message is what was recorded.
	Message events.Message
	// Unreadable is the id of an event whose document does not hold a message;
	// "" for all others.
	Unreadable string
}

// StoredRecord is what a database says of one subscription.
type StoredRecord struct {
	Key string
	// Exists is false where there is no record.
	Exists bool
	// Revision is another one after every write.
	Revision string
	// Rule numbers the rules by which the record was decided.
	Rule int
	// EventID is the event on which it rests.
	EventID string
	// Fields are what it says, by name, as texts that are equal if the values are.
	Fields map[string]string
}

// Verification is what comparing every record with the audit trail needs of a
// database.
type Verification interface {
	// Audit yields the events of every subscription, in the order of the
	// subscriptions' keys.
	Audit(ctx context.Context) iter.Seq2[Audited, error]
	// Records yields every record, in the order of the subscriptions' keys.
	Records(ctx context.Context) iter.Seq2[StoredRecord, error]
	// Trail yields the events of one subscription.
	Trail(ctx context.Context, key string) iter.Seq2[Audited, error]
	// Record returns the record of one subscription; Exists is false if there is none.
	Record(ctx context.Context, key string) (StoredRecord, error)
	// Render returns the fields of the record that a verdict makes.
	Render(key string, winner events.Message, verdict ordering.Verdict) (map[string]string, error)
	// Rewrite replaces the record that was read by the one that a verdict makes. It
	// reports false if another writer has replaced it since.
	Rewrite(ctx context.Context, have StoredRecord, winner events.Message, verdict ordering.Verdict) (bool, error)
}

// GapSource is what watching for gaps needs of a database.
type GapSource interface {
	Known(ctx context.Context, subscriptions []string) (map[string][]ordering.Fact, error)
	Trail(ctx context.Context, key string) iter.Seq2[Audited, error]
}
