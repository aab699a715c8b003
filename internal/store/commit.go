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

// maxAttempts bounds how often a state is read and merged again because another
// writer was first. Each attempt means that somebody made progress.
const maxAttempts = 20

// Result is what became of one entry.
type Result struct {
	Effect Effect
	Err    error
}

// Committer records batches of entries. It keeps nothing between two batches, and
// any number of them may work on one database.
type Committer struct {
	db  Database
	now func() time.Time
}

// NewCommitter returns a committer on a database.
func NewCommitter(db Database, now func() time.Time) *Committer { return &Committer{db, now} }

// Commit records a batch: all audit documents, then all states. The result of
// each entry stands at its index; one bad entry does not fail the others.
func (c *Committer) Commit(ctx context.Context, entries []Entry) []Result {
	b := &batch{messages: make([]events.Message, len(entries)), results: make([]Result, len(entries))}
	for i, failure := range c.db.Insert(ctx, entries) {
		b.messages[i], b.results[i] = c.audited(ctx, entries[i], failure)
	}
	c.advanceAll(ctx, b)
	return b.results
}

// batch is one batch under way. The messages are those of the audit trail.
type batch struct {
	messages []events.Message
	results  []Result
}

// audited is what became of an audit document. A duplicate is no reason to stop:
// the crash that brought it here again may have come before the state.
func (c *Committer) audited(ctx context.Context, e Entry, failure error) (events.Message, Result) {
	switch {
	case failure == nil:
		return e.Message, Result{Effect: Recorded}
	case errors.Is(failure, ErrExists):
		// Where one event came in two renderings the first stored one counts, so a
		// duplicate's own message is never looked at.
		m, err := c.db.Find(ctx, e.Key())
		return m, Result{Effect: Duplicate, Err: err}
	}
	return events.Message{}, Result{Err: failure}
}

// groups are the indexes of a batch's messages by their subscription.
type groups map[string][]int

// advanceAll advances the state of every subscription that the batch tells of:
// all events of one subscription in one write.
func (c *Committer) advanceAll(ctx context.Context, b *batch) {
	open := b.groups()
	for attempt := 0; len(open) > 0; attempt++ {
		if attempt == maxAttempts {
			b.failAll(open, fault.New(fault.Transient, fault.DatabaseContention,
				fmt.Errorf("another writer was first %d times", attempt)))
			return
		}
		open = c.advanceOnce(ctx, b, open)
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

// advanceOnce reads, merges and replaces the states of the groups, and returns
// the groups for which somebody else was first.
func (c *Committer) advanceOnce(ctx context.Context, b *batch, open groups) groups {
	keys := slices.Sorted(maps.Keys(open))
	heads, err := c.db.Heads(ctx, keys)
	if err != nil {
		b.failAll(open, err)
		return nil
	}
	var decided []decision
	for _, key := range keys {
		head := heads[key]
		head.Key = key
		d, needed, err := c.decide(ctx, head, b.pick(open[key]))
		switch {
		case err != nil:
			b.fail(open[key], err)
		case needed:
			decided = append(decided, d)
		}
	}
	return c.replace(ctx, b, open, decided)
}

// decision is a state that is to replace another.
type decision struct {
	state State
	// before are the facts on which the state before rests, and all those that this
	// one was decided from.
	before, all []ordering.Fact
}

// decide merges new messages into what is known of a subscription. Nothing needs
// to be written if every event is known already, or too old to matter.
func (c *Committer) decide(ctx context.Context, head Head, fresh []events.Message) (decision, bool, error) {
	known, err := c.known(ctx, head)
	if err != nil {
		return decision{}, false, err
	}
	d := decision{all: slices.Concat(known, factsOf(fresh))}
	verdict := ordering.Fold(d.all)
	if head.current() {
		if sameEvents(verdict.Relevant, known) {
			return decision{}, false, nil
		}
		d.before = known
	}
	winner, err := c.message(ctx, head.Key, verdict.Winner.EventID, fresh)
	d.state = head.Next(winner, verdict, c.now())
	return d, true, err
}

// known returns what is known of a subscription. A state that was decided by an
// older rule is decided anew from the whole audit trail.
func (c *Committer) known(ctx context.Context, head Head) ([]ordering.Fact, error) {
	switch {
	case head.Rule > ordering.Rule:
		return nil, fault.New(fault.Transient, fault.NewerRule, ErrNewerRule)
	case head.N > 0 && head.Rule < ordering.Rule:
		return c.history(ctx, head.Key)
	}
	return head.Known, nil
}

func (c *Committer) history(ctx context.Context, subscription string) ([]ordering.Fact, error) {
	var facts []ordering.Fact
	for m, err := range c.db.History(ctx, subscription) {
		if fault.KindOf(err) == fault.Permanent {
			continue // one damaged document says nothing, and must not silence the others
		}
		if err != nil {
			return nil, err
		}
		if fact, ok := ordering.FactOf(m); ok {
			facts = append(facts, fact)
		}
	}
	return facts, nil
}

// message returns the winner's message: one of the batch, else from the audit.
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
			fmt.Errorf("audit document of %s tells of another subscription", events.SafeID(eventID)))
	}
	return m, err
}

// replace writes the states and returns the groups whose revision had moved: for
// these, what was read is no longer true.
func (c *Committer) replace(ctx context.Context, b *batch, open groups, decided []decision) groups {
	states := make([]State, len(decided))
	for i, d := range decided {
		states[i] = d.state
	}
	again := groups{}
	for i, failure := range c.db.Replace(ctx, states) {
		key := states[i].Key
		switch {
		case failure == nil:
			b.applied(open[key], decided[i])
		case errors.Is(failure, ErrExists):
			again[key] = open[key]
		default:
			b.fail(open[key], failure)
		}
	}
	return again
}

// applied marks the events without which the state would be another one. What
// came along with an event that supersedes it, or is known now and changes
// nothing, is not among them.
func (b *batch) applied(members []int, d decision) {
	for _, i := range members {
		if d.restsOn(b.messages[i].ID) {
			b.results[i].Effect = Applied
		}
	}
}

func (d decision) restsOn(eventID string) bool {
	is := func(f ordering.Fact) bool { return f.EventID == eventID }
	if slices.ContainsFunc(d.before, is) {
		return false
	}
	others := slices.DeleteFunc(slices.Clone(d.all), is)
	if len(others) == 0 {
		return true
	}
	without := ordering.Fold(others)
	return without.Winner.EventID != d.state.Winner.ID || without.Ordering != d.state.Ordering
}

func (b *batch) failAll(open groups, err error) {
	for _, members := range open {
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

// sameEvents compares two sets of facts of one subscription: those with equal ids
// are equal.
func sameEvents(a, b []ordering.Fact) bool { return slices.Equal(eventIDs(a), eventIDs(b)) }

func eventIDs(facts []ordering.Fact) []string {
	ids := make([]string, len(facts))
	for i, f := range facts {
		ids[i] = f.EventID
	}
	slices.Sort(ids)
	return ids
}
