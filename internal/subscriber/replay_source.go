package subscriber

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/store"
)

// source is what a replay reads: the stream, or the audit trail.
type source interface {
	// Next returns the next messages, at most n, or none at the end.
	Next(ctx context.Context, n int) ([]*message.Message, error)
	// Done remembers that what Next has returned so far need not be read again.
	Done(ctx context.Context) error
	// Remove forgets how far the replay has come.
	Remove(ctx context.Context) error
}

// trailSource reads the audit trail as messages. Their order is that in which Stripe
// created them. It makes no difference for the result, and an index has it.
type trailSource struct {
	into     store.Rereading
	resumed  bool
	progress store.Progress
	maxBytes int
	// bare is called for each message without what Stripe sent.
	bare func()
	next func() (store.Audited, error, bool)
	stop func()
}

// openTrail continues an interrupted replay that did the same. How far that has come is
// where it writes.
func openTrail(ctx context.Context, from, into store.Rereading, what string, cfg config.Replay) (*trailSource, error) {
	last, err := into.Progress(ctx)
	if err != nil {
		return nil, err
	}
	s := &trailSource{into: into, progress: store.Progress{What: what, Reached: cfg.FromTime.Time(time.Now())}}
	switch {
	case cfg.Restart || last.What == "":
	case last.What != what:
		return nil, fmt.Errorf("%w: from %s", natsbus.ErrOtherReplay, last.What)
	default:
		s.progress, s.resumed = last, true
	}
	s.next, s.stop = iter.Pull2(from.Everything(ctx, s.progress.Reached))
	return s, nil
}

func (s *trailSource) Next(_ context.Context, n int) ([]*message.Message, error) {
	var batch []*message.Message
	for size := 0; len(batch) < n && size < s.maxBytes; {
		a, err, ok := s.next()
		if err != nil || !ok {
			return batch, err
		}
		msg := messageOf(a)
		if !a.Unreadable && isBare(a.Message) {
			s.bare()
		}
		batch, size = append(batch, msg), size+len(msg.Payload)
		s.progress.Reached = a.Time
	}
	return batch, nil
}

func (s *trailSource) Done(ctx context.Context) error {
	return s.into.SetProgress(context.WithoutCancel(ctx), s.progress)
}

func (s *trailSource) Remove(ctx context.Context) error {
	s.stop()
	return s.into.SetProgress(context.WithoutCancel(ctx), store.Progress{})
}

// isBare reports whether a message lacks what Stripe sent, because it was too large.
func isBare(m events.Message) bool {
	return m.Data.Event == nil && m.Data.Object == nil && (m.StripeType != "" || !m.Data.ReadAt.IsZero())
}

// messageOf returns a message as it was in the stream. Of a damaged document the message
// is empty, so it fails as one that cannot be read.
func messageOf(a store.Audited) *message.Message {
	var payload []byte
	if !a.Unreadable {
		m := a.Message
		m.Type = subjectOf(m)
		payload, _ = events.Encode(m)
	}
	msg := message.NewMessage(a.Key(), payload)
	msg.SetContext(context.WithValue(context.Background(), positionKey{}, a.Position))
	return msg
}

// subjectOf returns the subject of a message, which its audit document does not have.
func subjectOf(m events.Message) string {
	if m.Type != "" {
		return m.Type
	}
	if subject, ok := events.SubscriptionSubject(m.StripeType); ok && m.Data.Subscription != nil && m.Data.Ignored == "" {
		return subject
	}
	return events.StripeSubject(m.StripeType)
}

// positionKey is the key of the position that an audit document has.
type positionKey struct{}

// replayedPosition returns where a message of either source is in the stream.
func replayedPosition(msg *message.Message) store.Position {
	if p, ok := msg.Context().Value(positionKey{}).(store.Position); ok {
		return p
	}
	return position(msg)
}
