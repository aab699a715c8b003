package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/billbus/billbus/internal/secret"
)

// checkTimeout bounds a readiness check. Orchestrators do not wait longer than a few seconds.
const checkTimeout = 2 * time.Second

// Health collects the readiness checks of a program.
type Health struct {
	mu       sync.Mutex
	checks   map[string]*check
	stopping bool
}

// check has a slot that its function holds while it runs. A function that never returns occupies one
// goroutine, not one more at every request.
type check struct {
	run  func(ctx context.Context) error
	slot chan struct{}
}

// Readiness says whether the program can do its job now.
type Readiness struct {
	Ready  bool                   `json:"ready"`
	Checks map[string]CheckResult `json:"checks"`
}

// CheckResult is the result of one check.
type CheckResult struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// NewHealth returns a Health without checks, which is ready.
func NewHealth() *Health { return &Health{checks: map[string]*check{}} }

// Check adds a readiness check, or replaces the one with that name. Checks run concurrently. They
// should return when their context ends.
func (h *Health) Check(name string, run func(ctx context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[name] = &check{run: run, slot: make(chan struct{}, 1)}
}

// Shutdown makes the program not ready, to keep new requests away.
func (h *Health) Shutdown() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

// Ready runs all checks concurrently, each with a deadline, and waits for them.
func (h *Health) Ready(ctx context.Context) Readiness {
	h.mu.Lock()
	checks, stopping := maps.Clone(h.checks), h.stopping
	h.mu.Unlock()

	report := Readiness{Ready: !stopping, Checks: map[string]CheckResult{}}
	if stopping {
		report.Checks["shutdown"] = CheckResult{Error: "shutting down"}
	}
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	for name, c := range checks {
		wg.Go(func() {
			err := c.ask(ctx)
			mu.Lock()
			defer mu.Unlock()
			report.add(name, err)
		})
	}
	wg.Wait()
	return report
}

func (r *Readiness) add(name string, err error) {
	if err == nil {
		r.Checks[name] = CheckResult{OK: true}
		return
	}
	r.Ready, r.Checks[name] = false, CheckResult{Error: err.Error()}
}

// ask runs the check. It returns at the deadline even if the check does not.
func (c *check) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	answer := make(chan error, 1)
	select {
	case c.slot <- struct{}{}:
	case <-ctx.Done():
		return errors.New("an earlier run of this check has not returned")
	}
	go func() {
		defer func() { <-c.slot }()
		answer <- c.safely(ctx)
	}()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("no answer within %s", checkTimeout)
	}
}

// safely turns a panic into an error: a broken check must not end the program.
func (c *check) safely(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return c.run(ctx)
}

func readyHandler(h *Health, token secret.Text) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		may := authorized(r, token)
		if !may && r.Header.Get("Authorization") != "" {
			unauthorized(w)
			return
		}
		report := h.Ready(r.Context())
		if !may {
			report.Checks = map[string]CheckResult{}
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !report.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(report) // fails only if the client is gone
	}
}
