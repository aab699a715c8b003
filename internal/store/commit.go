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
	db  Database
	now func() time.Time
}

// NewCommitter returns a committer on a database.
func NewCommitter(db Database, now func() time.Time) *Committer { return &Committer{db, now} }

// Commit commits a batch: all audit documents, then all records. It returns the
// result of each entry at the same index; one that fails does not fail the others.
func (c *Committer) Commit(ctx context.Context, entries []Entry) []Result {
	b := &batch{messages: make([]events.Message, len(entries)), results: make([]Result, len(entries))}
	for i, failure := range c.db.Insert(ctx, entries) {
		b.messages[i], b.results[i] = c.audited(ctx, entries[i], failure)
	}
	c.updateRecords(ctx, b)
	return b.results
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
func (c *Committer) audited(ctx context.Context, e Entry, failure error) (events.Message, Result) {
	switch {
	case failure == nil:
		return e.Message, Result{Effect: Recorded}
	case errors.Is(failure, ErrExists):
		// If an event came in two readings, the audit trail decides which one counts.
		// The other one is not used.
		m, replaced, err := c.db.Prefer(ctx, e)
		if replaced {
			return m, Result{Effect: Recorded, Err: err}
		}
		return m, Result{Effect: Duplicate, Err: err}
	}
	return events.Message{}, Result{Err: failure}
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

// tryUpdate reads, decides and replaces the records of the groups. It returns the
// groups that are not finished: another writer was first, or the record was marked.
func (c *Committer) tryUpdate(ctx context.Context, b *batch, pending groups) groups {
	keys := slices.Sorted(maps.Keys(pending))
	heads, err := c.db.Heads(ctx, keys)
	if err != nil {
		b.failAll(pending, err)
		return nil
	}
	var decisions []decision
	for _, key := range keys {
		head := heads[key]
		head.Key = key
		d, needed, err := c.decide(ctx, head, b.pick(pending[key]))
		switch {
		case err != nil:
			b.fail(pending[key], err)
		case needed:
			decisions = append(decisions, d)
		}
	}
	return c.replace(ctx, b, pending, decisions)
}

// decision is a record that is to replace another.
type decision struct {
	record Record
	// marks is true if the record is to be decided only after this.
	marks bool
	// before are the facts that the record already knew. all are those that it was
	// decided from.
	before, all []ordering.Fact
	// items is the event whose list fills up that of the winner; "" if there is none.
	items string
}

// decide merges new messages into what is known of a subscription. It reports false
// if nothing needs to be written: every event is known, or too old to matter. A record
// whose events were read again is always written, see [Head.Reread].
func (c *Committer) decide(ctx context.Context, head Head, fresh []events.Message) (decision, bool, error) {
	fresh, err := c.current(ctx, head, fresh)
	if err != nil {
		return decision{}, false, err
	}
	reread := slices.ContainsFunc(fresh, isReread)
	if reread && !head.Reread && head.Current() && len(head.Known) > 0 {
		return c.mark(ctx, head, fresh)
	}
	head.Reread = head.Reread || reread
	known, err := c.known(ctx, head, reread)
	if err != nil {
		return decision{}, false, err
	}
	d := decision{all: known}
	if !reread { // else the audit trail has said everything
		d.all = slices.Concat(known, factsOf(fresh))
	}
	if len(d.all) == 0 {
		return decision{}, false, fault.New(fault.Transient, fault.AuditMissing, errors.New("the audit trail has no event of the subscription"))
	}
	verdict := Decide(d.all)
	if head.Current() && !reread {
		if !head.Reread && sameEvents(verdict.Relevant, known) {
			return decision{}, false, nil
		}
		d.before = known
	}
	winner, err := c.winner(ctx, head.Key, verdict, fresh)
	d.record, d.items = head.Next(winner, verdict.Verdict, c.now()), verdict.Items.EventID
	return d, true, err
}

// mark makes a record say that its events are read again, and nothing else. After
// that, every writer replaces the record, so none can take an event for covered that
// the audit trail did not have when it was read for the new decision.
func (c *Committer) mark(ctx context.Context, head Head, fresh []events.Message) (decision, bool, error) {
	head.Reread = true
	verdict := Decide(head.Known)
	winner, err := c.winner(ctx, head.Key, verdict, fresh)
	return decision{record: head.Next(winner, verdict.Verdict, c.now()), marks: true}, true, err
}

// current returns what the audit trail holds of the messages now. A record whose
// events were read again may be newer than a message that was found before, and must
// not go back to it. A batch can have several readings of one event.
func (c *Committer) current(ctx context.Context, head Head, fresh []events.Message) ([]events.Message, error) {
	if !head.Reread && !slices.ContainsFunc(fresh, isReread) {
		return fresh, nil
	}
	found := make([]events.Message, len(fresh))
	for i, m := range fresh {
		var err error
		if found[i], err = c.db.Find(ctx, m.Key()); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// known returns the facts to decide from. A record that an older rule decided is
// decided again, from the whole audit trail. So is one that may know an earlier
// reading of an event: what that has left out can matter now.
func (c *Committer) known(ctx context.Context, head Head, reread bool) ([]ordering.Fact, error) {
	switch {
	case head.Rule > ordering.Rule:
		return nil, fault.New(fault.Transient, fault.NewerRule, ErrNewerRule)
	case head.Revision > 0 && head.Rule < ordering.Rule, reread:
		return c.history(ctx, head.Key)
	}
	return head.Known, nil
}

// history returns all facts of a subscription. It skips damaged documents, which
// say nothing and must not hide the others.
func (c *Committer) history(ctx context.Context, subscription string) ([]ordering.Fact, error) {
	var facts []ordering.Fact
	for audited, err := range c.db.Trail(ctx, subscription) {
		if err != nil {
			return nil, err
		}
		if fact, ok := ordering.FactOf(audited.Message); ok {
			facts = append(facts, fact)
		}
	}
	return facts, nil
}

// winner returns the message of the winner, with all items that are known.
func (c *Committer) winner(ctx context.Context, subscription string, v Verdict, fresh []events.Message) (events.Message, error) {
	winner, err := c.message(ctx, subscription, v.Winner.EventID, fresh)
	if err != nil || v.Items.EventID == "" {
		return winner, err
	}
	list, err := c.message(ctx, subscription, v.Items.EventID, fresh)
	if err != nil {
		return events.Message{}, err
	}
	return WithItems(winner, list), nil
}

// message returns the message of an event, from the batch or from the audit trail.
func (c *Committer) message(ctx context.Context, subscription, eventID string, fresh []events.Message) (events.Message, error) {
	for _, m := range fresh {
		if m.ID == eventID {
			return m, nil
		}
	}
	first := fresh[0]
	m, err := c.db.Find(ctx, events.Key(first.Livemode, first.StripeAccount, eventID))
	if err == nil && m.SubscriptionKey() != subscription {
		return events.Message{}, fault.New(fault.Transient, fault.AuditMismatch,
			fmt.Errorf("the audit document of %s is about another subscription", events.SafeID(eventID)))
	}
	return m, err
}

// replace writes the records and returns the groups that must be read and decided
// again: those whose revision has changed since, and those that were only marked.
func (c *Committer) replace(ctx context.Context, b *batch, pending groups, decisions []decision) groups {
	records := make([]Record, len(decisions))
	for i, d := range decisions {
		records[i] = d.record
	}
	again := groups{}
	for i, failure := range c.db.Replace(ctx, records) {
		key := records[i].Key
		switch {
		case failure == nil && !decisions[i].marks:
			b.markApplied(pending[key], decisions[i])
		case failure == nil, errors.Is(failure, ErrExists):
			again[key] = pending[key]
		default:
			b.fail(pending[key], failure)
		}
	}
	return again
}

// markApplied marks the events that the new state depends on. An event that was
// superseded within its batch, or that is only remembered, is not marked.
func (b *batch) markApplied(members []int, d decision) {
	for _, i := range members {
		if d.dependsOn(b.messages[i].ID) {
			b.results[i].Effect = Applied
		}
	}
}

// dependsOn reports whether the decision would be another one without an event.
func (d decision) dependsOn(eventID string) bool {
	is := func(f ordering.Fact) bool { return f.EventID == eventID }
	if slices.ContainsFunc(d.before, is) {
		return false
	}
	others := slices.DeleteFunc(slices.Clone(d.all), is)
	if len(others) == 0 {
		return true
	}
	without := Decide(others)
	return without.Winner.EventID != d.record.Winner.ID || without.Ordering != d.record.Ordering || without.Items.EventID != d.items
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

func factsOf(messages []events.Message) []ordering.Fact {
	facts := make([]ordering.Fact, 0, len(messages))
	for _, m := range messages {
		if fact, ok := ordering.FactOf(m); ok {
			facts = append(facts, fact)
		}
	}
	return facts
}

// sameEvents reports whether two sets of facts of one subscription are equal: facts
// with equal ids are.
func sameEvents(a, b []ordering.Fact) bool { return slices.Equal(eventIDs(a), eventIDs(b)) }

func eventIDs(facts []ordering.Fact) []string {
	ids := make([]string, len(facts))
	for i, f := range facts {
		ids[i] = f.EventID
	}
	slices.Sort(ids)
	return ids
}
