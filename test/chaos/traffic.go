package chaos

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit/deploy"
)

// duplicates is the share of events that Stripe sends more than once by itself.
const duplicates = 0.05

// generate returns a history of about so many events, which ends before a day. All are
// rendered in the newest version, in which "bridge import" reads objects.
func generate(cfg Config) stripesim.History {
	versions := stripesim.Versions()
	c := stripesim.Config{
		Seed: uint64(cfg.Seed), Ties: 0.3, UserIDs: true, PerCustomer: 2, Subscriptions: 100, APIVersions: versions[len(versions)-1:],
	}
	sample := len(stripesim.Generate(c).Deliveries)
	c.Subscriptions = max(cfg.Events*c.Subscriptions/sample, 1)
	return stripesim.Generate(c.Before(cfg.Day))
}

// traffic is what is sent, and how it was answered.
type traffic struct {
	bridges []*deploy.Program
	secrets *secrets
	log     *slog.Logger
	workers int

	requests atomic.Int64
	sent     atomic.Int64 // different events
	done     chan struct{}
	err      error

	mu       sync.Mutex
	begun    map[string]bool
	accepted map[string]time.Time // the first time
	asked    map[string]time.Time // when the first request began that was accepted
}

func newTraffic(d *deploy.Deployment, s *secrets, log *slog.Logger, rate float64) *traffic {
	return &traffic{
		bridges: d.Bridges, secrets: s, log: log, done: make(chan struct{}), workers: int(50 + 20*rate),
		begun: map[string]bool{}, accepted: map[string]time.Time{}, asked: map[string]time.Time{},
	}
}

func (t *traffic) config(rate float64) stripesim.SendConfig {
	return stripesim.SendConfig{
		Rate: rate, Disorder: true, Workers: t.workers, Refusals: -1, Request: t.request, Accepted: t.accept,
	}
}

// begin sends a history until all of it is accepted.
func (t *traffic) begin(ctx context.Context, h stripesim.History, rate float64) {
	cfg := t.config(rate)
	cfg.Duplicates = duplicates
	go func() {
		defer close(t.done)
		_, t.err = stripesim.Send(ctx, h, cfg)
	}()
}

// request sends an event to the bridges in turn, as a load balancer does.
func (t *traffic) request(ctx context.Context, d stripesim.Delivery) stripesim.Answer {
	n := t.requests.Add(1)
	bridge := t.bridges[n%int64(len(t.bridges))]
	t.begins(d.ID)
	t.log.Info("send", "request", n, "event", d.ID, "to", bridge.Name)
	began := time.Now()
	answer := stripesim.Post(ctx, stripesim.SendConfig{URL: bridge.Webhooks, Secret: t.secrets.current()}, d.Body)
	t.log.Info("answer", "request", n, "event", d.ID, "status", answer.Status, "error", message(answer.Err))
	if answer.OK() {
		t.noteAsked(d.ID, began)
	}
	return answer
}

func (t *traffic) noteAsked(id string, began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.asked[id]; !known {
		t.asked[id] = began
	}
}

func (t *traffic) begins(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun[id] {
		t.begun[id] = true
		t.sent.Add(1)
	}
}

func (t *traffic) accept(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.accepted[id]; !known {
		t.accepted[id] = time.Now()
	}
}

func (t *traffic) acceptances() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.accepted)
}

// before returns the events whose time, in accepted or asked, is before another.
func (t *traffic) before(limit time.Time, times map[string]time.Time) map[string]bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := map[string]bool{}
	for id, at := range times {
		old[id] = at.Before(limit)
	}
	return old
}

// pause returns the longest time without an answer of 200 that begins in an interval. Answers
// about events that the stream had already do not count.
func (t *traffic) pause(begin, end time.Time) (from time.Time, length time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.SortedFunc(maps.Values(t.accepted), time.Time.Compare)
	for i := 1; i < len(all); i++ {
		before, after := all[i-1], all[i]
		if !before.Before(begin) && before.Before(end) && after.Sub(before) > length {
			from, length = before, after.Sub(before)
		}
	}
	return from, length
}
