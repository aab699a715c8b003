package stripeapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/billbus/billbus/internal/fault"
)

const (
	// perSecond stays well below the 100 reads a second that Stripe allows in
	// live mode and the 25 of a sandbox: the application calls Stripe, too.
	// See https://docs.stripe.com/rate-limits
	perSecond = 20
	burst     = 4
	// leastPause follows an answer that asks for a pause and does not say how long.
	leastPause = time.Second
	// mostPause keeps an odd answer from silencing us for good.
	mostPause = 15 * time.Minute
)

// pace is how fast all calls together may be made.
type pace struct {
	limit *rate.Limiter
	now   func() time.Time

	mu    sync.Mutex
	until time.Time
}

func newPace(now func() time.Time) *pace {
	return &pace{limit: rate.NewLimiter(perSecond, burst), now: now}
}

// wait waits for its turn. During a pause it fails at once: whoever asked has a
// better place to wait.
func (p *pace) wait(ctx context.Context) error {
	if left := p.paused(); left > 0 {
		return fault.New(fault.Transient, fault.RateLimited, fmt.Errorf("%s are left of the pause that Stripe asked for", left.Round(time.Second)))
	}
	if err := p.limit.Wait(ctx); err != nil {
		return fault.New(fault.Transient, fault.RateLimited, errors.New("too many calls at once"))
	}
	return nil
}

func (p *pace) paused() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.until.Sub(p.now()), 0)
}

// pause stops all calls for as long as Retry-After says, and for least if it
// says nothing.
func (p *pace) pause(header http.Header, least time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	until := now.Add(min(max(retryAfter(header.Get("Retry-After"), now), least), mostPause))
	if until.After(p.until) {
		p.until = until
	}
}

// retryAfter reads both forms of the header, seconds and a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(at.Sub(now), 0)
}
