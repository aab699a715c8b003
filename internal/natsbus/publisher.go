package natsbus

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	"github.com/billbus/billbus/internal/fault"
)

// Publisher publishes to one stream. It calls nats.go itself: the publisher of
// watermill-nats does not say whether the stream had the message already.
type Publisher struct {
	bus    *Bus
	js     nats.JetStreamContext
	stream string
}

// NewPublisher returns a publisher to a stream. Each call of the server takes at most
// timeout.
func (b *Bus) NewPublisher(stream string, timeout time.Duration) (*Publisher, error) {
	js, err := b.nc.JetStream(nats.MaxWait(timeout))
	if err != nil {
		return nil, err
	}
	return &Publisher{bus: b, js: js, stream: stream}, nil
}

// Publish publishes messages to the subject topic. The UUID of a message becomes
// its Nats-Msg-Id, and its metadata become headers. It returns nil only when the
// stream has acknowledged all of them. After an error a message may be in the stream
// or not; it is safe to publish it again under the same UUID.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	for _, msg := range messages {
		if _, err := p.publish(topic, msg); err != nil {
			return err
		}
	}
	return nil
}

// Store is Publish for one message. It also reports whether the stream had a message
// with this UUID, and returns that message's payload: nil if it was removed since.
func (p *Publisher) Store(topic string, msg *message.Message) (earlier []byte, duplicate bool, err error) {
	ack, err := p.publish(topic, msg)
	if err != nil || !ack.Duplicate {
		return nil, false, err
	}
	raw, err := p.js.GetMsg(p.stream, ack.Sequence)
	if errors.Is(err, nats.ErrMsgNotFound) {
		return nil, true, nil
	}
	if err != nil {
		return nil, true, explainPublish(err)
	}
	return raw.Data, true, nil
}

func (p *Publisher) publish(topic string, msg *message.Message) (*nats.PubAck, error) {
	// Before the first connection nats.go would say that the server does not
	// support headers.
	if err := p.bus.Check(context.Background()); err != nil {
		return nil, fault.New(fault.Transient, fault.NATSUnreachable, err)
	}
	ack, err := p.js.PublishMsg(p.outgoing(topic, msg))
	return ack, explainPublish(err)
}

// Close does nothing. The caller of [Open] closes the connection.
func (p *Publisher) Close() error { return nil }

// outgoing sets the headers that the server uses to drop duplicates and to check the
// stream.
func (p *Publisher) outgoing(topic string, msg *message.Message) *nats.Msg {
	header := make(nats.Header, len(msg.Metadata)+2)
	for key, value := range msg.Metadata {
		// Nats-* headers are commands to the server (rollup, TTL, expectations).
		if !isServerHeader(key) {
			header.Set(key, value)
		}
	}
	if msg.UUID != "" {
		header.Set(nats.MsgIdHdr, msg.UUID)
	}
	// Without this header, an ack of another stream on this subject would be taken
	// for ours.
	header.Set(nats.ExpectedStreamHdr, p.stream)
	return &nats.Msg{Subject: topic, Header: header, Data: msg.Payload}
}

func isServerHeader(key string) bool {
	return len(key) >= 5 && strings.EqualFold(key[:5], "nats-")
}

// explainPublish finds the reason of a failed publish. Every failure is transient:
// the message is not known to be stored, so it has to be published again.
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

// errStreamStoreFailed is the server's error code when the stream is full and
// discards new messages.
const errStreamStoreFailed = 10077
