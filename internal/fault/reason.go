package fault

import "errors"

// Reason is why something failed, in one word that logs, metrics and dead letters
// carry. Operators look it up in docs/operating.md; code compares it with a
// constant. Package tests may use words of their own.
type Reason string

// Other is the reason of an error that no package has marked.
const Other Reason = "other"

// Reasons for which a webhook is rejected. The sender never learns them.
const (
	WrongPath         Reason = "path"
	WrongMethod       Reason = "method"
	WrongEncoding     Reason = "encoding"
	BodyUnreadable    Reason = "body"
	SignatureMissing  Reason = "missing"
	Malformed         Reason = "malformed"
	NoMatchingSecret  Reason = "no_match"
	Stale             Reason = "stale"
	FromTheFuture     Reason = "future"
	NotAnEvent        Reason = "not_an_event"
	TooManyWebhooks   Reason = "saturated"
	TooLarge          Reason = "too_large"   // a body, a message or a document
	CannotBeEncoded   Reason = "unencodable" // a message or a document
	MessageUnreadable Reason = "unreadable"
	Panicked          Reason = "panic"
)

// Reasons for which the stream did not take a message.
const (
	NATSUnreachable Reason = "nats_unreachable"
	NATSTimeout     Reason = "nats_timeout"
	StreamMissing   Reason = "stream_missing"
	StreamFull      Reason = "stream_full"
	PublishFailed   Reason = "publish_failed"
)

// Reasons for which an entry was not stored.
const (
	DatabaseUnreachable Reason = "database_unreachable"
	DatabaseFailed      Reason = "database_failed"
	DatabaseRefused     Reason = "database_refused"
	DatabaseBusy        Reason = "database_busy"
	DatabaseTimeout     Reason = "database_timeout"
	DatabaseContention  Reason = "database_contention"
	Closing             Reason = "closing"
	NewerRule           Reason = "newer_rule"
	AuditMissing        Reason = "audit_missing"
	AuditMismatch       Reason = "audit_mismatch"
	AuditUnreadable     Reason = "audit_unreadable"
)

// Reasons for which Stripe's API did not answer a call.
const (
	StripeUnreachable Reason = "unreachable"
	StripeTimeout     Reason = "timeout"
	StripeFailed      Reason = "stripe_failed"
	StripeRefused     Reason = "stripe_refused"
	UnexpectedAnswer  Reason = "unexpected_answer"
	Redirected        Reason = "redirected"
	RateLimited       Reason = "rate_limited"
	KeyRefused        Reason = "key_refused"
	NoPermission      Reason = "no_permission"
	WrongMode         Reason = "wrong_mode"
	BadID             Reason = "bad_id"
	NotAtStripe       Reason = "not_found"
	Canceled          Reason = "canceled"
)

// Reasons returns every reason that a program can give.
func Reasons() []Reason {
	return []Reason{
		Other,
		WrongPath, WrongMethod, WrongEncoding, BodyUnreadable, SignatureMissing, Malformed, NoMatchingSecret, Stale,
		FromTheFuture, NotAnEvent, TooManyWebhooks, TooLarge, CannotBeEncoded, MessageUnreadable, Panicked,
		NATSUnreachable, NATSTimeout, StreamMissing, StreamFull, PublishFailed,
		DatabaseUnreachable, DatabaseFailed, DatabaseRefused, DatabaseBusy, DatabaseTimeout, DatabaseContention, Closing,
		NewerRule, AuditMissing, AuditMismatch, AuditUnreadable,
		StripeUnreachable, StripeTimeout, StripeFailed, StripeRefused, UnexpectedAnswer, Redirected, RateLimited, KeyRefused,
		NoPermission, WrongMode, BadID, NotAtStripe, Canceled,
	}
}

// ReasonOf returns the reason of the outermost mark of err, or [Other].
func ReasonOf(err error) Reason {
	if m, ok := errors.AsType[*marked](err); ok {
		return m.reason
	}
	return Other
}
