package store

import (
	"errors"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// Entry is what the audit trail keeps of a message: the message itself, the ids by
// which it is found again, and its position in the stream.
type Entry struct {
	events.Message
	events.References
	Position
	// Fact is that of the message, if it was made before; it is not stored.
	Fact *ordering.Fact
	// Committed may be nil. It is called with the records that can have changed by the
	// message, by this commit or another: that of its subscription, or those whose users it
	// says something about.
	Committed func(changed []Changed)
}

// Changed is a record that can have changed.
type Changed struct {
	Key string
	// State is what the commit has written. It is nil if that was nothing, or only a user:
	// then the record has to be read.
	State *State
	// Found is the record as the commit has found it, if it has written nothing. Another
	// process may have written that for the same message, and died: then nobody else tells.
	Found Head
}

// FactOf returns the fact of a message for its entry; nil if it has none.
func FactOf(m events.Message) *ordering.Fact {
	if fact, ok := ordering.FactOf(m); ok {
		return &fact
	}
	return nil
}

// Position is where a message is in the stream.
type Position struct {
	// StreamSequence is the message's sequence number in the stream.
	StreamSequence uint64
	// StoredAt is when the stream stored it.
	StoredAt time.Time
}

// Effect is what committing an entry did.
type Effect string

// The effects of committing an entry.
const (
	// Applied means that the entry changed the state of its subscription, or
	// whether that state is determined. Of very many entries of one subscription in
	// one batch, only those that hold the state are called applied.
	Applied Effect = "applied"
	// Recorded means that the entry is in the audit trail and changed no state.
	// The record may have been written to remember it for a later decision.
	Recorded Effect = "recorded"
	// Duplicate means that the entry was there before and changed no state.
	Duplicate Effect = "duplicate"
)

// ErrNewerRule is returned for a record that a newer release has written. An older
// release must not decide it again by older rules.
var ErrNewerRule = errors.New("the record was written by a newer release: upgrade this subscriber")
