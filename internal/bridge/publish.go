package bridge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/internal/fault"
)

// failureMemory limits how long a failed publish makes the bridge not ready. Without
// a limit, a bridge that gets no traffic for that reason would never be ready again.
const failureMemory = 10 * time.Second

// watchedPublisher is a message.Publisher that remembers the outcome of the latest
// publish: only publishing shows that a disk is full.
type watchedPublisher struct {
	next    message.Publisher
	now     func() time.Time
	missing func() // is called when no stream took a message: it may have been deleted

	mu       sync.Mutex
	err      error
	failedAt time.Time
}

// Publish implements message.Publisher.
func (p *watchedPublisher) Publish(topic string, messages ...*message.Message) error {
	err := p.next.Publish(topic, messages...)
	if fault.ReasonOf(err) == fault.StreamMissing {
		p.missing()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err, p.failedAt = err, p.now()
	return err
}

// Close implements message.Publisher.
func (p *watchedPublisher) Close() error { return p.next.Close() }

// Check returns the error of the latest publish, for ten seconds.
func (p *watchedPublisher) Check(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil || p.now().Sub(p.failedAt) > failureMemory {
		return nil
	}
	return fmt.Errorf("the latest publish failed: %w", p.err)
}
