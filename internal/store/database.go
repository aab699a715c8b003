package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// ErrExists says that a write found another document in its place, which is
// durable. It is no failure: somebody else was first.
var ErrExists = errors.New("another document is there already")

// Database is what a store needs of a database. Any number of processes may use
// one. Every write is durable once it is acknowledged: no failover forgets it.
// Every read sees what is durable, if perhaps not the newest of it. Any other
// error than [ErrExists] leaves open whether the write took place, and is marked
// with what it means.
type Database interface {
	AuditTrail
	States
}

// AuditTrail is the trail of all events, one document an event, never changed.
type AuditTrail interface {
	// Insert inserts one document for each entry under its key, each by itself: one
	// that fails keeps no other from being inserted. Of two entries with one key
	// the first is inserted and the second gets ErrExists.
	Insert(ctx context.Context, entries []Entry) []error
	// Find returns the message that was inserted under a key.
	Find(ctx context.Context, key string) (events.Message, error)
	// History returns all messages of one subscription, by the key of the
	// subscription.
	History(ctx context.Context, subscription string) iter.Seq2[events.Message, error]
}

// States are the states of subscriptions, one document each.
type States interface {
	// Heads returns the heads of the states that there are of those named.
	Heads(ctx context.Context, keys []string) (map[string]Head, error)
	// Replace replaces each state, of which no two have one key, on the condition
	// that its revision is the one before, or that there is none. Finding another
	// revision is ErrExists. Checking and replacing are one atomic step.
	Replace(ctx context.Context, states []State) []error
}

// Head is the part of a state that a decision needs.
type Head struct {
	// Key is that of the subscription.
	Key         string
	FirstSeenAt time.Time
	// N is the revision: it grows with every write, and is 0 if there is no state.
	N int64
	// Rule is that by which the state was decided.
	Rule int
	// Known are the facts on which a later decision can depend.
	Known []ordering.Fact
}

// current reports whether the state exists and was decided by today's rules.
func (h Head) current() bool { return h.N > 0 && h.Rule == ordering.Rule }

// State is a whole state.
type State struct {
	Head
	// Winner is the message that holds the present state.
	Winner      events.Message
	Terminal    bool
	Ordering    ordering.Certainty
	Explanation string
	UpdatedAt   time.Time
}

// Next is the state that follows a head.
func (h Head) Next(winner events.Message, v ordering.Verdict, now time.Time) State {
	h.N++
	h.Rule, h.Known = ordering.Rule, v.Relevant
	if h.FirstSeenAt.IsZero() {
		h.FirstSeenAt = now
	}
	return State{
		Head: h, Winner: winner, Terminal: v.Winner.Terminal,
		Ordering: v.Ordering, Explanation: v.Explanation, UpdatedAt: now,
	}
}
