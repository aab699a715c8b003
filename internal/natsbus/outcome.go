package natsbus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/internal/fault"
)

type contextKey struct{}

// slot travels in the message's context, because watermill's Nack carries no
// reason: the middleware writes why, the subscriber reads it after the nack.
type slot struct {
	delivery Delivery

	mu  sync.Mutex
	err error
}

// Delivery is where a message stands in its stream.
type Delivery struct {
	Stream     string
	Sequence   uint64
	StoredAt   time.Time
	Deliveries uint64
	Subject    string
}

// DeliveryOf returns where a message that a [Subscriber] handed over stands.
func DeliveryOf(msg *message.Message) (Delivery, bool) {
	s, ok := msg.Context().Value(contextKey{}).(*slot)
	if !ok {
		return Delivery{}, false
	}
	return s.delivery, true
}

// Outcome is the outermost middleware of a handler: it tells the subscriber why
// the handler failed, and makes a panic a failure like any other.
func Outcome(next message.NoPublishHandlerFunc) message.NoPublishHandlerFunc {
	return func(msg *message.Message) (err error) {
		s, ok := msg.Context().Value(contextKey{}).(*slot)
		defer func() {
			if r := recover(); r != nil {
				// The value of a panic may hold part of the payload: it is not kept.
				err = fault.New(fault.Transient, fault.Panicked, fmt.Errorf("handler panicked with a %T", r))
			}
			if ok {
				s.set(err)
			}
		}()
		return next(msg)
	}
}

func (s *slot) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *slot) get() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func withSlot(ctx context.Context, delivery Delivery) (context.Context, *slot) {
	s := &slot{delivery: delivery}
	return context.WithValue(ctx, contextKey{}, s), s
}
