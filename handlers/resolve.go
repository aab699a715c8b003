package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

const (
	// resolveTimeout bounds the work on one message, which may take several
	// calls of Stripe's API.
	resolveTimeout = time.Minute
	// repeatAfter is how long a failure that goes on is not logged again: every
	// message that waits would say the same.
	repeatAfter = time.Minute
)

// Reader reads from Stripe's API what a message is about, in the message's own
// mode and account, and makes a message of it. It reports false for what is not
// there; its errors are marked with what they mean.
type Reader interface {
	// Event reads the event of that id.
	Event(ctx context.Context, about events.Message, id string) (events.Message, bool, error)
	// Snapshot reads how a subscription stands, with all of its items.
	Snapshot(ctx context.Context, about events.Message, reason events.Reason) (events.Message, bool, error)
}

// ResolveMetrics counts what became of messages that left something out.
type ResolveMetrics interface {
	ResolveDone(outcome string)
}

// ResolveConfig is what a [Resolve] works with. All fields are needed.
type ResolveConfig struct {
	Reader Reader
	// SnapshotEvent finds the id of the event that a thin event announces.
	SnapshotEvent func(event json.RawMessage) string
	// Publisher returns nil only when the message is durable.
	Publisher message.Publisher
	// MaxMessage is the largest payload that the server takes, 0 if unknown.
	MaxMessage func() int
	Now        func() time.Time
	Metrics    ResolveMetrics
	Log        *slog.Logger
}

// Resolve takes messages of the stream that leave something out, reads it from
// Stripe, and publishes it: the webhook could not wait for that.
//
// What is published goes by an id that does not depend on when it is read: of
// an event its own, so that it meets the one that Stripe posted. A message that
// comes twice does no harm.
type Resolve struct {
	cfg ResolveConfig

	mu     sync.Mutex
	logged map[fault.Reason]time.Time // when a failure was logged, by its reason
}

// NewResolve checks cfg.
func NewResolve(cfg ResolveConfig) (*Resolve, error) {
	if cfg.Reader == nil || cfg.SnapshotEvent == nil || cfg.Publisher == nil || cfg.MaxMessage == nil ||
		cfg.Now == nil || cfg.Metrics == nil || cfg.Log == nil {
		return nil, errors.New("handlers: resolve lacks a collaborator")
	}
	return &Resolve{cfg: cfg, logged: map[fault.Reason]time.Time{}}, nil
}

// Unresolved says why a message needs Stripe to be asked; "" if it does not.
// What was not admitted changes no state and is left as it is. A snapshot is
// what was read already: asking again because of one would never end.
func Unresolved(msg events.Message) events.Reason {
	sub := msg.Data.Subscription
	switch {
	case msg.Data.Ignored != "" || msg.Type == events.SubjectSnapshot:
		return ""
	case strings.HasPrefix(msg.StripeType, events.ThinSubscription):
		return events.ReasonThin
	case sub != nil && sub.ItemsTruncated:
		return events.ReasonItemsTruncated
	}
	return ""
}

// resolution is what became of a message, and what is said about it in log and
// metrics.
type resolution struct {
	outcome string
	id      string // of what was published
}

// Handle resolves one message. nil means that nothing is left to do for it: what
// can never be resolved is logged and counted, and not a dead letter, because
// the message itself is in the stream and says all that it ever will.
func (h *Resolve) Handle(msg *message.Message) error {
	start := h.cfg.Now()
	about, err := events.Decode(msg.Payload)
	if err != nil {
		// Whoever records the stream keeps a dead letter of the same message.
		h.report(about, resolution{outcome: "unreadable"}, start, err)
		return nil
	}
	reason := Unresolved(about)
	if reason == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(msg.Context(), resolveTimeout)
	defer cancel()
	done, err := h.resolve(ctx, about, reason, msg.Metadata.Get(HeaderTraceparent))
	if err != nil {
		done = resolution{outcome: failure(err)}
	}
	h.report(about, done, start, err)
	if fault.KindOf(err) != fault.Transient {
		return nil
	}
	return err
}

func failure(err error) string {
	if fault.KindOf(err) == fault.Transient {
		return "transient"
	}
	return "rejected"
}

// resolve reads the event that a thin one announces. Where none is named, or
// Stripe has it no longer, and where items were left out, the subscription says
// how things stand now.
func (h *Resolve) resolve(ctx context.Context, about events.Message, reason events.Reason, traceparent string) (resolution, error) {
	if id := h.cfg.SnapshotEvent(about.Data.Event); id != "" && reason == events.ReasonThin {
		event, ok, err := h.cfg.Reader.Event(ctx, about, id)
		if err != nil {
			return resolution{}, err
		}
		if ok {
			return resolution{"event", event.ID}, h.publish(event, traceparent)
		}
	}
	snapshot, ok, err := h.cfg.Reader.Snapshot(ctx, about, reason)
	switch {
	case err != nil:
		return resolution{}, err
	case !ok:
		return resolution{outcome: "missing"}, nil
	case snapshot.Data.Ignored != "":
		return resolution{outcome: "ignored"}, nil
	}
	return resolution{"snapshot", snapshot.ID}, h.publish(snapshot, traceparent)
}

func (h *Resolve) publish(msg events.Message, traceparent string) error {
	subject, out, err := outgoing(msg, h.cfg.MaxMessage(), traceparent)
	if err != nil {
		return fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	return h.cfg.Publisher.Publish(subject, out)
}

// report writes the one line of a message.
func (h *Resolve) report(about events.Message, done resolution, start time.Time, err error) {
	now := h.cfg.Now()
	h.cfg.Metrics.ResolveDone(done.outcome)
	attrs := []any{"outcome", done.outcome, "duration_ms", float64(now.Sub(start).Microseconds()) / 1000}
	if about.ID != "" {
		attrs = append(attrs, "event_id", events.SafeID(about.ID), "subject", about.Type)
	}
	if done.id != "" {
		attrs = append(attrs, "published_id", events.SafeID(done.id))
	}
	if err == nil {
		h.cfg.Log.Info("resolve", attrs...)
		return
	}
	attrs = append(attrs, "reason", fault.ReasonOf(err), "error", err)
	h.cfg.Log.Log(context.Background(), h.level(err, now), "resolve", attrs...)
}

// level is debug for a failure that was logged a moment ago.
func (h *Resolve) level(err error, now time.Time) slog.Level {
	if fault.KindOf(err) != fault.Transient {
		return slog.LevelWarn
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	reason := fault.ReasonOf(err)
	if at, ok := h.logged[reason]; ok && now.Sub(at) < repeatAfter {
		return slog.LevelDebug
	}
	h.logged[reason] = now
	return slog.LevelWarn
}
