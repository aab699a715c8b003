package stripeapi

import (
	"cmp"
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
	// perSecond is well below Stripe's limits, 100 reads a second in live mode and 25
	// in a sandbox, because the application calls Stripe too.
	// See https://docs.stripe.com/rate-limits
	perSecond = 20
	burst     = 4
	// minPause is the pause after an answer that asks for one without a length.
	minPause = time.Second
	// maxPause keeps a wrong answer from stopping all calls for good.
	maxPause = 15 * time.Minute
)

// pace limits the rate of all calls together.
type pace struct {
	limit *rate.Limiter
	now   func() time.Time

	mu    sync.Mutex
	until time.Time
}

func newPace(now func() time.Time, limit int) *pace {
	limit = cmp.Or(limit, perSecond)
	return &pace{limit: rate.NewLimiter(rate.Limit(limit), min(limit, burst)), now: now}
}

// wait waits until a call may be made. During a pause it fails at once, because the
// message waits better in the stream.
func (p *pace) wait(ctx context.Context) error {
	if left := p.paused(); left > 0 {
		return fault.New(fault.Transient, fault.RateLimited, fmt.Errorf("calls are paused for another %s, as Stripe asked", left.Round(time.Second)))
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

// pause stops all calls for the time in Retry-After, but for no less than shortest.
func (p *pace) pause(header http.Header, shortest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	until := now.Add(min(max(retryAfter(header.Get("Retry-After"), now), shortest), maxPause))
	if until.After(p.until) {
		p.until = until
	}
}

// retryAfter reads both forms of the header: seconds, and a date.
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
