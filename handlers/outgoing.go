package handlers

import (
	"errors"
	"regexp"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// Headers of a message in the stream.
const (
	HeaderContentType = "Content-Type"
	HeaderLivemode    = "Billbus-Livemode"
	HeaderAccount     = "Billbus-Account"
	HeaderEndpoint    = "Billbus-Endpoint"
	HeaderTraceparent = "traceparent"
)

// Publish publishes a message in at most limit bytes; a limit of 0 is unknown. The error
// is permanent if it can never be published.
func Publish(to message.Publisher, msg events.Message, limit int, traceparent string) error {
	subject, out, err := outgoing(msg, limit, traceparent)
	if err != nil {
		return fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	return to.Publish(subject, out)
}

// outgoing encodes a message for publishing, with its id and headers, in at most
// limit bytes. A limit of 0 is unknown.
func outgoing(msg events.Message, limit int, traceparent string) (subject string, out *message.Message, err error) {
	msg, payload, err := encodeWithin(msg, limit)
	if err != nil {
		return "", nil, err
	}
	out = message.NewMessage(msg.MessageID(), payload)
	setHeaders(out.Metadata, msg, traceparent)
	return msg.Type, out, nil
}

// NewMessage encodes a message for publishing, with its id and headers.
func NewMessage(msg events.Message) (*message.Message, error) {
	_, out, err := outgoing(msg, 0, "")
	return out, err
}

// encodeWithin encodes a message in at most limit bytes. If necessary, it leaves out
// Stripe's event, and then everything that was read from it. A snapshot would be
// empty without that, so it fails.
func encodeWithin(msg events.Message, limit int) (events.Message, []byte, error) {
	payload, err := events.EncodeParsed(msg)
	if err != nil || limit == 0 || len(payload) <= limit {
		return msg, payload, err
	}
	msg.Data.Event, msg.Data.Object, msg.Data.EventOmitted = nil, nil, events.OmittedSize
	payload, err = events.EncodeParsed(msg)
	if err != nil || len(payload) <= limit {
		return msg, payload, err
	}
	if msg.StripeType == "" {
		return msg, nil, errors.New("the snapshot is too large for a message: raise max_payload of the NATS server")
	}
	msg.Data, msg.Type = withoutContent(msg.Data), events.StripeSubject(msg.StripeType)
	payload, err = events.EncodeParsed(msg)
	return msg, payload, err
}

// withoutContent keeps the fields that do not depend on the content of the event.
func withoutContent(d events.Data) events.Data {
	return events.Data{
		SchemaVersion: d.SchemaVersion, EventOmitted: d.EventOmitted, EventSHA256: d.EventSHA256, Redactions: d.Redactions,
		Warnings: []string{"object: too large for a message"}, Ignored: d.Ignored, Origin: d.Origin, ReceivedAt: d.ReceivedAt,
		Normalizer: d.Normalizer, RereadAt: d.RereadAt,
	}
}

func setHeaders(headers message.Metadata, msg events.Message, traceparent string) {
	headers.Set(HeaderContentType, events.ContentType)
	headers.Set(HeaderLivemode, strconv.FormatBool(msg.Livemode))
	if msg.StripeEndpoint != "" {
		headers.Set(HeaderEndpoint, msg.StripeEndpoint)
	}
	if msg.StripeAccount != "" {
		headers.Set(HeaderAccount, events.SafeID(msg.StripeAccount))
	}
	if wellFormed(traceparent) {
		headers.Set(HeaderTraceparent, traceparent)
	}
}

var (
	traceparentForm = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
	traceparentNone = regexp.MustCompile(`^ff|-0{32}-|-0{16}-`)
)

// wellFormed reports whether a trace context header is valid. Anyone can send one.
// See https://www.w3.org/TR/trace-context/#traceparent-header
func wellFormed(traceparent string) bool {
	return traceparentForm.MatchString(traceparent) && !traceparentNone.MatchString(traceparent)
}
