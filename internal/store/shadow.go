package store

import (
	"context"
	"iter"
	"time"
)

// Rereading reads the whole audit trail again, and remembers how far that has come.
type Rereading interface {
	// Everything yields the documents of the audit trail of events that Stripe created
	// from a time on, oldest first.
	Everything(ctx context.Context, from time.Time) iter.Seq2[Audited, error]
	// EverythingSize returns how many documents Everything yields.
	EverythingSize(ctx context.Context, from time.Time) (int64, error)
	// Progress returns what was set last; it is zero if nothing was, or if it was removed
	// by setting the zero Progress.
	Progress(ctx context.Context) (Progress, error)
	SetProgress(ctx context.Context, p Progress) error
}

// Progress says how far the audit trail was read again.
type Progress struct {
	// What is done with it. Another reading does not continue it.
	What string
	// Reached is the time of the latest event that was handled, in milliseconds. Others of
	// the same time may be missing.
	Reached time.Time
}
