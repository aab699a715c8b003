package natsbus

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wmnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	"github.com/billbus/billbus/internal/fault"
)

// Publisher publishes to one stream. Publish returns nil only when the stream
// has acknowledged the message; after an error the message may still be there,
// and publishing it again under the same UUID is safe.
type Publisher struct {
	bus *Bus
	pub *wmnats.Publisher
}

// NewPublisher publishes over the bus's connection. timeout bounds one publish:
// watermill-nats ignores the message's context.
func (b *Bus) NewPublisher(stream string, timeout time.Duration) (*Publisher, error) {
	pub, err := wmnats.NewPublisherWithNatsConn(b.nc, wmnats.PublisherPublishConfig{
		Marshaler:         marshaler{stream: stream},
		SubjectCalculator: wmnats.DefaultSubjectCalculator,
		JetStream: wmnats.JetStreamConfig{
			// No AutoProvision: it names the stream after the topic. No
			// TrackMsgId, no PublishOptions: they are appended to one slice that
			// concurrent publishes share, which swaps their message ids.
			ConnectOptions: []nats.JSOpt{nats.MaxWait(timeout)},
		},
	}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	return &Publisher{bus: b, pub: pub}, nil
}

// Publish publishes messages to the subject topic. The UUID of a message
// becomes its Nats-Msg-Id, its metadata become headers.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	// Before the first connection nats.go would complain of a server without
	// headers.
	if err := p.bus.Check(context.Background()); err != nil {
		return fault.New(fault.Transient, fault.NATSUnreachable, err)
	}
	return explainPublish(p.pub.Publish(topic, messages...))
}

// Close does nothing: who opened the connection closes it.
func (p *Publisher) Close() error { return nil }

// marshaler sets the headers by which the server deduplicates and checks.
type marshaler struct {
	stream string
}

// Marshal implements watermill-nats' Marshaler.
func (m marshaler) Marshal(topic string, msg *message.Message) (*nats.Msg, error) {
	header := make(nats.Header, len(msg.Metadata)+2)
	for key, value := range msg.Metadata {
		// The server obeys Nats-* headers (roll up, expire, expect): none may
		// come in by metadata.
		if !isServerHeader(key) {
			header.Set(key, value)
		}
	}
	if msg.UUID != "" {
		header.Set(nats.MsgIdHdr, msg.UUID)
	}
	// Without this the ack of any other stream on the subject would be taken
	// for ours.
	header.Set(nats.ExpectedStreamHdr, m.stream)
	return &nats.Msg{Subject: topic, Header: header, Data: msg.Payload}, nil
}

func isServerHeader(key string) bool {
	return len(key) >= 5 && strings.EqualFold(key[:5], "nats-")
}

// explainPublish says what a failed publish means. Whatever it is, the outcome
// is not known to be durable, so every kind is transient; the reason is counted.
func explainPublish(err error) error {
	var api *nats.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionReconnecting):
		return fault.New(fault.Transient, fault.NATSUnreachable, err)
	case errors.Is(err, nats.ErrTimeout):
		return fault.New(fault.Transient, fault.NATSTimeout, err)
	case errors.Is(err, nats.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return fault.New(fault.Transient, fault.StreamMissing, err)
	case errors.Is(err, nats.ErrMaxPayload):
		return fault.New(fault.Transient, fault.TooLarge, err)
	case errors.As(err, &api) && api.ErrorCode == errStreamStoreFailed:
		return fault.New(fault.Transient, fault.StreamFull, err)
	}
	return fault.New(fault.Transient, fault.PublishFailed, err)
}

// errStreamStoreFailed is what the server answers when a limit with discard new
// refuses the message.
const errStreamStoreFailed = 10077
