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
)

// checkTimeout bounds a readiness check: who asks usually waits no longer than a few seconds.
const checkTimeout = 2 * time.Second

// Health knows whether the program can do its job now.
type Health struct {
	mu       sync.Mutex
	checks   map[string]*check
	stopping bool
}

// check has a slot that its function holds while it runs, so that one that never returns ties up one
// goroutine and not one for every question.
type check struct {
	run  func(ctx context.Context) error
	slot chan struct{}
}

// Readiness is the answer to whether the program can do its job now.
type Readiness struct {
	Ready  bool                   `json:"ready"`
	Checks map[string]CheckResult `json:"checks"`
}

// CheckResult is what one check said.
type CheckResult struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// NewHealth returns a health without checks, which is ready.
func NewHealth() *Health { return &Health{checks: map[string]*check{}} }

// Check adds a readiness check, or replaces the one of that name. It runs concurrently with the
// others, and should return when its context ends.
func (h *Health) Check(name string, run func(ctx context.Context) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checks[name] = &check{run: run, slot: make(chan struct{}, 1)}
}

// Shutdown makes the program not ready from now on, so that nothing new is sent to it.
func (h *Health) Shutdown() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

// Ready asks all checks at once and waits for each, but for none longer than its deadline.
func (h *Health) Ready(ctx context.Context) Readiness {
	h.mu.Lock()
	checks, stopping := maps.Clone(h.checks), h.stopping
	h.mu.Unlock()

	report := Readiness{Ready: !stopping, Checks: map[string]CheckResult{}}
	if stopping {
		report.Checks["shutdown"] = CheckResult{Error: "shutting down"}
	}
	for name, err := range askAll(ctx, checks) {
		result := CheckResult{OK: err == nil}
		if err != nil {
			result.Error, report.Ready = err.Error(), false
		}
		report.Checks[name] = result
	}
	return report
}

func askAll(ctx context.Context, checks map[string]*check) map[string]error {
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		answers = map[string]error{}
	)
	for name, c := range checks {
		wg.Go(func() {
			err := c.ask(ctx)
			mu.Lock()
			defer mu.Unlock()
			answers[name] = err
		})
	}
	wg.Wait()
	return answers
}

// ask runs the check and returns at the deadline even if the check does not.
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

// safely turns a panic into a failure: a broken check must not take the program down.
func (c *check) safely(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return c.run(ctx)
}

// AdminHandler serves /healthz (the process lives, whatever else does not), /readyz and /metrics.
func AdminHandler(h *Health, m *Metrics) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.Handle("GET /readyz", readyHandler(h))
	mux.Handle("GET /metrics", m.Handler())
	return mux
}

func readyHandler(h *Health) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		report := h.Ready(r.Context())
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		if !report.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_ = json.NewEncoder(w).Encode(report) // fails only if the asker is gone
	}
}
