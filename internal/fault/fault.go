// Package fault classifies errors by what the caller should do: refuse the
// request, give up on the message, or try again later.
//
// The package that knows the cause of an error marks it. Each edge of the program
// (HTTP status, message outcome, exit status) translates the mark in one place. An
// error without a mark is transient, because an unexpected error must never
// discard an event.
package fault

import "errors"

// Kind says what to do about an error.
type Kind int

const (
	// Transient faults go away: a server is unreachable, a call timed out, or its
	// outcome is unknown. Try again.
	Transient Kind = iota
	// Rejected requests are not for us: the signature is wrong, or the body is not
	// an event. Trying again does not help, and nothing is lost.
	Rejected
	// Permanent faults concern one message that can never be processed. It goes to
	// the dead letters.
	Permanent
)

// String returns the kind as logs and metrics name it.
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

// New marks err with a kind and a reason. It returns nil if err is nil.
func New(kind Kind, reason Reason, err error) error {
	if err == nil {
		return nil
	}
	return &marked{kind: kind, reason: reason, err: err}
}

// KindOf returns the kind of the outermost mark of err, or [Transient] if there is
// no mark.
func KindOf(err error) Kind {
	if m, ok := errors.AsType[*marked](err); ok {
		return m.kind
	}
	return Transient
}

// ReasonOf returns the reason of the outermost mark of err, or [Other] if there is
// no mark.
func ReasonOf(err error) Reason {
	if m, ok := errors.AsType[*marked](err); ok {
		return m.reason
	}
	return Other
}
