package store

import (
	"context"
	"time"
)

// LetterAction is what was done with a dead letter.
type LetterAction string

// What can be done with a dead letter.
const (
	Redriven  LetterAction = "redriven"
	Discarded LetterAction = "discarded"
)

// Letter records what was done with a dead letter, after which it is no longer in its
// stream.
type Letter struct {
	// ID is the same for each attempt to do something with one letter.
	ID string
	// Sequence is that of the letter, StreamSequence that of its message.
	Sequence, StreamSequence uint64
	Action                   LetterAction
	Code, Reason             string // why it was a dead letter
	Subject, EventID         string // of the message; the id is "" if it cannot be read
	Consumer                 string // the one that gave up
	At                       time.Time
	By                       string // who did it
}

// Letters keeps what was done with dead letters.
type Letters interface {
	// RecordLetter inserts a record, or returns [ErrExists] if there is one with its ID.
	RecordLetter(ctx context.Context, l Letter) error
	// RecordedLetter returns the newest record of a letter with that sequence. It reports
	// false if there is none.
	RecordedLetter(ctx context.Context, sequence uint64) (l Letter, found bool, err error)
}
