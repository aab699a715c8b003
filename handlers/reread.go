package handlers

import (
	"context"
	"strings"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// findTimeout bounds reading what the database has of one event.
const findTimeout = 30 * time.Second

// Rereading is the result of reading a message again.
type Rereading struct {
	// StripeType is Stripe's event type, or subscription.snapshot.
	StripeType string
	// Fields are those in which the database differed, such as subscription.user_id.
	Fields []string
	// Admitted is true if the event was ignored before.
	Admitted bool
	// Omitted is true if the message does not have what Stripe sent. A link was not sent by
	// Stripe.
	Omitted bool
}

// RereadConfig has the collaborators of a [Reread]. All fields are required.
type RereadConfig struct {
	// Read reads what Stripe sent again.
	Read func(events.Message) (events.Message, error)
	// Differences names the fields that two readings say differently.
	Differences func(a, b events.Data) ([]string, error)
	// Find returns what the database has of an event. Its error is for
	// [fault.AuditMissing] if that is nothing.
	Find func(ctx context.Context, key string) (events.Message, error)
	// Commit commits a message.
	Commit message.NoPublishHandlerFunc
	// Publisher returns nil only when the message is durable.
	Publisher message.Publisher
	// MaxMessage returns the largest payload that the server accepts, or 0 if unknown.
	MaxMessage func() int
	// Report is called with the result of each message that was committed.
	Report func(Rereading)
}

// Reread commits the messages of the stream as they are when they are read again, by
// the present rules and settings. Where that says nothing else than what is stored, it
// commits the message as it is.
type Reread struct {
	cfg RereadConfig
}

// NewReread returns a handler, or an error if cfg is incomplete.
func NewReread(cfg RereadConfig) (*Reread, error) {
	if err := requireAll(cfg); err != nil {
		return nil, err
	}
	return &Reread{cfg: cfg}, nil
}

// Handle reads one message again and commits it. An event that was ignored and is
// admitted now is published first, so those who read the stream learn what the
// database learns.
func (h *Reread) Handle(msg *message.Message) error {
	was, err := events.Decode(msg.Payload)
	if err != nil {
		return h.cfg.Commit(msg) // which fails for the same reason
	}
	ctx, cancel := context.WithTimeout(msg.Context(), findTimeout)
	defer cancel()
	again, result, err := h.read(ctx, was)
	if err != nil {
		return err
	}
	if was.Data.Ignored != "" && again.Data.Ignored == "" {
		if err := h.publish(again, msg.UUID); err != nil {
			return err
		}
	}
	if len(result.Fields) > 0 {
		if msg, err = replaced(msg, again); err != nil {
			return fault.New(fault.Permanent, fault.CannotBeEncoded, err)
		}
	}
	if err := h.cfg.Commit(msg); err != nil {
		return err
	}
	h.cfg.Report(result)
	return nil
}

// read returns the message as it is when it is read again. If the result has no
// fields, the message is to be committed as it is.
func (h *Reread) read(ctx context.Context, was events.Message) (events.Message, Rereading, error) {
	result := Rereading{StripeType: was.StripeType}
	if result.StripeType == "" {
		result.StripeType = was.Type
	}
	again, err := h.cfg.Read(was)
	if err != nil || again.Data.Ignored != "" && was.Data.Ignored == "" {
		result.Omitted = err != nil && was.Data.Origin != events.OriginLink
		return was, result, nil
	}
	stored, err := h.cfg.Find(ctx, was.Key())
	switch {
	case fault.ReasonOf(err) == fault.AuditMissing:
		stored = was
	case err != nil:
		return was, result, err
	case !store.Preferred(again, stored), isOtherDelivery(stored, was):
		return was, result, nil
	}
	result.Admitted = stored.Data.Ignored != "" && again.Data.Ignored == ""
	if stored.StripeAPIVersion != was.StripeAPIVersion {
		stored = was
	}
	result.Fields, err = h.cfg.Differences(stored.Data, again.Data)
	if err != nil {
		err = fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	return again, result, err
}

// isOtherDelivery reports whether the audit trail holds the event as another delivery
// brought it, in other bytes of the same API version. The first one that was stored
// counts: if both were read again, each would replace the other.
func isOtherDelivery(stored, was events.Message) bool {
	return stored.Data.Ignored == "" && stored.StripeAPIVersion == was.StripeAPIVersion && stored.Data.EventSHA256 != was.Data.EventSHA256
}

// publish publishes an event that was ignored under the id without "ignored:". What names
// its endpoint there stays.
func (h *Reread) publish(again events.Message, wasUnder string) error {
	subject, out, err := outgoing(again, h.cfg.MaxMessage(), "")
	if err != nil {
		return fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	if _, endpoint, found := strings.Cut(wasUnder, "@"); found {
		out.UUID += "@" + endpoint
	}
	return h.cfg.Publisher.Publish(subject, out)
}

// replaced returns a message of the stream with another content.
func replaced(msg *message.Message, again events.Message) (*message.Message, error) {
	payload, err := events.Encode(again)
	if err != nil {
		return nil, err
	}
	out := message.NewMessage(msg.UUID, payload)
	out.Metadata = msg.Metadata
	out.SetContext(msg.Context())
	return out, nil
}
