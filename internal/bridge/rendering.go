package bridge

import (
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/events"
)

// storer publishes one message. It reports whether the stream had a message with the
// same UUID, and returns that message's payload: nil if it was removed since.
type storer interface {
	Store(topic string, msg *message.Message) (earlier []byte, duplicate bool, err error)
}

// renderings is a message.Publisher. The stream keeps the first message of an event.
// If two endpoints receive an event in two API versions, which one is first depends
// on the race. So a newer version that comes second is published too, under an id of
// its own, and the newest counts, whatever the order.
//
// A repetition has the version of the message that is in the stream, whether it is
// another attempt of Stripe's, signed with the next secret of the same endpoint, or
// published by a bridge that died before it answered.
type renderings struct {
	stream     storer
	overlapped func() // is called when two endpoints have received one event
}

// Publish implements message.Publisher.
func (r renderings) Publish(topic string, messages ...*message.Message) error {
	for _, msg := range messages {
		if err := r.publish(topic, msg); err != nil {
			return err
		}
	}
	return nil
}

// Close implements message.Publisher.
func (r renderings) Close() error { return nil }

func (r renderings) publish(topic string, msg *message.Message) error {
	payload, duplicate, err := r.stream.Store(topic, msg)
	if err != nil || !duplicate {
		return err
	}
	ours, err := events.Decode(msg.Payload)
	if err != nil {
		return err
	}
	// A message that cannot be read, or that was removed, has no version.
	earlier, _ := events.Decode(payload)
	order := events.CompareAPIVersions(ours.StripeAPIVersion, earlier.StripeAPIVersion)
	counts := order != 0 && ours.StripeEndpoint != "" && earlier.StripeEndpoint != ""
	if order > 0 {
		again := message.NewMessage(events.RenderingID(msg.UUID, ours.StripeAPIVersion), msg.Payload)
		again.Metadata = msg.Metadata
		_, duplicate, err = r.stream.Store(topic, again)
		counts = counts && err == nil && !duplicate
	}
	if counts {
		r.overlapped()
	}
	return err
}
