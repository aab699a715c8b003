package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
)

// maxAttempts bounds how often a record is read and decided again because another
// writer was first. Each attempt means that a writer made progress.
const maxAttempts = 20

// Result is the outcome of one entry.
type Result struct {
	Effect Effect
	Err    error
}

// Committer commits batches of entries. It keeps nothing between two batches, and
// any number of them may work on one database.
type Committer struct {
	// OnOverlap, if not nil, is called for each entry whose event is in the audit trail
	// in another API version.
	OnOverlap func()

	db  Database
	now func() time.Time
}

// NewCommitter returns a committer on a database.
func NewCommitter(db Database, now func() time.Time) *Committer { return &Committer{db: db, now: now} }

// Commit commits a batch: all audit documents, then all records. It returns the
// result of each entry at the same index; one that fails does not fail the others.
func (c *Committer) Commit(ctx context.Context, entries []Entry) []Result {
	b := &batch{messages: make([]events.Message, len(entries)), results: make([]Result, len(entries))}
	failures := c.db.Insert(ctx, entries)
	stored := c.lookUp(ctx, existing(entries, failures))
	for i, failure := range failures {
		b.messages[i], b.results[i] = c.audited(ctx, entries[i], failure, stored)
	}
	c.updateRecords(ctx, b)
	return b.results
}

// existing returns the keys of the entries that were in the audit trail before.
func existing(entries []Entry, failures []error) []string {
	var keys []string
	for i, failure := range failures {
		if errors.Is(failure, ErrExists) {
			keys = append(keys, entries[i].Key())
		}
	}
	return keys
}

// batch is a batch that is being committed, with the messages that the audit trail
// holds.
type batch struct {
	messages []events.Message
	results  []Result
}

// audited returns the message that the audit trail holds of an entry. A duplicate
// goes on to its record: the process that inserted the document may have crashed
// before it wrote that.
func (c *Committer) audited(ctx context.Context, e Entry, failure error, stored lookup) (events.Message, Result) {
	switch {
	case failure == nil:
		return e.Message, Result{Effect: Recorded}
	case errors.Is(failure, ErrExists):
		// If an event came in two readings, the audit trail decides which one counts.
		// The other one is not used.
		m, err := stored.message(e.Key())
		replaced := false
		if err == nil && Preferred(e.Message, m) {
			m, replaced, err = c.db.Prefer(ctx, e)
		}
		if err == nil && c.OnOverlap != nil && overlaps(e, m, replaced) {
			c.OnOverlap()
		}
		if replaced {
			return m, Result{Effect: Recorded, Err: err}
		}
		return m, Result{Effect: Duplicate, Err: err}
	}
	return events.Message{}, Result{Err: failure}
}

// overlaps reports whether an entry is in another API version than the document that it
// replaced, or that counts instead.
func overlaps(e Entry, counts events.Message, replaced bool) bool {
	if replaced {
		return counts.Data.Overlap
	}
	return e.StripeAPIVersion != counts.StripeAPIVersion
}

// lookup is what one query found in the audit trail. If the query failed, what it had
// found before counts.
type lookup struct {
	found map[string]Audited
	err   error
}

func (c *Committer) lookUp(ctx context.Context, keys []string) (l lookup) {
	if len(keys) > 0 {
		l.found, l.err = c.db.Messages(ctx, keys)
	}
	return l
}

func (l lookup) message(key string) (events.Message, error) {
	a, ok := l.found[key]
	switch {
	case a.Unreadable:
		return events.Message{}, fault.New(fault.Permanent, fault.AuditUnreadable,
			fmt.Errorf("the audit document of %s does not hold a message", events.SafeID(a.ID)))
	case !ok && l.err != nil:
		return events.Message{}, l.err
	case !ok:
		return events.Message{}, fault.New(fault.Transient, fault.AuditMissing, errors.New("there is no such audit document"))
	}
	return a.Message, nil
}

// groups are the indexes of a batch's messages, by the key of their subscription.
type groups map[string][]int

// updateRecords updates the record of every subscription in the batch. All events
// of one subscription become one write.
func (c *Committer) updateRecords(ctx context.Context, b *batch) {
	pending := b.groups()
	for attempt := 0; len(pending) > 0; attempt++ {
		if attempt == maxAttempts {
			b.failAll(pending, fault.New(fault.Transient, fault.DatabaseContention,
				fmt.Errorf("another writer was first %d times", attempt)))
			return
		}
		pending = c.tryUpdate(ctx, b, pending)
	}
}

func (b *batch) groups() groups {
	found := groups{}
	for i, m := range b.messages {
		if _, ok := ordering.FactOf(m); ok && b.results[i].Err == nil {
			found[m.SubscriptionKey()] = append(found[m.SubscriptionKey()], i)
		}
	}
	return found
}

// tryUpdate reads, decides and replaces the records of the groups. Each step is one
// query for all of them. It returns the groups that are not finished: another writer
// was first, or the record was marked.
func (c *Committer) tryUpdate(ctx context.Context, b *batch, pending groups) groups {
	keys := slices.Sorted(maps.Keys(pending))
	heads, err := c.db.Heads(ctx, keys)
	if err != nil {
		b.failAll(pending, err)
		return nil
	}
	updates := make([]*update, len(keys))
	for i, key := range keys {
		updates[i] = &update{head: heads[key], fresh: b.pick(pending[key])}
		updates[i].head.Key = key
	}
	c.decide(ctx, updates)
	again := groups{}
	var needed []*update
	for _, u := range updates {
		switch {
		case u.err != nil:
			b.fail(pending[u.head.Key], u.err)
		case u.marks:
			again[u.head.Key] = pending[u.head.Key]
		case u.needed:
			needed = append(needed, u)
		}
	}
	maps.Copy(again, c.replace(ctx, b, pending, needed))
	return again
}

// replace writes the records and returns the groups that must be read and decided
// again: those whose revision has changed since.
func (c *Committer) replace(ctx context.Context, b *batch, pending groups, updates []*update) groups {
	records := make([]Record, len(updates))
	for i, u := range updates {
		records[i] = u.head.Next(u.winner, u.verdict.Verdict, c.now())
	}
	again := groups{}
	for i, failure := range c.db.Replace(ctx, records) {
		key := records[i].Key
		switch {
		case failure == nil:
			b.markApplied(pending[key], updates[i])
		case errors.Is(failure, ErrExists):
			again[key] = pending[key]
		default:
			b.fail(pending[key], failure)
		}
	}
	return again
}

// markApplied marks the events that the new state depends on. An event that was
// superseded within its batch, or that is only remembered, is not marked. Nor is one that
// was stored and known before.
func (b *batch) markApplied(members []int, u *update) {
	applied := u.applied()
	for _, i := range members {
		repeated := u.repeats && b.results[i].Effect == Duplicate
		if !repeated && applied[b.messages[i].ID] {
			b.results[i].Effect = Applied
		}
	}
}

func (b *batch) failAll(failed groups, err error) {
	for _, members := range failed {
		b.fail(members, err)
	}
}

func (b *batch) fail(members []int, err error) {
	for _, i := range members {
		b.results[i].Err = err
	}
}

func (b *batch) pick(members []int) []events.Message {
	picked := make([]events.Message, len(members))
	for k, i := range members {
		picked[k] = b.messages[i]
	}
	return picked
}
