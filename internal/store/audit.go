package store

import (
	"context"
	"iter"
	"time"

	"github.com/billbus/billbus/events"
)

// Audited is one document of the audit trail.
type Audited struct {
	// Subscription is the key of the subscription whose state the event shows; ""
	// if it shows none.
	Subscription string
	Entry
	// Unreadable is true if the document is damaged and does not hold a message.
	// Of the message there are then only ID, StripeType, Time, Livemode and
	// StripeAccount.
	Unreadable bool
}

// AuditTrail keeps all events, one document for each. A document is changed only by
// Prefer.
type AuditTrail interface {
	// Insert inserts a document for each entry under its key and returns the
	// outcome of each, at the same index. An entry that fails does not keep the
	// others from being inserted. If two entries have the same key, the first is
	// inserted and the second gets [ErrExists].
	Insert(ctx context.Context, entries []Entry) []error
	// Prefer decides between the document under an entry's key and the entry, by
	// [Preferred], and returns the message of the one that counts. If that is the
	// entry, its [Replacement] replaces the document: comparing and replacing are one atomic step, so
	// whichever order entries come in, the preferred one stays. replaced is true if it
	// did. If there is no document, or it is damaged, the error is that of Find.
	Prefer(ctx context.Context, entry Entry) (m events.Message, replaced bool, err error)
	// Find returns the message that is stored under a key. If there is none, the
	// error is transient, for [fault.AuditMissing]; if the document is damaged, it
	// is permanent.
	Find(ctx context.Context, key string) (events.Message, error)
	// Messages returns what is stored under keys, by key; nothing for a key that has no
	// document. If it fails, it returns what it has found so far.
	Messages(ctx context.Context, keys []string) (map[string]Audited, error)
	// Histories yields the events that show the states of subscriptions, by the keys of
	// the subscriptions, in no particular order.
	Histories(ctx context.Context, subscriptions []string) iter.Seq2[Audited, error]
}

// Query selects events of the audit trail: those that match every field that is
// set.
type Query struct {
	// Event is an id, or a key, which includes mode and account.
	Event string
	// Subscription, an id or a key, selects the events that name the subscription.
	// It also selects those that name no subscription but an invoice, a payment
	// intent, a charge or a schedule that an event of the subscription names, or
	// that is found from there in the same way.
	Subscription string
	// Customer is the id of a customer, or of the account that represents it. It
	// selects events in the same way.
	Customer string
	// User selects the events of the subscriptions and customers that belong to a
	// user of the application, as the records say.
	User string
	Type string
	// Since and Until limit when Stripe created the event. Both are inclusive.
	Since, Until time.Time
	// Ignored selects the events that were not admitted. A document that a release
	// without this field has stored is found once it is read again.
	Ignored bool
	// Limit selects the newest events; 0 means all.
	Limit int
}

// Search searches the audit trail.
type Search interface {
	// Search returns the events that match, oldest first, and those of one moment by
	// their position in the stream. Their messages lack Event and Object.
	Search(ctx context.Context, q Query) ([]Audited, error)
	// Payload returns what Stripe sent, by the id or key of the event: "" if it was
	// left out for its size. It reports false if there is no such event.
	Payload(ctx context.Context, event string) (payload string, found bool, err error)
	// Trail yields the events that show the state of one subscription, by the key of the
	// subscription, in no particular order.
	Trail(ctx context.Context, subscription string) iter.Seq2[Audited, error]
}

// Admission finds events that may be admitted after a setting was corrected.
type Admission interface {
	// Ignored yields the events that were not admitted, in no particular order, as
	// far as [Query.Ignored] finds them.
	Ignored(ctx context.Context) iter.Seq2[Audited, error]
}

// Expired is an audit document that is older than the retention period.
type Expired struct {
	// ID identifies the document to RemoveExpired.
	ID string
	// Subscription is the key of the subscription whose state the event shows; ""
	// if it shows none.
	Subscription string
	EventID      string
	Created      time.Time
	Terminal     bool
	// ItemsTruncated is true if the event lists only some of the items.
	ItemsTruncated bool
}

// Retention removes old documents from the audit trail.
type Retention interface {
	// Expired yields the documents of events that Stripe created from one time on and
	// before another, oldest first. Documents may be removed while they are read.
	Expired(ctx context.Context, from, before time.Time) iter.Seq2[Expired, error]
	// Heads is that of [Records].
	Heads(ctx context.Context, keys []string) (map[string]Head, error)
	// RemoveExpired removes documents. It does not fail for those that are gone.
	RemoveExpired(ctx context.Context, ids []string) error
	// Turn returns the turn that was set last. It is zero if there is none.
	Turn(ctx context.Context) (Turn, error)
	// SetTurn sets the next turn. It reports false, and sets nothing, if the last one is
	// not the one that was read: comparing and setting are one atomic step.
	SetTurn(ctx context.Context, read, next Turn) (bool, error)
}

// Turn says which process removes old documents, and how far that has come. Its times
// are in milliseconds.
type Turn struct {
	Holder string
	// Until is when another process may take its turn.
	Until time.Time
	// Reached is the time before which all events were considered, since Began.
	Reached, Began time.Time
}
