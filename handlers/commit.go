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
	"github.com/billbus/billbus/internal/store"
)

// commitTimeout bounds the work on one message. It is above what the store
// allows itself, so that the store's own answer arrives.
const commitTimeout = 30 * time.Second

// Store writes the audit document of an entry first, and the state of its
// subscription second. Commit returns after both are durable. Its errors are marked
// (see [fault.New]).
type Store interface {
	Commit(ctx context.Context, entry store.Entry) (store.Effect, error)
}

// CommitMetrics counts what became of messages.
type CommitMetrics interface {
	MessageDone(outcome string, d time.Duration)
	EventLag(d time.Duration)
	UserID(source string)
}

// CommitConfig is what a [Commit] works with. All fields are needed.
type CommitConfig struct {
	Store Store
	// Position finds out where a message stands.
	Position func(*message.Message) store.Position
	// References finds the ids inside Stripe's event.
	References func(event json.RawMessage) events.References
	Now        func() time.Time
	Metrics    CommitMetrics
	Log        *slog.Logger
}

// Commit takes messages of the stream to the store.
type Commit struct {
	cfg CommitConfig
}

// NewCommit checks cfg.
func NewCommit(cfg CommitConfig) (*Commit, error) {
	if cfg.Store == nil || cfg.Position == nil || cfg.References == nil || cfg.Now == nil || cfg.Metrics == nil || cfg.Log == nil {
		return nil, errors.New("handlers: record lacks a collaborator")
	}
	return &Commit{cfg: cfg}, nil
}

// Handle records one message. nil means that it is durable; an error is marked
// permanent if the message can never be read.
func (h *Commit) Handle(msg *message.Message) error {
	start := h.cfg.Now()
	position := h.cfg.Position(msg)
	decoded, err := events.Decode(msg.Payload)
	if err != nil {
		err = fault.New(fault.Permanent, fault.MessageUnreadable, err)
		h.report(decoded, position, "", err, start)
		return err
	}
	// The message's own context ends when the subscriber closes; a write that
	// has begun is finished all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(msg.Context()), commitTimeout)
	defer cancel()
	effect, err := h.cfg.Store.Commit(ctx, store.Entry{
		Message:    decoded,
		References: h.references(decoded.Data),
		Position:   position,
	})
	h.report(decoded, position, effect, err, start)
	return err
}

// references are those of Stripe's event. A message that was published without
// it still names its subscription.
func (h *Commit) references(data events.Data) events.References {
	refs := h.cfg.References(data.Event)
	if sub := data.Subscription; sub != nil {
		refs.ObjectID = cmp.Or(refs.ObjectID, sub.ID)
		refs.SubscriptionID = cmp.Or(refs.SubscriptionID, sub.ID)
		refs.CustomerID = cmp.Or(refs.CustomerID, sub.CustomerID)
	}
	return refs
}

// report writes the one line of a message.
func (h *Commit) report(msg events.Message, position store.Position, effect store.Effect, err error, start time.Time) {
	now := h.cfg.Now()
	took := now.Sub(start)
	outcome := string(effect)
	if err != nil {
		outcome = fault.KindOf(err).String()
	}
	h.cfg.Metrics.MessageDone(outcome, took)
	attrs := []any{"outcome", outcome, "sequence", position.StreamSequence, "duration_ms", float64(took.Microseconds()) / 1000}
	if msg.ID != "" {
		attrs = append(attrs, "event_id", events.SafeID(msg.ID), "type", msg.Type)
	}
	if err != nil {
		h.cfg.Log.Warn("message", append(attrs, "reason", fault.ReasonOf(err), "error", err)...)
		return
	}
	if effect == store.Applied {
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
