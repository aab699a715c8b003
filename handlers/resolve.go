package handlers

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// resolveTimeout bounds the work on one message, which may need several calls of
// Stripe's API.
const resolveTimeout = time.Minute

// Reader reads the object of a message from Stripe's API, in the message's mode and
// account, and returns it as a message. It returns false if Stripe does not have the
// object. Its errors are marked (see [fault.New]).
type Reader interface {
	// Event reads the event with that id.
	Event(ctx context.Context, about events.Message, id string) (events.Message, bool, error)
	// Snapshot reads the current state of the subscription, with all of its items, or all
	// entitlements of the customer.
	Snapshot(ctx context.Context, about events.Message, reason events.Reason) (events.Message, bool, error)
}

// ResolveMetrics counts the outcomes of messages that are resolved.
type ResolveMetrics interface {
	ResolveDone(outcome string)
}

// ResolveConfig has the collaborators of a [Resolve]. All fields are required.
type ResolveConfig struct {
	Reader Reader
	// HasKey reports whether the objects of an account can be read.
	HasKey func(account string) bool
	// SnapshotEvent returns the id of the event that a thin event announces, or "".
	SnapshotEvent func(event json.RawMessage) string
	// Resolved keeps the last snapshot of each subscription, and the last list of each
	// customer's entitlements.
	Resolved Bucket
	// Publisher returns nil only when the message is durable.
	Publisher message.Publisher
	// MaxMessage returns the largest payload that the server accepts, or 0 if unknown.
	MaxMessage func() int
	Now        func() time.Time
	Metrics    ResolveMetrics
	Log        *slog.Logger
}

// Resolve handles messages of the stream that leave something out. It reads that
// from Stripe and publishes it, which a webhook cannot wait for.
//
// An event keeps its id, so handling a message twice does no harm, and the stream drops
// the event if Stripe has posted it, too. A snapshot is kept in a bucket before it is
// published; see [Resolve.snapshot].
type Resolve struct {
	cfg      ResolveConfig
	failures repeats
}

// NewResolve returns a handler, or an error if cfg is incomplete.
func NewResolve(cfg ResolveConfig) (*Resolve, error) {
	if err := requireAll(cfg); err != nil {
		return nil, err
	}
	return &Resolve{cfg: cfg}, nil
}

// Unresolved returns why a message has to be resolved, or "" if it does not. Ignored
// messages change no state and stay as they are. Resolving a snapshot, which was read
// from Stripe already, would never end.
func Unresolved(msg events.Message) events.Reason {
	sub := msg.Data.Subscription
	switch {
	case msg.Data.Ignored != "" || msg.StripeType == "":
		return ""
	case strings.HasPrefix(msg.StripeType, events.ThinSubscription):
		return events.ReasonThin
	case sub != nil && sub.ItemsTruncated:
		return events.ReasonItemsTruncated
	case listsEntitlements(msg) && msg.Data.Entitlements.Truncated:
		return events.ReasonEntitlementsTruncated
	}
	return ""
}

// resolution is the result of resolving a message, for log and metrics.
type resolution struct {
	outcome     string
	publishedID string
}

// Handle resolves one message. It returns nil if nothing more can be done for it.
// A message that can never be resolved is logged and counted, but is not a dead
// letter: it stays in the stream, where the subscriber reads it.
func (h *Resolve) Handle(msg *message.Message) error {
	start := h.cfg.Now()
	about, err := events.Decode(msg.Payload)
	if err != nil {
		// The subscriber makes a dead letter of the same message.
		h.report(about, resolution{outcome: "unreadable"}, start, err)
		return nil
	}
	reason, hasKey := Unresolved(about), h.cfg.HasKey(about.StripeAccount)
	switch {
	case reason == "" && (!hasKey || !listsEntitlements(about)):
		return nil
	case !hasKey:
		h.report(about, resolution{outcome: "no_key"}, start, nil)
		return nil
	}
	ctx, cancel := context.WithTimeout(msg.Context(), resolveTimeout)
	defer cancel()
	done, err := h.resolve(ctx, about, reason, msg.Metadata.Get(HeaderTraceparent))
	if err != nil {
		done = resolution{outcome: failureOutcome(err)}
	}
	if done.outcome == "" { // nothing had to be read
		return nil
	}
	h.report(about, done, start, err)
	if fault.KindOf(err) != fault.Transient {
		return nil
	}
	return err
}

func failureOutcome(err error) string {
	if fault.KindOf(err) == fault.Transient {
		return "transient"
	}
	return "rejected"
}

// resolve reads the event that a thin event announces. If there is none, if Stripe
// no longer has it, or if items were left out, it reads the subscription.
func (h *Resolve) resolve(ctx context.Context, about events.Message, reason events.Reason, traceparent string) (resolution, error) {
	if listsEntitlements(about) {
		return h.entitlements(ctx, about, traceparent)
	}
	if id := h.cfg.SnapshotEvent(about.Data.Event); id != "" && reason == events.ReasonThin {
		event, ok, err := h.cfg.Reader.Event(ctx, about, id)
		if err != nil {
			return resolution{}, err
		}
		if ok {
			return resolution{"event", event.ID}, h.publish(event, traceparent)
		}
	}
	return h.snapshot(ctx, about, reason, traceparent)
}

func (h *Resolve) publish(msg events.Message, traceparent string) error {
	return Publish(h.cfg.Publisher, msg, h.cfg.MaxMessage(), traceparent)
}

// report logs and counts a message.
func (h *Resolve) report(about events.Message, done resolution, start time.Time, err error) {
	now := h.cfg.Now()
	h.cfg.Metrics.ResolveDone(done.outcome)
	attrs := []any{"outcome", done.outcome, "duration_ms", milliseconds(now.Sub(start))}
	if about.ID != "" {
		attrs = append(attrs, Describe(about)...)
	}
	if done.publishedID != "" {
		attrs = append(attrs, "published_id", events.SafeID(done.publishedID))
	}
	if err == nil {
		h.cfg.Log.Info("resolve", attrs...)
		return
	}
	h.failures.failed(h.cfg.Log, err, now, "resolve", attrs...)
}
