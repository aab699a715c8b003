package natsbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
)

// Backlog reads what the subscriber's consumer has not acknowledged yet, delivered or not. Its methods must not be called concurrently.
type Backlog struct {
	bus              *Bus
	stream, consumer string

	// When the oldest message was stored, and the progress at that time. The message is not
	// read again while there is none: it may be large.
	oldest   time.Time
	progress progress
}

// progress is how far a consumer has come.
type progress struct {
	created time.Time // a consumer that was deleted and created again starts over
	floor   uint64    // up to this sequence, everything is acknowledged
}

// Pending is a backlog at one time.
type Pending struct {
	Messages uint64
	at       time.Time
	progress progress
}

// NewBacklog returns the backlog of a durable consumer.
func (b *Bus) NewBacklog(stream, consumer string) *Backlog {
	return &Backlog{bus: b, stream: stream, consumer: consumer}
}

// Pending returns how much there is.
func (l *Backlog) Pending(ctx context.Context) (Pending, error) {
	c, err := l.bus.js.Consumer(ctx, l.stream, l.consumer)
	if err != nil {
		return Pending{}, fmt.Errorf("looking up consumer %s: %w", l.consumer, err)
	}
	info := c.CachedInfo()
	return Pending{
		Messages: info.NumPending + uint64(info.NumAckPending), at: info.TimeStamp,
		progress: progress{info.Created, info.AckFloor.Stream},
	}, nil
}

// Oldest returns how long the oldest pending message has been in the stream, by the
// server's clock, or 0 if nothing is pending.
func (l *Backlog) Oldest(ctx context.Context, p Pending) (time.Duration, error) {
	if p.Messages == 0 {
		return 0, nil
	}
	if l.oldest.IsZero() || l.progress != p.progress {
		if err := l.find(ctx, p.progress); err != nil {
			return 0, err
		}
	}
	if l.oldest.IsZero() {
		return 0, nil
	}
	return max(p.at.Sub(l.oldest), 0), nil
}

// find looks up the first message that is not acknowledged. There may be none: messages
// are also deleted, and expire.
func (l *Backlog) find(ctx context.Context, p progress) error {
	l.oldest = time.Time{}
	stream, err := l.bus.js.Stream(ctx, l.stream)
	if err != nil {
		return fmt.Errorf("looking up stream %s: %w", l.stream, err)
	}
	for _, subject := range events.FactSubjects() {
		msg, err := stream.GetMsg(ctx, p.floor+1, jetstream.WithGetMsgSubject(subject))
		switch {
		case err == nil && (l.oldest.IsZero() || msg.Time.Before(l.oldest)):
			l.oldest, l.progress = msg.Time, p
		case err != nil && !errors.Is(err, jetstream.ErrMsgNotFound):
			return fmt.Errorf("reading the oldest pending message: %w", err)
		}
	}
	return nil
}

// StreamSize returns the size of a stream and its limit, which is -1 if there is none.
func (b *Bus) StreamSize(ctx context.Context, name string) (bytes uint64, limit int64, err error) {
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return 0, 0, fmt.Errorf("looking up stream %s: %w", name, err)
	}
	info := stream.CachedInfo()
	return info.State.Bytes, unlimited(info.Config.MaxBytes), nil
}
