package bridge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/internal/fault"
)

// failureMemory is how long a failed publish makes the bridge not ready, if
// none has succeeded since. It has an end, because without traffic nothing
// would ever succeed again.
const failureMemory = 10 * time.Second

// watchedPublisher remembers how the latest publish ended: a full stream is
// noticed by publishing only.
type watchedPublisher struct {
	next message.Publisher
	now  func() time.Time
	// missing is called when no stream took a message: it may have been deleted.
	missing func()

	mu       sync.Mutex
	err      error
	failedAt time.Time
}

// Publish implements message.Publisher.
func (p *watchedPublisher) Publish(topic string, messages ...*message.Message) error {
	err := p.next.Publish(topic, messages...)
	if err != nil && fault.ReasonOf(err) == fault.StreamMissing {
		p.missing()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
	if err != nil {
		p.failedAt = p.now()
	}
	return err
}

// Close implements message.Publisher.
func (p *watchedPublisher) Close() error { return p.next.Close() }

// Check reports the failure of the latest publish, for a while.
func (p *watchedPublisher) Check(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil || p.now().Sub(p.failedAt) > failureMemory {
		return nil
	}
	return fmt.Errorf("the latest publish failed: %w", p.err)
}
