package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of a dead letter.
const (
	HeaderReason     = "Billbus-Dlq-Reason"
	HeaderStream     = "Billbus-Dlq-Stream"
	HeaderSequence   = "Billbus-Dlq-Sequence"
	HeaderSubject    = "Billbus-Dlq-Subject"
	HeaderConsumer   = "Billbus-Dlq-Consumer"
	HeaderDeliveries = "Billbus-Dlq-Deliveries"
	HeaderTime       = "Billbus-Dlq-Time"
	// HeaderPayload is "omitted" on a letter whose payload would not have
	// fitted; the stream it came from still has it.
	HeaderPayload = "Billbus-Dlq-Payload"

	originalPrefix = "Billbus-Original-"
	maxReason      = 1 << 10
)

// Letter is a message that a consumer can never process, and why.
type Letter struct {
	Delivery Delivery
	Consumer string
	Reason   string
	Header   nats.Header
	Payload  []byte
}

// DeadLetters keeps letters in [DeadLetterStream].
type DeadLetters struct {
	bus *Bus
	now func() time.Time
}

// NewDeadLetters keeps letters over the bus's connection.
func (b *Bus) NewDeadLetters(now func() time.Time) *DeadLetters {
	return &DeadLetters{bus: b, now: now}
}

// Keep stores a letter. Storing the same message for the same consumer again
// changes nothing.
func (d *DeadLetters) Keep(ctx context.Context, l Letter) error {
	created, err := d.streamCreated(ctx, l.Delivery.Stream)
	if err != nil {
		return fmt.Errorf("identifying stream of dead letter: %w", err)
	}
	msg := d.message(l)
	id := fmt.Sprintf("%s@%s:%s:%d", l.Delivery.Stream, created.UTC().Format(time.RFC3339Nano), l.Consumer, l.Delivery.Sequence)
	_, err = d.bus.js.PublishMsg(ctx, msg, jetstream.WithMsgID(id), jetstream.WithExpectStream(DeadLetterStream))
	if err != nil {
		return fmt.Errorf("publishing dead letter: %w", err)
	}
	return nil
}

// Count is the number of letters in the stream.
func (d *DeadLetters) Count(ctx context.Context) (uint64, error) {
	stream, err := d.bus.js.Stream(ctx, DeadLetterStream)
	if err != nil {
		return 0, fmt.Errorf("counting dead letters: %w", err)
	}
	return stream.CachedInfo().State.Msgs, nil
}

// streamCreated tells a stream from one of the same name that was deleted and
// made again, whose sequences start anew.
func (d *DeadLetters) streamCreated(ctx context.Context, name string) (time.Time, error) {
	stream, err := d.bus.js.Stream(ctx, name)
	if err != nil {
		return time.Time{}, err
	}
	return stream.CachedInfo().Created, nil
}

func (d *DeadLetters) message(l Letter) *nats.Msg {
	msg := nats.NewMsg(letterSubject(l.Delivery.Subject))
	for key, values := range l.Header {
		if !isServerHeader(key) {
			msg.Header[originalPrefix+key] = values
		}
	}
	msg.Header.Set(HeaderReason, headerText(l.Reason, maxReason))
	msg.Header.Set(HeaderStream, l.Delivery.Stream)
	msg.Header.Set(HeaderSequence, strconv.FormatUint(l.Delivery.Sequence, 10))
	msg.Header.Set(HeaderSubject, l.Delivery.Subject)
	msg.Header.Set(HeaderConsumer, l.Consumer)
	msg.Header.Set(HeaderDeliveries, strconv.FormatUint(l.Delivery.Deliveries, 10))
	msg.Header.Set(HeaderTime, d.now().UTC().Format(time.RFC3339))
	msg.Data = l.Payload
	limit := int(d.bus.nc.MaxPayload())
	if limit > 0 && msg.Size()+headerReserve/2 > limit {
		msg.Data = nil
		msg.Header.Set(HeaderPayload, "omitted")
		dropOriginal(msg, limit)
	}
	return msg
}

// dropOriginal leaves out the original headers if these alone are too large.
func dropOriginal(msg *nats.Msg, limit int) {
	if msg.Size()+headerReserve/2 <= limit {
		return
	}
	for key := range msg.Header {
		if strings.HasPrefix(key, originalPrefix) {
			delete(msg.Header, key)
		}
	}
}

func letterSubject(original string) string { return deadLetterPrefix + original }

// headerText makes text safe for a header: one line, valid UTF-8, bounded.
func headerText(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == utf8.RuneError || r == 0x7f {
			return ' '
		}
		return r
	}, text)
	for len(text) > limit {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return strings.TrimSpace(text)
}

// Pending is the number of messages that the durable consumer has not seen or
// not acknowledged.
func (b *Bus) Pending(ctx context.Context, stream, consumer string) (uint64, error) {
	c, err := b.js.Consumer(ctx, stream, consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return 0, err
	}
	if err != nil {
		return 0, fmt.Errorf("reading consumer %s: %w", consumer, err)
	}
	info := c.CachedInfo()
	return info.NumPending + uint64(info.NumAckPending), nil
}
