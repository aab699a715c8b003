package natsbus

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	"github.com/billbus/billbus/internal/fault"
)

// Delivery describes one delivery of a message.
type Delivery struct {
	Stream     string
	Sequence   uint64 // of the message in the stream
	StoredAt   time.Time
	Deliveries uint64 // how often the message was delivered, this time included
	Subject    string
}

// DeliveryOf returns the delivery of a message that a [Subscriber] or a [Replay]
// returned. It reports false for any other message.
func DeliveryOf(msg *message.Message) (Delivery, bool) { return DeliveryIn(msg.Context()) }

// DeliveryIn is DeliveryOf for what has the context of the message.
func DeliveryIn(ctx context.Context) (Delivery, bool) {
	s, ok := ctx.Value(slotKey{}).(*slot)
	if !ok {
		return Delivery{}, false
	}
	return s.delivery, true
}

func deliveryOf(jm *nats.Msg) Delivery {
	delivery := Delivery{Subject: jm.Subject}
	if meta, err := jm.Metadata(); err == nil {
		delivery.Stream = meta.Stream
		delivery.Sequence = meta.Sequence.Stream
		delivery.StoredAt = meta.Timestamp.UTC()
		delivery.Deliveries = meta.NumDelivered
	}
	return delivery
}

// Outcome is the outermost middleware of a handler. It passes the handler's error
// to the subscriber, and turns a panic into an error.
func Outcome(next message.NoPublishHandlerFunc) message.NoPublishHandlerFunc {
	return func(msg *message.Message) (err error) {
		defer func() {
			if r := recover(); r != nil {
				// Not the value: it may contain part of the payload.
				err = fault.New(fault.Transient, fault.Panicked, fmt.Errorf("handler panicked with a %T", r))
			}
			if s, ok := msg.Context().Value(slotKey{}).(*slot); ok {
				s.err = err
			}
		}()
		return next(msg)
	}
}

type slotKey struct{}

// slot travels in the message's context, because watermill's Nack carries no error.
type slot struct {
	delivery Delivery
	err      error // the middleware sets it, and the subscriber reads it after the nack
}

func withSlot(ctx context.Context, delivery Delivery) (context.Context, *slot) {
	s := &slot{delivery: delivery}
	return context.WithValue(ctx, slotKey{}, s), s
}
