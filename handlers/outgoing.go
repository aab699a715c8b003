package handlers

import (
	"errors"
	"regexp"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
)

// Headers of a message in the stream.
const (
	HeaderContentType = "Content-Type"
	HeaderLivemode    = "Billbus-Livemode"
	HeaderAccount     = "Billbus-Account"
	HeaderEndpoint    = "Billbus-Endpoint"
	HeaderTraceparent = "traceparent"
)

// outgoing makes what is published of a message, wherever it came from: under
// its id, with its headers, and no larger than limit. limit 0 is unknown.
func outgoing(msg events.Message, limit int, traceparent string) (subject string, out *message.Message, err error) {
	msg, payload, err := fit(msg, limit)
	if err != nil {
		return "", nil, err
	}
	out = message.NewMessage(events.MessageID(msg.StripeAccount, msg.ID), payload)
	setHeaders(out.Metadata, msg, traceparent)
	return msg.Type, out, nil
}

// fit encodes a message so that the server takes it: without what came from
// Stripe if need be, and in the last resort without what was read of it, which
// leaves an event like any other. Of a snapshot nothing would be left.
func fit(msg events.Message, limit int) (events.Message, []byte, error) {
	payload, err := events.Encode(msg)
	if err != nil || limit == 0 || len(payload) <= limit {
		return msg, payload, err
	}
	msg.Data.Event, msg.Data.Object, msg.Data.EventOmitted = nil, nil, events.OmittedSize
	payload, err = events.Encode(msg)
	if err != nil || len(payload) <= limit {
		return msg, payload, err
	}
	if msg.Type == events.SubjectSnapshot {
		return msg, nil, errors.New("the snapshot is too large for a message: raise max_payload of the NATS server")
	}
	msg.Data, msg.Type = bare(msg.Data), events.StripeSubject(msg.StripeType)
	payload, err = events.Encode(msg)
	return msg, payload, err
}

// bare is what is left to say of an event without saying what is in it.
func bare(d events.Data) events.Data {
	return events.Data{
		SchemaVersion: d.SchemaVersion, EventOmitted: d.EventOmitted, EventSHA256: d.EventSHA256, Redactions: d.Redactions,
		Warnings: []string{"object: too large for a message"}, Ignored: d.Ignored, Origin: d.Origin, ReceivedAt: d.ReceivedAt,
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

// wellFormed checks a trace context header, which anybody can send.
// See https://www.w3.org/TR/trace-context/#traceparent-header
func wellFormed(traceparent string) bool {
	return traceparentForm.MatchString(traceparent) && !traceparentNone.MatchString(traceparent)
}
