package natsbus

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
)

// Drift is one difference between a stream or consumer and what the program needs.
type Drift struct {
	Object string // "stream BILLBUS"
	Field  string // "subjects"
	Have   string // "" where the object is missing
	Want   string
	// Fatal is set if messages could be lost or missed. The program is not ready then.
	Fatal bool
	Cure  string // what the operator can do
}

const (
	cureProvision = "run `bridge provision`; with --dry-run it only prints what it would change"
	cureNoStream  = "start the bridge with PROVISION=create, or run `bridge provision`"
)

func (c Consumer) cureMissing() string {
	return "start a " + c.program + " with PROVISION=create once, or run `bridge provision --consumers`"
}

func (c Consumer) cureDrift() string {
	return "delete the consumer, and start a " + c.program + " with PROVISION=create to create it again; it then reads the stream from its beginning, which changes no state"
}

// String returns the drift in one line.
func (d Drift) String() string {
	if d.Field == "" {
		return d.Object + " does not exist"
	}
	return fmt.Sprintf("%s: %s is %s, want %s", d.Object, d.Field, d.Have, d.Want)
}

type differ struct {
	object, cure string
	drifts       []Drift
}

func (d *differ) compare(field string, have, want any, fatal bool) {
	h, w := fmt.Sprint(have), fmt.Sprint(want)
	if h != w {
		d.drifts = append(d.drifts, Drift{Object: d.object, Field: field, Have: h, Want: w, Fatal: fatal, Cure: d.cure})
	}
}

func (d *differ) replicas(have, want int) {
	have, want = max(have, 1), max(want, 1)
	d.compare("num_replicas", have, want, have < want)
}

func lifetime(maxAge time.Duration) time.Duration {
	if maxAge <= 0 {
		return math.MaxInt64
	}
	return maxAge
}

func missingStream(name string) Drift {
	return Drift{Object: "stream " + name, Fatal: true, Cure: cureNoStream}
}

const fatal, tolerable = true, false

func streamDrift(have, want jetstream.StreamConfig) []Drift {
	d := &differ{object: "stream " + want.Name, cure: cureProvision}
	d.compare("subjects", sorted(withoutUnused(have.Subjects, want.Subjects)), sorted(want.Subjects), fatal)
	d.compare("storage", have.Storage, want.Storage, fatal)
	d.compare("retention", have.Retention, want.Retention, fatal)
	d.compare("discard", have.Discard, want.Discard, fatal)
	d.compare("no_ack", have.NoAck, false, fatal)
	d.compare("sealed", have.Sealed, false, fatal)
	// A limit per subject drops the oldest message of the subject, regardless of the
	// discard policy.
	d.compare("max_msgs_per_subject", unlimited(have.MaxMsgsPerSubject), unlimited(want.MaxMsgsPerSubject), fatal)
	d.compare("subject_transform", have.SubjectTransform != nil, false, fatal)
	d.compare("mirror", have.Mirror != nil, false, fatal)
	if isBucket(want.Name) { // a replica's answer could be an old one
		d.compare("allow_direct", have.AllowDirect, want.AllowDirect, fatal)
	}
	d.compare("max_msgs", unlimited(have.MaxMsgs), int64(-1), tolerable)
	d.compare("max_msg_size", unlimited(int64(have.MaxMsgSize)), int64(-1), tolerable)
	d.compare("max_bytes", unlimited(have.MaxBytes), unlimited(want.MaxBytes), tolerable)
	// A stream that forgets earlier, or that one lost disk can take, was created
	// with other settings.
	d.compare("max_age", have.MaxAge, want.MaxAge, lifetime(have.MaxAge) < lifetime(want.MaxAge))
	d.replicas(have.Replicas, want.Replicas)
	d.compare("duplicate_window", have.Duplicates, want.Duplicates, tolerable)
	return d.drifts
}

func isBucket(stream string) bool { return strings.HasPrefix(stream, bucketStream) }

// withoutUnused leaves out the subject of changes of access where none are published. A
// stream can have it from a time when they were.
func withoutUnused(have, want []string) []string {
	return slices.DeleteFunc(slices.Clone(have), func(subject string) bool {
		return subject == events.SubjectAccess && !slices.Contains(want, subject)
	})
}

// merged returns the configuration that removes all drift. What Billbus has no
// setting for (placement, republish, compression) stays as the operator set it.
func merged(have, want jetstream.StreamConfig) jetstream.StreamConfig {
	next := have
	next.Description = want.Description
	if sorted(withoutUnused(have.Subjects, want.Subjects)) != sorted(want.Subjects) {
		next.Subjects = want.Subjects
	}
	next.Storage, next.Retention, next.Discard = want.Storage, want.Retention, want.Discard
	next.NoAck, next.SubjectTransform, next.Mirror = false, nil, nil
	next.MaxMsgsPerSubject, next.MaxMsgs, next.MaxMsgSize = unlimited(want.MaxMsgsPerSubject), -1, -1
	if isBucket(want.Name) {
		next.AllowDirect = want.AllowDirect
	}
	next.MaxBytes, next.MaxAge, next.Replicas, next.Duplicates = want.MaxBytes, want.MaxAge, want.Replicas, want.Duplicates
	return next
}

func consumerDrift(stream string, have jetstream.ConsumerConfig, wanted Consumer) []Drift {
	want := wanted.config()
	d := &differ{object: "consumer " + want.Durable + " of stream " + stream, cure: wanted.cureDrift()}
	d.compare("ack_policy", have.AckPolicy, want.AckPolicy, fatal)
	d.compare("filter", filters(have), filters(want), fatal)
	d.compare("max_deliver", have.MaxDeliver, want.MaxDeliver, fatal)
	d.compare("headers_only", have.HeadersOnly, false, fatal)
	d.compare("deliver_subject", have.DeliverSubject, "", fatal)
	d.compare("deliver_policy", have.DeliverPolicy, want.DeliverPolicy, tolerable)
	d.compare("ack_wait", have.AckWait, want.AckWait, tolerable)
	d.compare("max_ack_pending", have.MaxAckPending, want.MaxAckPending, tolerable)
	d.compare("inactive_threshold", have.InactiveThreshold, want.InactiveThreshold, tolerable)
	d.compare("replay_policy", have.ReplayPolicy, want.ReplayPolicy, tolerable)
	d.compare("paused", have.PauseUntil != nil, false, tolerable)
	return d.drifts
}

func filters(c jetstream.ConsumerConfig) string {
	if c.FilterSubject != "" {
		return c.FilterSubject
	}
	return sorted(c.FilterSubjects)
}

func sorted(subjects []string) string {
	return strings.Join(slices.Sorted(slices.Values(subjects)), " ")
}

// unlimited returns -1 for both forms of "no limit".
func unlimited(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}
