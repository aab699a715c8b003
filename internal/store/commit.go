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
	again := groups{}
	for _, key := range keys {
		head := heads[key]
		head.Key = key
		d, needed, err := c.decide(ctx, head, b.pick(pending[key]))
		switch {
		case errors.Is(err, errAgain):
			again[key] = pending[key]
		case err != nil:
			b.fail(pending[key], err)
		case needed:
			decisions = append(decisions, d)
		}
	}
	maps.Copy(again, c.replace(ctx, b, pending, decisions))
	return again
}

// errAgain means that a record must be read and decided again.
var errAgain = errors.New("the record was marked, or another writer was first")

// decision is a record that is to replace another.
type decision struct {
	record Record
	// repeats is true if the record knows the same facts as before.
	repeats bool
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
	if head.Rule > ordering.Rule {
		return decision{}, false, fault.New(fault.Transient, fault.NewerRule, ErrNewerRule)
	}
	fresh, err := c.current(ctx, head, fresh)
	if err != nil {
		return decision{}, false, err
	}
	if head.Revision > 0 && head.Rule < ordering.Rule || slices.ContainsFunc(fresh, contradicts) {
		return c.decideAgain(ctx, head, fresh)
	}
	d := decision{before: head.Known, all: slices.Concat(head.Known, factsOf(fresh))}
	verdict := Decide(d.all)
	if !head.Reread && sameEvents(verdict.Relevant, head.Known) {
		return decision{}, false, nil
	}
	return c.complete(ctx, head, d, verdict, fresh)
}

// decideAgain decides a record from the whole audit trail: one that an older rule decided,
// or that may know an earlier reading of an event. What that has left out can matter now.
//
// Before that, it marks the record. After that, every writer replaces the record, so none
// can take an event for covered that the audit trail did not have when it was read here.
func (c *Committer) decideAgain(ctx context.Context, head Head, fresh []events.Message) (decision, bool, error) {
	if head.Revision > 0 && !head.Reread {
		return decision{}, false, c.mark(ctx, head)
	}
	facts, reread, err := c.history(ctx, head)
	if err != nil {
		return decision{}, false, err
	}
	if len(facts) == 0 {
		return decision{}, false, fault.New(fault.Transient, fault.AuditMissing, errors.New("the audit trail has no event of the subscription"))
	}
	verdict := Decide(facts)
	d := decision{all: facts, repeats: head.Current() && sameFacts(verdict.Relevant, head.Known)}
	head.Reread = reread || head.Current()
	return c.complete(ctx, head, d, verdict, fresh)
}

func (c *Committer) mark(ctx context.Context, head Head) error {
	if err := c.db.Mark(ctx, head); err != nil && !errors.Is(err, ErrExists) {
		return err
	}
	return errAgain
}

func (c *Committer) complete(ctx context.Context, head Head, d decision, v Verdict, fresh []events.Message) (decision, bool, error) {
	winner, err := c.winner(ctx, head.Key, v, fresh)
	d.record, d.items = head.Next(winner, v.Verdict, c.now()), v.Items.EventID
	return d, true, err
}

// current returns what the audit trail holds of the messages now. A record whose
// events were read again may be newer than a message that was found before, and must
// not go back to it. A batch can have several readings of one event.
func (c *Committer) current(ctx context.Context, head Head, fresh []events.Message) ([]events.Message, error) {
	if !head.Reread && !slices.ContainsFunc(fresh, contradicts) {
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

// history returns all facts of a subscription, and whether one of them took the place of
// another reading. A document that is damaged or missing must not hide the others; if the
// record knows its event, the fact that the record has kept counts.
func (c *Committer) history(ctx context.Context, head Head) (facts []ordering.Fact, reread bool, err error) {
	for audited, err := range c.db.Trail(ctx, head.Key) {
		if err != nil {
			return nil, false, err
		}
		if fact, ok := ordering.FactOf(audited.Message); ok {
			facts, reread = append(facts, fact), reread || contradicts(audited.Message)
		}
	}
	if !head.Current() { // an older rule may have made other facts
		return facts, reread, nil
	}
	for _, fact := range head.Known {
		if !slices.ContainsFunc(facts, isFactOf(fact.EventID)) {
			facts = append(facts, fact)
		}
	}
	return facts, reread, nil
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
// again: those whose revision has changed since.
func (c *Committer) replace(ctx context.Context, b *batch, pending groups, decisions []decision) groups {
	records := make([]Record, len(decisions))
	for i, d := range decisions {
		records[i] = d.record
	}
	again := groups{}
	for i, failure := range c.db.Replace(ctx, records) {
		key := records[i].Key
		switch {
		case failure == nil:
			b.markApplied(pending[key], decisions[i])
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
func (b *batch) markApplied(members []int, d decision) {
	for _, i := range members {
		repeated := d.repeats && b.results[i].Effect == Duplicate
		if !repeated && d.dependsOn(b.messages[i].ID) {
			b.results[i].Effect = Applied
		}
	}
}

// dependsOn reports whether the decision would be another one without an event.
func (d decision) dependsOn(eventID string) bool {
	is := isFactOf(eventID)
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

func isFactOf(eventID string) func(ordering.Fact) bool {
	return func(f ordering.Fact) bool { return f.EventID == eventID }
}

// sameFacts reports whether two lists of facts, by event id, are equal.
func sameFacts(a, b []ordering.Fact) bool {
	return slices.EqualFunc(a, b, func(f, g ordering.Fact) bool {
		same := f.Moment.Equal(g.Moment)
		f.Moment = g.Moment
		return same && f == g
	})
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
