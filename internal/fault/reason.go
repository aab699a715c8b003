package fault

// Reason says in one word why something failed. Logs, metrics and dead letters
// carry it, and docs/operating.md explains every one. Code compares reasons with
// these constants.
type Reason string

// Reasons that several packages give.
const (
	Other             Reason = "other" // the error has no mark
	TooLarge          Reason = "too_large"
	CannotBeEncoded   Reason = "unencodable"
	MessageUnreadable Reason = "unreadable"
	Panicked          Reason = "panic"
)

// Reasons for rejecting a webhook. The sender never sees them.
const (
	WrongPath        Reason = "path"
	WrongMethod      Reason = "method"
	WrongEncoding    Reason = "encoding"
	BodyUnreadable   Reason = "body"
	SignatureMissing Reason = "missing"
	Malformed        Reason = "malformed"
	NoMatchingSecret Reason = "no_match"
	Stale            Reason = "stale"
	FromTheFuture    Reason = "future"
	NotAnEvent       Reason = "not_an_event"
)

// Reasons for not publishing a message.
const (
	TooManyWebhooks Reason = "saturated"
	MemoryUsedUp    Reason = "memory"
	NATSUnreachable Reason = "nats_unreachable"
	NATSTimeout     Reason = "nats_timeout"
	StreamMissing   Reason = "stream_missing"
	StreamFull      Reason = "stream_full"
	JetStreamFull   Reason = "jetstream_full"
	PublishFailed   Reason = "publish_failed"
	BucketFailed    Reason = "bucket_failed"
)

// Reasons for not storing an entry.
const (
	DatabaseUnreachable Reason = "database_unreachable"
	DatabaseDNS         Reason = "database_dns"
	DatabaseTLS         Reason = "database_tls"
	DatabaseLogin       Reason = "database_login"
	DatabaseNoPrimary   Reason = "database_no_primary"
	DatabaseFailed      Reason = "database_failed"
	DatabaseRefused     Reason = "database_refused"
	DatabaseBusy        Reason = "database_busy"
	DatabaseTimeout     Reason = "database_timeout"
	DatabaseContention  Reason = "database_contention"
	Closing             Reason = "closing"
	Held                Reason = "held"
	NewerRule           Reason = "newer_rule"
	AuditMissing        Reason = "audit_missing"
	AuditMismatch       Reason = "audit_mismatch"
	AuditUnreadable     Reason = "audit_unreadable"
)

// Reasons why a call of Stripe's API failed.
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
	KeyMissing        Reason = "no_key"
	WrongMode         Reason = "wrong_mode"
	BadID             Reason = "bad_id"
	NotAtStripe       Reason = "not_found"
	Canceled          Reason = "canceled"
)
