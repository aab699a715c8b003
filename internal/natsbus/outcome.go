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
	place Place

	mu  sync.Mutex
	err error
}

// Place is where a message stands in its stream.
type Place struct {
	Stream     string
	Sequence   uint64
	StoredAt   time.Time
	Deliveries uint64
	Subject    string
}

// PlaceOf returns where a message that a [Subscriber] handed over stands.
func PlaceOf(msg *message.Message) (Place, bool) {
	s, ok := msg.Context().Value(contextKey{}).(*slot)
	if !ok {
		return Place{}, false
	}
	return s.place, true
}

// Outcome is the outermost middleware of a handler: it tells the subscriber why
// the handler failed, and makes a panic a failure like any other.
func Outcome(next message.NoPublishHandlerFunc) message.NoPublishHandlerFunc {
	return func(msg *message.Message) (err error) {
		s, ok := msg.Context().Value(contextKey{}).(*slot)
		defer func() {
			if r := recover(); r != nil {
				// The value of a panic may hold part of the payload: it is not kept.
				err = fault.New(fault.Transient, reasonPanic, fmt.Errorf("handler panicked with a %T", r))
			}
			if ok {
				s.set(err)
			}
		}()
		return next(msg)
	}
}

const reasonPanic = "panic"

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

func withSlot(ctx context.Context, place Place) (context.Context, *slot) {
	s := &slot{place: place}
	return context.WithValue(ctx, contextKey{}, s), s
}
