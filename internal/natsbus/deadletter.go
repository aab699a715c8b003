package natsbus

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/fault"
)

// Headers of a dead letter.
const (
	HeaderReason     = "Billbus-Dlq-Reason" // text
	HeaderCode       = "Billbus-Dlq-Code"   // a fault.Reason
	HeaderStream     = "Billbus-Dlq-Stream"
	HeaderSequence   = "Billbus-Dlq-Sequence"
	HeaderSubject    = "Billbus-Dlq-Subject"
	HeaderConsumer   = "Billbus-Dlq-Consumer"
	HeaderDeliveries = "Billbus-Dlq-Deliveries"
	HeaderTime       = "Billbus-Dlq-Time"
	HeaderStored     = "Billbus-Dlq-Stored-At" // when the stream stored the message
	// HeaderPayload is "omitted" on a letter that would have been too large with
	// its payload. The original stream still has the payload.
	HeaderPayload  = "Billbus-Dlq-Payload"
	payloadOmitted = "omitted"

	originalPrefix = "Billbus-Original-"
	maxReason      = 1 << 10
)

// Letter is a message that a consumer can never process.
type Letter struct {
	Delivery Delivery
	Consumer string
	Err      error // why
	Header   nats.Header
	Payload  []byte
}

// DeadLetters stores letters in [DeadLetterStream], and reads and removes them there.
type DeadLetters struct {
	bus *Bus
	now func() time.Time

	mu      sync.Mutex
	streams map[string]jetstream.Stream // that letters were read from
}

// NewDeadLetters returns the dead letters of the server that b connects to.
func (b *Bus) NewDeadLetters(now func() time.Time) *DeadLetters {
	return &DeadLetters{bus: b, now: now, streams: map[string]jetstream.Stream{}}
}

// Keep stores a letter. To store the same message for the same consumer again has
// no effect.
func (d *DeadLetters) Keep(ctx context.Context, l Letter) error {
	stream, err := d.bus.js.Stream(ctx, l.Delivery.Stream)
	if err != nil {
		return fmt.Errorf("looking up the stream of a dead letter: %w", err)
	}
	// A stream that was deleted and created again numbers its messages from 1 again.
	id := fmt.Sprintf("%s@%s:%s:%d", l.Delivery.Stream, createdAt(stream), l.Consumer, l.Delivery.Sequence)
	_, err = d.bus.js.PublishMsg(ctx, d.message(l), jetstream.WithMsgID(id), jetstream.WithExpectStream(DeadLetterStream))
	if err != nil {
		return fmt.Errorf("publishing dead letter: %w", err)
	}
	return nil
}

// Count returns the number of letters in the stream.
func (d *DeadLetters) Count(ctx context.Context) (uint64, error) {
	stream, err := d.bus.js.Stream(ctx, DeadLetterStream)
	if err != nil {
		return 0, fmt.Errorf("counting dead letters: %w", err)
	}
	return stream.CachedInfo().State.Msgs, nil
}

// message leaves out the payload of a letter that would be too large, and then the
// original headers if it still is.
func (d *DeadLetters) message(l Letter) *nats.Msg {
	msg := &nats.Msg{Subject: deadLetterPrefix + l.Delivery.Subject, Header: d.header(l), Data: l.Payload}
	for key, values := range l.Header {
		if !isServerHeader(key) {
			msg.Header[originalPrefix+key] = values
		}
	}
	if d.tooLarge(msg) {
		msg.Data = nil
		msg.Header.Set(HeaderPayload, payloadOmitted)
	}
	if d.tooLarge(msg) {
		for key := range l.Header {
			delete(msg.Header, originalPrefix+key)
		}
	}
	return msg
}

func (d *DeadLetters) header(l Letter) nats.Header {
	return nats.Header{
		HeaderReason:     {headerText(l.Err.Error(), maxReason)},
		HeaderCode:       {string(fault.ReasonOf(l.Err))},
		HeaderStream:     {l.Delivery.Stream},
		HeaderSequence:   {strconv.FormatUint(l.Delivery.Sequence, 10)},
		HeaderSubject:    {l.Delivery.Subject},
		HeaderConsumer:   {l.Consumer},
		HeaderDeliveries: {strconv.FormatUint(l.Delivery.Deliveries, 10)},
		HeaderTime:       {d.now().UTC().Format(time.RFC3339)},
		HeaderStored:     {l.Delivery.StoredAt.UTC().Format(time.RFC3339Nano)},
	}
}

func (d *DeadLetters) tooLarge(msg *nats.Msg) bool {
	limit := int(d.bus.nc.MaxPayload())
	return limit > 0 && msg.Size()+headerReserve/2 > limit
}

// headerText makes text safe for a header: one line of valid UTF-8, at most limit
// bytes long.
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
