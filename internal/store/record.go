package store

import (
	"cmp"
	"context"
	"iter"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// Head is the part of a record that a decision needs.
type Head struct {
	// Key is the key of the subscription.
	Key                    string
	FirstSeenAt, UpdatedAt time.Time
	// Revision grows with every write; it is 0 if there is no record.
	Revision int64
	// Rule is the version of the ordering rule that decided the record.
	Rule int
	// Reread is true if another reading of an event took the place of the one that was
	// stored, see [AuditTrail.Prefer], or if a verification wrote it. Then Known may cover less than it did before.
	Reread bool
	// Known are the facts on which a later decision can depend.
	Known []ordering.Fact
	// Listings are the versions of the products and prices that the names of the items
	// are from, by their keys; 0 if the catalog had none. It is nil if that is not known.
	Listings map[string]int64
	// Owner is what the subscription itself says about whose it is.
	Owner Owner
	// User is the user of the subscription.
	User ordering.User
}

// Current reports whether the record exists and was decided by the present rule.
func (h Head) Current() bool { return h.Revision > 0 && h.Rule == ordering.Rule }

// Record is the document of one subscription, as it is written.
type Record struct {
	Head
	// Winner is the message that holds the present state.
	Winner      events.Message
	Terminal    bool
	Ordering    ordering.Certainty
	Explanation string
}

// Decision is what a record says about its subscription.
type Decision struct {
	Winner  events.Message
	Verdict ordering.Verdict
	User    ordering.User
}

// Next returns the record that follows a head, by a new decision.
func (h Head) Next(d Decision, now time.Time) Record {
	h = h.withUser(d.User, now)
	h.Rule, h.Known, h.Owner = ordering.Rule, d.Verdict.Relevant, OwnerOf(d.Winner.Data.Subscription)
	if h.FirstSeenAt.IsZero() {
		h.FirstSeenAt = now
	}
	return Record{
		Head: h, Winner: d.Winner, Terminal: d.Verdict.Winner.Terminal,
		Ordering: d.Verdict.Ordering, Explanation: d.Verdict.Explanation,
	}
}

func (h Head) withUser(user ordering.User, now time.Time) Head {
	h.Revision++
	h.User, h.UpdatedAt = user, now
	return h
}

// State returns what the record says.
func (r Record) State() *State {
	sub := *r.Winner.Data.Subscription
	sub.UserID = r.User.ID
	s := &State{
		Head: r.Head, Subscription: sub, EventID: r.Winner.ID, EventType: cmp.Or(r.Winner.StripeType, r.Winner.Type),
		EventCreated: r.Winner.Time, Terminal: r.Terminal, Ordering: r.Ordering, Explanation: r.Explanation,
	}
	for _, at := range []*time.Time{&s.FirstSeenAt, &s.UpdatedAt, &s.EventCreated} {
		*at = at.UTC().Truncate(time.Millisecond) // as it will be read
	}
	return s
}

// Records keeps the records of subscriptions, one document for each.
type Records interface {
	// Heads returns the heads of those records, among the keys, that exist.
	Heads(ctx context.Context, keys []string) (map[string]Head, error)
	// Recent returns heads of records, among the keys, as this process has written them
	// lately. Only a database that is slow to read has any. They can be out of date, which
	// writing notices by the revision: so from them it never follows that nothing has to
	// be written, or that something cannot be.
	Recent(keys []string) map[string]Head
	// Replace writes records with different keys and returns the outcome of each,
	// at the same index. A record of revision n replaces the one of revision n-1;
	// if there is no record, it is inserted. Any other revision is [ErrExists].
	// Comparing and writing are one atomic step.
	Replace(ctx context.Context, records []Record) []error
	// Mark sets Reread of a record that exists, raises its revision by one, and leaves
	// everything else as it is. If the record has another revision than the head, or is
	// gone, the error is [ErrExists]. Comparing and writing are one atomic step.
	Mark(ctx context.Context, head Head) error
}

// State is what a record says about its subscription.
type State struct {
	// Head has the user that all known events name.
	Head
	// Subscription has the user's id from there.
	Subscription events.Subscription
	// EventID is the event that holds the state, EventType its type, and EventCreated when
	// it was created.
	EventID, EventType string
	EventCreated       time.Time
	Terminal           bool
	Ordering           ordering.Certainty
	Explanation        string
}

// States reads what records say. The simulation compares it with what happened, and
// the state view is made from it.
type States interface {
	// State returns what the record of a subscription says. It reports false if
	// there is no record.
	State(ctx context.Context, key string) (State, bool, error)
}

// StoredRecord is the record of one subscription as the database has it, which may
// be damaged.
type StoredRecord struct {
	Key string
	// Exists is false if there is no record.
	Exists bool
	// Revision is different after every write.
	Revision string
	// Rule is the version of the ordering rule that decided the record.
	Rule int
	// EventID is the event that holds the state.
	EventID string
	// Fields are the fields of the record by name, without its key, its revision
	// and the times at which it was written. Two texts are equal if and only if the
	// values are.
	Fields map[string]string
}

// Verification compares every record with the audit trail, and corrects it.
type Verification interface {
	IdentityTrail
	// Messages is that of [AuditTrail].
	Messages(ctx context.Context, keys []string) (map[string]Audited, error)
	// Claims yields the events that can say something about users, in no particular
	// order.
	Claims(ctx context.Context) iter.Seq2[Audited, error]
	// Audit yields the events that show the state of a subscription, in the order
	// of the subscriptions' keys, byte by byte.
	Audit(ctx context.Context) iter.Seq2[Audited, error]
	// AuditSize returns how many events Audit yields.
	AuditSize(ctx context.Context) (int64, error)
	// Records yields every record, in the same order.
	Records(ctx context.Context) iter.Seq2[StoredRecord, error]
	// Trail is that of [Search].
	Trail(ctx context.Context, subscription string) iter.Seq2[Audited, error]
	// Listings is that of [Catalog].
	Listings
	// Record returns the record of one subscription; Exists is false if there is
	// none.
	Record(ctx context.Context, key string) (StoredRecord, error)
	// Fields returns the fields of the record that a decision makes.
	Fields(key string, d Decision) (map[string]string, error)
	// Rewrite replaces a record that was read, in whatever condition it is, by the
	// one that a decision makes. It keeps the time at which the subscription was
	// first seen, and sets Reread, so from then on every writer writes. Listings are then
	// not known. It reports
	// false, and writes nothing, if another writer has changed, created or removed the
	// record since it was read.
	Rewrite(ctx context.Context, have StoredRecord, d Decision) (bool, error)
}

// GapSource is what watching for gaps needs of a database.
type GapSource interface {
	// Heads is that of [Records].
	Heads(ctx context.Context, keys []string) (map[string]Head, error)
	// Trail is that of [Search].
	Trail(ctx context.Context, subscription string) iter.Seq2[Audited, error]
}
