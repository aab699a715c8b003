package handlers

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// Store writes the audit document of an entry first, and the state of its
// subscription second. Commit returns after both are durable, or when the store's own
// time is over. A write that has begun is finished, even if ctx is done. Its errors are
// marked (see [fault.New]).
type Store interface {
	Commit(ctx context.Context, entry store.Entry) (store.Effect, error)
}

// CommitMetrics counts the outcomes of messages.
type CommitMetrics interface {
	MessageDone(outcome string, d time.Duration)
	EventLag(d time.Duration)
}

// CommitConfig has the collaborators of a [Commit]. All fields are required.
type CommitConfig struct {
	Store Store
	// Position returns where a message is in the stream.
	Position func(*message.Message) store.Position
	// References returns the ids in Stripe's event.
	References func(event json.RawMessage) events.References
	Now        func() time.Time
	Metrics    CommitMetrics
	Log        *slog.Logger
}

// Commit stores the messages of the stream.
type Commit struct {
	cfg      CommitConfig
	failures repeats
}

// NewCommit returns a handler, or an error if cfg is incomplete.
func NewCommit(cfg CommitConfig) (*Commit, error) {
	if err := requireAll(cfg); err != nil {
		return nil, err
	}
	return &Commit{cfg: cfg}, nil
}

// Handle stores one message. It returns nil only if the message is durable. The
// error is permanent if the message can never be read or stored.
func (h *Commit) Handle(msg *message.Message) error {
	start := h.cfg.Now()
	position := h.cfg.Position(msg)
	decoded, err := events.Decode(msg.Payload)
	if err != nil {
		err = fault.New(fault.Permanent, fault.MessageUnreadable, err)
		h.report(decoded, position, "", err, start)
		return err
	}
	// The context of the message is canceled when the subscriber closes: then it no longer
	// waits for its turn. There is no deadline: waiting while the database is slow is no fault
	// of the message, and it would be longer each time.
	effect, err := h.cfg.Store.Commit(msg.Context(), store.Entry{
		Message:    decoded,
		References: h.references(decoded.Data),
		Position:   position,
		Fact:       store.FactOf(decoded), // here, because many messages are decoded at the same time
	})
	h.report(decoded, position, effect, err, start)
	return err
}

// references returns the ids in Stripe's event. They also come from the
// subscription, because a large message is published without the event.
func (h *Commit) references(data events.Data) events.References {
	refs := h.cfg.References(data.Event)
	if sub := data.Subscription; sub != nil {
		refs.ObjectID = cmp.Or(refs.ObjectID, sub.ID)
		refs.SubscriptionID = cmp.Or(refs.SubscriptionID, sub.ID)
		refs.CustomerID = cmp.Or(refs.CustomerID, sub.CustomerID)
		refs.CustomerAccountID = cmp.Or(refs.CustomerAccountID, sub.CustomerAccountID)
		refs.RelatedIDs = withIDs(refs.RelatedIDs, sub.LatestInvoiceID, sub.ScheduleID)
	}
	if id := data.Identity; id != nil { // all that a link has
		refs.CustomerID = cmp.Or(refs.CustomerID, id.CustomerID)
		refs.CustomerAccountID = cmp.Or(refs.CustomerAccountID, id.CustomerAccountID)
	}
	if data.Entitlements != nil {
		refs.CustomerID = cmp.Or(refs.CustomerID, data.Entitlements.CustomerID)
	}
	return refs
}

func withIDs(list []string, ids ...string) []string {
	for _, id := range ids {
		if id != "" && !slices.Contains(list, id) {
			list = append(list, id)
		}
	}
	return list
}

// report logs and counts a message.
func (h *Commit) report(msg events.Message, position store.Position, effect store.Effect, err error, start time.Time) {
	now := h.cfg.Now()
	took := now.Sub(start)
	outcome := string(effect)
	if err != nil {
		outcome = failure(err)
	}
	h.cfg.Metrics.MessageDone(outcome, took)
	attrs := []any{"outcome", outcome, "sequence", position.StreamSequence, "duration_ms", milliseconds(took)}
	if msg.ID != "" {
		attrs = append(attrs, Describe(msg)...)
	}
	if outcome == string(fault.Held) {
		h.cfg.Log.Debug("message", attrs...)
		return
	}
	if err != nil {
		h.failures.failed(h.cfg.Log, err, now, "message", attrs...)
		return
	}
	if effect == store.Applied {
		h.cfg.Metrics.EventLag(now.Sub(msg.Time))
	}
	h.cfg.Log.Info("message", attrs...)
}

func failure(err error) string {
	if fault.ReasonOf(err) == fault.Held {
		return string(fault.Held)
	}
	return fault.KindOf(err).String()
}
