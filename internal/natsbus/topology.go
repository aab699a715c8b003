package natsbus

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
)

// DeadLetterStream is the name of the stream that holds the dead letters.
const DeadLetterStream = "BILLBUS_DLQ"

const (
	deadLetterPrefix = "billbus.dlq."

	// ackWait is three heartbeats: a worker that has died is noticed after it, and
	// one that is slow sends a heartbeat every ten seconds.
	ackWait           = 30 * time.Second
	heartbeatInterval = 10 * time.Second
)

// StreamSettings are the operator's choices for the stream.
type StreamSettings struct {
	Name            string
	Replicas        int
	MaxAge          time.Duration // 0 is unlimited
	MaxBytes        int64         // -1 is unlimited
	DuplicateWindow time.Duration
}

func (s StreamSettings) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        s.Name,
		Description: "Stripe events, normalized, one message per verified webhook",
		Subjects:    events.StreamSubjects(),
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

// streams returns the configuration of both streams.
func (s StreamSettings) streams() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{s.config(), s.deadLetters()}
}

// Consumer is a durable consumer that a program needs. The zero value means that
// it needs no consumer.
type Consumer struct {
	Name        string
	description string
	subjects    []string // nil is every subject
	program     string   // the program that creates it, with PROVISION=create
	bucket      string   // the bucket that the program creates with it, or ""
}

// SubscriberConsumer returns the subscriber's consumer, which gets every message.
func SubscriberConsumer(name string) Consumer {
	return Consumer{Name: name, description: "keeps subscription state and the audit trail in MongoDB", program: "subscriber"}
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
