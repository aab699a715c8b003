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

func consumerConfig(name string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable:       name,
		Description:   "keeps subscription state and the audit trail in MongoDB",
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		// Past MaxDeliver a message would just stay where it is; what can never
		// be processed goes to the dead letters instead.
		MaxDeliver: -1,
		// A delayed nak counts as pending: with a limit, a few hundred of them
		// would stall everybody. What is in flight is bounded by the subscriber.
		MaxAckPending: -1,
		ReplayPolicy:  jetstream.ReplayInstantPolicy,
	}
}
