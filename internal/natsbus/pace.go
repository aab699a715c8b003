package natsbus

import (
	"context"
	"sync"
	"time"
)

const (
	paceFirst = 100 * time.Millisecond
	paceMost  = 5 * time.Second
)

// pace slows fetching down while handlers fail for reasons that go away: the
// stream is a better place to wait than a queue of delayed redeliveries.
type pace struct {
	mu    sync.Mutex
	delay time.Duration
	until time.Time
}

// failed doubles the pause before the next fetch. Failures of messages that
// were in flight together count once.
func (p *pace) failed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if now.Before(p.until) {
		return
	}
	p.delay = min(max(2*p.delay, paceFirst), paceMost)
	p.until = now.Add(p.delay)
}

// worked ends the pause.
func (p *pace) worked() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delay, p.until = 0, time.Time{}
}

func (p *pace) failing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.delay > 0
}

// wait waits for the end of the pause; false if ctx is done.
func (p *pace) wait(ctx context.Context) bool {
	p.mu.Lock()
	pause := time.Until(p.until)
	p.mu.Unlock()
	if pause <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
