package natsbus

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
)

// DeadLetterStream is the name of the stream that holds the dead letters.
const DeadLetterStream = "BILLBUS_DLQ"

const (
	deadLetterPrefix = "billbus.dlq."

	// ackWait is how long the messages of a subscriber that was killed wait: the server
	// cannot tell that it is gone. It is three heartbeats, so one that is late, or a
	// process that is frozen for a moment, causes no redelivery.
	ackWait           = 10 * time.Second
	heartbeatInterval = 3 * time.Second
	// earlierAckWait is what earlier releases gave their consumers.
	earlierAckWait = 30 * time.Second
)

// StreamSettings are the operator's choices for the stream.
type StreamSettings struct {
	Name            string
	Replicas        int
	MaxAge          time.Duration // 0 is unlimited
	MaxBytes        int64         // -1 is unlimited
	DuplicateWindow time.Duration
	// StateView is true if changes of access are published, and the bucket of the state view
	// is needed.
	StateView bool
}

func (s StreamSettings) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        s.Name,
		Description: "Stripe events, normalized, one message per verified webhook",
		Subjects:    s.subjects(),
		Storage:     jetstream.FileStorage,
		// With limits retention every consumer gets every message, and a replay is
		// possible.
		Retention: jetstream.LimitsPolicy,
		// A full stream must refuse messages, not drop what nobody has read yet.
		Discard:    jetstream.DiscardNew,
		Replicas:   s.Replicas,
		MaxAge:     s.MaxAge,
		MaxBytes:   s.MaxBytes,
		Duplicates: s.DuplicateWindow,
	}
}

func (s StreamSettings) deadLetters() jetstream.StreamConfig {
	c := s.config()
	c.Name, c.Description = DeadLetterStream, "messages that a consumer can never process"
	c.Subjects = []string{deadLetterPrefix + ">"}
	c.MaxAge, c.MaxBytes, c.Duplicates = 0, -1, 72*time.Hour
	return c
}

func (s StreamSettings) subjects() []string {
	if s.StateView {
		return events.StreamSubjects()
	}
	return events.FactSubjects()
}

// stateView returns the stream of the bucket. The client would create one that lets every
// replica answer reads: then one that lags behind could hide the state of a subscription.
func (s StreamSettings) stateView() jetstream.StreamConfig {
	c := s.config()
	c.Name, c.Description = bucketStream+events.StateBucket, "the records of subscriptions, and what customers and users may use"
	c.Subjects = []string{bucketSubjects(events.StateBucket) + ">"}
	c.MaxAge, c.MaxBytes, c.Duplicates = 0, -1, 2*time.Minute
	c.MaxMsgsPerSubject, c.AllowRollup, c.DenyDelete, c.AllowDirect = 1, true, true, false
	return c
}

// bucketSubjects is the beginning of the subjects of a bucket's keys.
func bucketSubjects(bucket string) string { return "$KV." + bucket + "." }

// streams returns the configuration of all streams.
func (s StreamSettings) streams() []jetstream.StreamConfig {
	list := []jetstream.StreamConfig{s.config(), s.deadLetters()}
	if s.StateView {
		list = append(list, s.stateView())
	}
	return list
}

// Consumer is a durable consumer that a program needs. The zero value means that
// it needs no consumer.
type Consumer struct {
	Name        string
	description string
	subjects    []string // nil is every subject
	program     string   // the program that creates it, with PROVISION=create
	bucket      string   // the bucket that the program creates with it, or ""
	probes      []string // subjects to which the program must be able to publish
}

// SubscriberConsumer returns the subscriber's consumer. It gets every message but those
// that follow from records.
func SubscriberConsumer(name string) Consumer {
	return Consumer{
		Name: name, description: "keeps subscription state and the audit trail in MongoDB", program: "subscriber",
		subjects: events.FactSubjects(), probes: []string{deadLetterProbe},
	}
}

// WithStateView returns a consumer of a program that keeps the state view.
func (c Consumer) WithStateView() Consumer {
	c.probes = append(slices.Clone(c.probes), bucketSubjects(events.StateBucket)+"probe", accessProbe)
	return c
}

// ResolverConsumer returns the bridge's consumer. It gets the messages that may have
// to be completed from Stripe's API: thin events about subscriptions, subscriptions whose
// items were truncated, and summaries of entitlements. It starts at the beginning of the
// stream, so an API key that is set later also resolves older messages.
func ResolverConsumer() Consumer {
	return Consumer{
		Name:        "billbus-resolver",
		description: "reads from Stripe's API what thin events and truncated lists leave out",
		subjects:    []string{events.SubjectSubscriptions, events.SubjectThinSubscriptions, events.SubjectEntitlements},
		program:     "bridge that has STRIPE_API_KEY or STRIPE_API_KEYS",
		bucket:      ResolvedBucket,
		probes:      []string{deadLetterProbe, bucketSubjects(ResolvedBucket) + "probe"},
	}
}

func (c Consumer) config() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:        c.Name,
		Description:    c.description,
		FilterSubjects: c.subjects,
		DeliverPolicy:  jetstream.DeliverAllPolicy,
		AckPolicy:      jetstream.AckExplicitPolicy,
		AckWait:        ackWait,
		// After MaxDeliver deliveries a message would stay in the stream unnoticed.
		// What can never be processed becomes a dead letter instead.
		MaxDeliver: -1,
		// A delayed nak counts as pending: with a limit, a few hundred of them
		// would block all subscribers. The subscriber limits what is in flight.
		MaxAckPending: -1,
		ReplayPolicy:  jetstream.ReplayInstantPolicy,
	}
}
