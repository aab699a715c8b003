// Package fault says what an error means for the one who called: whether to
// refuse the request, to give up on the message, or to try again later.
//
// Packages that know a cause mark it; each edge of the program (the HTTP
// answer, the message outcome, the exit status) translates the mark in one
// place. An error that nobody has marked is transient: an error code that
// nobody has thought of must never throw an event away.
package fault

import "errors"

// Kind is what an error means.
type Kind int

const (
	// Transient faults go away: a server is unreachable, a timeout, an unknown
	// outcome. Try again.
	Transient Kind = iota
	// Rejected requests are not ours to process: wrong signature, not an event.
	// Trying again will not help, and nothing is lost.
	Rejected
	// Permanent faults concern one message that can never be processed. It goes
	// to the dead letters.
	Permanent
)

// String is the kind in the words of logs and metrics.
func (k Kind) String() string {
	switch k {
	case Rejected:
		return "rejected"
	case Permanent:
		return "permanent"
	default:
		return "transient"
	}
}

type marked struct {
	kind   Kind
	reason Reason
	err    error
}

func (m *marked) Error() string { return m.err.Error() }
func (m *marked) Unwrap() error { return m.err }

// New marks err as being of a kind, for a reason. It returns nil if err is nil.
func New(kind Kind, reason Reason, err error) error {
	if err == nil {
		return nil
	}
	return &marked{kind: kind, reason: reason, err: err}
}

// KindOf returns the outermost mark of err, or [Transient] if there is none.
func KindOf(err error) Kind {
	var m *marked
	if errors.As(err, &m) {
		return m.kind
	}
	return Transient
}
