package natsbus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrNoLetter is returned for a letter that is not in [DeadLetterStream].
var ErrNoLetter = errors.New("no such dead letter")

// StoredLetter is a letter in [DeadLetterStream].
type StoredLetter struct {
	Sequence uint64    // of the letter
	At       time.Time // when it was stored
	Code     string
	Reason   string
	Consumer string   // the one that gave up
	Delivery Delivery // the last one of the message
	Header   map[string][]string
	Payload  []byte
	Omitted  bool // only the stream of the message has the payload

	since string // when that stream was created; "" if the letter does not say so
}

// All yields the letters of messages whose subjects match a pattern, oldest first. The
// pattern "" is that of every subject.
func (d *DeadLetters) All(ctx context.Context, subject string) iter.Seq2[StoredLetter, error] {
	if subject == "" {
		subject = ">"
	}
	return func(yield func(StoredLetter, error) bool) {
		for next := uint64(1); ; {
			l, err := d.get(ctx, next, jetstream.WithGetMsgSubject(deadLetterPrefix+subject))
			if errors.Is(err, ErrNoLetter) || !yield(l, err) || err != nil {
				return
			}
			next = l.Sequence + 1
		}
	}
}

// Get returns a letter, or [ErrNoLetter].
func (d *DeadLetters) Get(ctx context.Context, sequence uint64) (StoredLetter, error) {
	return d.get(ctx, sequence)
}

func (d *DeadLetters) get(ctx context.Context, sequence uint64, opts ...jetstream.GetMsgOpt) (l StoredLetter, err error) {
	err = d.with(ctx, DeadLetterStream, func(ctx context.Context, stream jetstream.Stream) error {
		raw, err := stream.GetMsg(ctx, sequence, opts...)
		if err == nil {
			l = readLetter(raw)
		}
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return l, ErrNoLetter
	}
	return l, err
}

// Message returns the message of a letter, as a [Subscriber] would. A payload that the
// letter lacks is read from the stream of the message.
func (d *DeadLetters) Message(ctx context.Context, l StoredLetter) (*message.Message, error) {
	if l.Omitted {
		original, err := d.original(ctx, l)
		if err != nil {
			return nil, err
		}
		l.Payload = original.Data
	}
	slotted, _ := withSlot(ctx, l.Delivery)
	return message.NewMessageWithContext(slotted, "", l.Payload), nil
}

// original reads the message from its stream. A stream that was created again has other
// messages under the same sequences.
func (d *DeadLetters) original(ctx context.Context, l StoredLetter) (msg *jetstream.RawStreamMsg, err error) {
	err = d.with(ctx, l.Delivery.Stream, func(ctx context.Context, stream jetstream.Stream) error {
		msg, err = stream.GetMsg(ctx, l.Delivery.Sequence)
		if err == nil && (l.since != "" && l.since != createdAt(stream) || msg.Subject != l.Delivery.Subject) {
			err = jetstream.ErrMsgNotFound
		}
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = fmt.Errorf("the payload was too large for the letter, and message %d is no longer in the stream %s", l.Delivery.Sequence, l.Delivery.Stream)
	}
	return msg, err
}

// Remove removes a letter. It does not fail if the letter is gone.
func (d *DeadLetters) Remove(ctx context.Context, sequence uint64) error {
	err := d.with(ctx, DeadLetterStream, func(ctx context.Context, stream jetstream.Stream) error {
		return stream.DeleteMsg(ctx, sequence)
	})
	if err == nil {
		return nil
	}
	if _, gone := d.Get(ctx, sequence); errors.Is(gone, ErrNoLetter) {
		return nil
	}
	return fmt.Errorf("removing letter %d: %w", sequence, err)
}

// with calls JetStream about a stream. A call that the server does not permit is never
// answered.
func (d *DeadLetters) with(ctx context.Context, name string, do func(context.Context, jetstream.Stream) error) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	return d.bus.call(ctx, func(ctx context.Context) error {
		stream, err := d.stream(ctx, name)
		if err != nil {
			return err
		}
		return do(ctx, stream)
	})
}

func (d *DeadLetters) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if stream, ok := d.streams[name]; ok {
		return stream, nil
	}
	stream, err := d.bus.js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("looking up the stream %s: %w", name, err)
	}
	d.streams[name] = stream
	return stream, nil
}

func createdAt(stream jetstream.Stream) string {
	return stream.CachedInfo().Created.UTC().Format(time.RFC3339Nano)
}

// readLetter takes what it finds: another program can have published the letter.
func readLetter(raw *jetstream.RawStreamMsg) StoredLetter {
	h := raw.Header
	l := StoredLetter{
		Sequence: raw.Sequence, At: raw.Time.UTC(), Code: h.Get(HeaderCode), Reason: h.Get(HeaderReason), Consumer: h.Get(HeaderConsumer),
		Delivery: Delivery{
			Stream: h.Get(HeaderStream), Sequence: number(h, HeaderSequence), Deliveries: number(h, HeaderDeliveries),
			Subject: strings.TrimPrefix(raw.Subject, deadLetterPrefix), StoredAt: raw.Time.UTC(),
		},
		Header: map[string][]string{}, Payload: raw.Data, Omitted: h.Get(HeaderPayload) == payloadOmitted,
	}
	// Letters of earlier releases do not say when their messages were stored.
	if at, err := time.Parse(time.RFC3339Nano, h.Get(HeaderStored)); err == nil {
		l.Delivery.StoredAt = at.UTC()
	}
	for key, values := range h {
		if original, ok := strings.CutPrefix(key, originalPrefix); ok {
			l.Header[original] = values
		}
	}
	id, _ := strings.CutPrefix(h.Get(nats.MsgIdHdr), l.Delivery.Stream+"@")
	l.since, _ = strings.CutSuffix(id, fmt.Sprintf(":%s:%d", l.Consumer, l.Delivery.Sequence))
	return l
}

func number(h nats.Header, key string) uint64 {
	n, _ := strconv.ParseUint(h.Get(key), 10, 64)
	return n
}
