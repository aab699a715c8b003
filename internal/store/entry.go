package store

import (
	"errors"
	"time"

	"github.com/billbus/billbus/events"
)

// Entry is a message as the audit trail keeps it: the message, the ids by which
// it is found again, and where it stands in the stream.
type Entry struct {
	events.Message
	events.References
	Position
}

// Position is where a message is in the stream.
type Position struct {
	// StreamSequence is the message's sequence number in the stream.
	StreamSequence uint64
	// StoredAt is when the stream stored it.
	StoredAt time.Time
}

// Effect is what recording an entry did.
type Effect string

// The effects of recording an entry.
const (
	// Applied entries changed the state of their subscription, or whether it is
	// determined: without them it would be another.
	Applied Effect = "applied"
	// Recorded entries are in the audit trail and changed no state, if perhaps what
	// is kept beside it for later decisions.
	Recorded Effect = "recorded"
	// Duplicate entries had been recorded before, and changed no state.
	Duplicate Effect = "duplicate"
)

// ErrNewerRule is returned for state that a newer release has written: an older
// one must not decide it again by older rules.
var ErrNewerRule = errors.New("the state was written by a newer release: upgrade this subscriber")
