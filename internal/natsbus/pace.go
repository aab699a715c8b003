package natsbus

import (
	"context"
	"sync"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// pace pauses fetching while it fails, or while handlers fail for transient
// reasons: messages wait better in the stream than in a queue of delayed
// redeliveries.
type pace struct {
	mu    sync.Mutex
	pause time.Duration // 0 after a success
	until time.Time
}

// failed doubles the pause before the next fetch. Failures during a pause count
// once, because they concern messages that were in flight together.
func (p *pace) failed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.until) {
		return
	}
	p.pause = min(max(2*p.pause, firstPause), maxPause)
	p.until = now.Add(p.pause)
}

// succeeded ends the pause.
func (p *pace) succeeded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pause, p.until = 0, time.Time{}
}

func (p *pace) failing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pause > 0
}

// wait waits for the end of the pause. It reports false if ctx is done.
func (p *pace) wait(ctx context.Context) bool {
	p.mu.Lock()
	left := time.Until(p.until)
	p.mu.Unlock()
	if left > 0 {
		select {
		case <-ctx.Done():
		case <-time.After(left):
		}
	}
	return ctx.Err() == nil
}
