package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	wmnats "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	"github.com/billbus/billbus/internal/fault"
)

// Publisher publishes to one stream. Publish returns nil only when the stream has
// acknowledged the message. After an error the message may be in the stream or not;
// it is safe to publish it again under the same UUID.
type Publisher struct {
	bus       *Bus
	pub       *wmnats.Publisher
	js        nats.JetStreamContext
	marshaler marshaler
}

// NewPublisher returns a publisher to a stream. Each publish takes at most timeout:
// watermill-nats ignores the message's context.
func (b *Bus) NewPublisher(stream string, timeout time.Duration) (*Publisher, error) {
	pub, err := wmnats.NewPublisherWithNatsConn(b.nc, wmnats.PublisherPublishConfig{
		Marshaler:         marshaler{stream: stream},
		SubjectCalculator: wmnats.DefaultSubjectCalculator,
		JetStream: wmnats.JetStreamConfig{
			// AutoProvision would name the stream after the topic. TrackMsgId and
			// PublishOptions share one slice between concurrent publishes, which
			// swaps their message ids.
			ConnectOptions: []nats.JSOpt{nats.MaxWait(timeout)},
		},
	}, watermill.NopLogger{})
	if err != nil {
		return nil, err
	}
	js, err := b.nc.JetStream(nats.MaxWait(timeout))
	if err != nil {
		return nil, fmt.Errorf("opening JetStream: %w", err)
	}
	return &Publisher{bus: b, pub: pub, js: js, marshaler: marshaler{stream: stream}}, nil
}

// Publish publishes messages to the subject topic. The UUID of a message becomes
// its Nats-Msg-Id, and its metadata become headers.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	// Before the first connection nats.go would say that the server does not
	// support headers.
	if err := p.bus.Check(context.Background()); err != nil {
		return fault.New(fault.Transient, fault.NATSUnreachable, err)
	}
	start := time.Now()
	return p.explain(start, topic, p.pub.Publish(topic, messages...))
}

// PublishNew publishes a message like Publish, and reports whether it is new: not one
// that the stream dropped because it has another of that UUID. watermill-nats does not
// return that part of the answer.
func (p *Publisher) PublishNew(topic string, msg *message.Message) (isNew bool, err error) {
	if err := p.bus.Check(context.Background()); err != nil {
		return false, fault.New(fault.Transient, fault.NATSUnreachable, err)
	}
	out, err := p.marshaler.Marshal(topic, msg)
	if err != nil {
		return false, fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	start := time.Now()
	ack, err := p.js.PublishMsg(out)
	if err != nil {
		return false, p.explain(start, topic, err)
	}
	return !ack.Duplicate, nil
}

// Close does nothing. The caller of [Open] closes the connection.
func (p *Publisher) Close() error { return nil }

// marshaler is watermill-nats' Marshaler. It sets the headers that the server uses
// to drop duplicates and to check the stream.
type marshaler struct {
	stream string
}

func (m marshaler) Marshal(topic string, msg *message.Message) (*nats.Msg, error) {
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
	header.Set(nats.ExpectedStreamHdr, m.stream)
	return &nats.Msg{Subject: topic, Header: header, Data: msg.Payload}, nil
}

func isServerHeader(key string) bool {
	return len(key) >= 5 && strings.EqualFold(key[:5], "nats-")
}

// explain finds the reason of a failed publish. Every failure is transient: the message is
// not known to be stored, so it has to be published again.
func (p *Publisher) explain(start time.Time, topic string, err error) error {
	if err == nil {
		return nil
	}
	if denied := p.bus.denials.since(start, topic); len(denied) > 0 && errors.Is(err, nats.ErrTimeout) {
		return fault.New(fault.Transient, fault.PublishFailed, p.bus.unanswered(start, topic, err))
	}
	reason, hint := publishReason(err)
	if hint != "" {
		err = fmt.Errorf("%w: %s", err, hint)
	}
	return fault.New(fault.Transient, reason, err)
}

// publishReason also returns what the operator can do, where the error does not say so.
func publishReason(err error) (reason fault.Reason, hint string) {
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrDisconnected),
		errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrConnectionReconnecting):
		return fault.NATSUnreachable, ""
	case errors.Is(err, nats.ErrTimeout):
		// A server whose disk is full gives no answer at all.
		return fault.NATSTimeout, "the stream did not answer; if this goes on, look for \"no space left on device\" in the log of the NATS server"
	case errors.Is(err, nats.ErrNoStreamResponse), errors.Is(err, nats.ErrNoResponders):
		return fault.StreamMissing, ""
	case errors.Is(err, nats.ErrMaxPayload):
		return fault.TooLarge, "raise max_payload of the NATS server"
	}
	return refusalReason(err)
}

// Error codes of the server for a message that it has no room for.
// See https://github.com/nats-io/nats-server/blob/main/server/errors.json
const (
	errAccountResources = 10002 // resource limits exceeded for account
	errResources        = 10023 // insufficient resources: the limit of the server
	errMemoryResources  = 10028 // insufficient memory resources available
	errStorageResources = 10047 // insufficient storage resources available
	errStoreFailed      = 10077 // the stream is full, and discards new messages
)

func refusalReason(err error) (reason fault.Reason, hint string) {
	var api *nats.APIError
	if !errors.As(err, &api) {
		return fault.PublishFailed, ""
	}
	switch api.ErrorCode {
	case errStoreFailed:
		return fault.StreamFull, "raise STREAM_MAX_BYTES and run `bridge provision`"
	case errAccountResources, errResources, errMemoryResources, errStorageResources:
		return fault.JetStreamFull, "raise max_file_store of the NATS server or the storage limit of the account"
	}
	return fault.PublishFailed, ""
}
