package handlers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// recordTimeout bounds the work on one message. It is above what the store
// allows itself, so that the store's own answer arrives.
const recordTimeout = 30 * time.Second

// Recorder keeps an entry: the audit document first, the state second. It
// returns when both are durable; its errors are marked with what they mean.
type Recorder interface {
	Record(ctx context.Context, entry events.Entry) (events.Effect, error)
}

// RecordMetrics counts what became of messages.
type RecordMetrics interface {
	MessageDone(outcome string, d time.Duration)
	EventLag(d time.Duration)
	UserID(source string)
}

// Position is where a message stands in the stream.
type Position struct {
	Sequence uint64
	StoredAt time.Time
}

// RecordConfig is what a [Record] works with. All fields are needed.
type RecordConfig struct {
	Recorder Recorder
	// Position finds out where a message stands.
	Position func(*message.Message) Position
	// References finds the ids inside Stripe's event.
	References func(event json.RawMessage) events.References
	Now        func() time.Time
	Metrics    RecordMetrics
	Log        *slog.Logger
}

// Record takes messages of the stream to the store.
type Record struct {
	cfg RecordConfig
}

// NewRecord checks cfg.
func NewRecord(cfg RecordConfig) (*Record, error) {
	if cfg.Recorder == nil || cfg.Position == nil || cfg.References == nil || cfg.Now == nil || cfg.Metrics == nil || cfg.Log == nil {
		return nil, errors.New("handlers: record lacks a collaborator")
	}
	return &Record{cfg: cfg}, nil
}

// Handle records one message. nil means that it is durable; an error is marked
// permanent if the message can never be read.
func (h *Record) Handle(msg *message.Message) error {
	start := h.cfg.Now()
	position := h.cfg.Position(msg)
	decoded, err := events.Decode(msg.Payload)
	if err != nil {
		err = fault.New(fault.Permanent, "unreadable", err)
		h.report(decoded, position, "", err, start)
		return err
	}
	// The message's own context ends when the subscriber closes; a write that
	// has begun is finished all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(msg.Context()), recordTimeout)
	defer cancel()
	effect, err := h.cfg.Recorder.Record(ctx, events.Entry{
		Message:        decoded,
		References:     h.references(decoded.Data),
		StreamSequence: position.Sequence,
		StoredAt:       position.StoredAt,
	})
	h.report(decoded, position, effect, err, start)
	return err
}

// references are those of Stripe's event. A message that was published without
// it still names its subscription.
func (h *Record) references(data events.Data) events.References {
	refs := h.cfg.References(data.Event)
	if sub := data.Subscription; sub != nil {
		refs.ObjectID = cmp.Or(refs.ObjectID, sub.ID)
		refs.SubscriptionID = cmp.Or(refs.SubscriptionID, sub.ID)
		refs.CustomerID = cmp.Or(refs.CustomerID, sub.CustomerID)
	}
	return refs
}

// report writes the one line of a message.
func (h *Record) report(msg events.Message, position Position, effect events.Effect, err error, start time.Time) {
	now := h.cfg.Now()
	took := now.Sub(start)
	outcome := string(effect)
	if err != nil {
		outcome = fault.KindOf(err).String()
	}
	h.cfg.Metrics.MessageDone(outcome, took)
	attrs := []any{"outcome", outcome, "sequence", position.Sequence, "duration_ms", float64(took.Microseconds()) / 1000}
	if msg.ID != "" {
		attrs = append(attrs, "event_id", events.SafeID(msg.ID), "type", msg.Type)
	}
	if err != nil {
		h.cfg.Log.Warn("message", append(attrs, "reason", fault.Reason(err), "error", err)...)
		return
	}
	if effect == events.Applied {
		h.cfg.Metrics.EventLag(now.Sub(msg.Time))
		h.cfg.Metrics.UserID(userIDSource(msg.Data.Subscription))
	}
	h.cfg.Log.Info("message", attrs...)
}

func userIDSource(sub *events.Subscription) string {
	if sub != nil && sub.UserID != "" {
		return "subscription_metadata"
	}
	return "none"
}
