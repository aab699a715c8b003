package natsbus

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
)

// Names and limits of what lives in JetStream.
const (
	DeadLetterStream   = "BILLBUS_DLQ"
	deadLetterSubjects = "billbus.dlq.>"
	deadLetterPrefix   = "billbus.dlq."

	// ackWait is three heartbeats: a worker that died is noticed within it, one
	// that is merely slow says so every ten seconds.
	ackWait           = 30 * time.Second
	heartbeatInterval = 10 * time.Second
)

// StreamSettings are the operator's choices for the stream.
type StreamSettings struct {
	Name            string
	Replicas        int
	MaxAge          time.Duration // 0 keeps for ever
	MaxBytes        int64         // -1 is no limit
	DuplicateWindow time.Duration
}

func (s StreamSettings) config() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        s.Name,
		Description: "Stripe events, normalized, one message per verified webhook",
		Subjects:    events.StreamSubjects(),
		Storage:     jetstream.FileStorage,
		// Limits retention: every consumer gets every message, and replay works.
		Retention: jetstream.LimitsPolicy,
		// A full stream must refuse, not drop what nobody has read.
		Discard:    jetstream.DiscardNew,
		Replicas:   s.Replicas,
		MaxAge:     s.MaxAge,
		MaxBytes:   s.MaxBytes,
		Duplicates: s.DuplicateWindow,
	}
}

func (s StreamSettings) deadLetters() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        DeadLetterStream,
		Description: "messages that a consumer can never process",
		Subjects:    []string{deadLetterSubjects},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardNew,
		Replicas:    s.Replicas,
		MaxBytes:    -1,
		Duplicates:  72 * time.Hour,
	}
}

// Consumer is the durable consumer that a program needs; the zero Consumer is
// none.
type Consumer struct {
	Name string
	// description is for those who list consumers.
	description string
	// subjects are what it takes; nil is everything.
	subjects []string
	// program makes it, with PROVISION=create.
	program string
}

// SubscriberConsumer is the subscriber's consumer, of everything in the stream.
func SubscriberConsumer(name string) Consumer {
	return Consumer{Name: name, description: "keeps subscription state and the audit trail in MongoDB", program: "subscriber"}
}

// ResolverConsumer is the bridge's consumer, of what may have to be asked of Stripe:
// thin events of subscriptions, and subscriptions whose items were truncated.
// It starts at the beginning of the stream, so that an API key which is set one
// day resolves what had come in before.
func ResolverConsumer() Consumer {
	return Consumer{
		Name:        "billbus-resolver",
		description: "reads from Stripe's API what thin events and truncated lists leave out",
		subjects:    []string{events.SubjectSubscriptions, events.SubjectThinSubscriptions},
		program:     "bridge that has STRIPE_API_KEY",
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
		// Past MaxDeliver a message would just stay where it is; what can never
		// be processed goes to the dead letters instead.
		MaxDeliver: -1,
		// A delayed nak counts as pending: with a limit, a few hundred of them
		// would stall everybody. What is in flight is bounded by the subscriber.
		MaxAckPending: -1,
		ReplayPolicy:  jetstream.ReplayInstantPolicy,
	}
}
