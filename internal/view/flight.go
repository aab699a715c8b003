package view

import (
	"context"
	"errors"
	"sync"
)

// flights runs one function at a time for each key.
type flights struct {
	mu      sync.Mutex
	running map[string]*flight
}

// flight is one run. Those who come while it runs share the next one: it may have read
// before they had something to say.
type flight struct {
	done chan struct{}
	err  error
	next *flight
}

var errPanicked = errors.New("the run panicked")

func newFlight() *flight { return &flight{done: make(chan struct{}), err: errPanicked} }

// do calls run, or waits for a run that begins after this call, and returns its error. It
// waits until ctx is done, but does not end a run that others wait for.
func (f *flights) do(ctx context.Context, key string, run func() error) error {
	own, before := f.join(key)
	if !own.leads {
		return own.flight.wait(ctx)
	}
	defer f.land(key, own.flight)
	if before != nil {
		if err := before.landed(ctx); err != nil {
			own.flight.err = err
			return err
		}
	}
	own.flight.err = run()
	return own.flight.err
}

func (f *flight) wait(ctx context.Context) error {
	if err := f.landed(ctx); err != nil {
		return err
	}
	return f.err
}

func (f *flight) landed(ctx context.Context) error {
	select {
	case <-f.done:
		return nil
	case <-ctx.Done():
		return busy(ctx.Err())
	}
}

// seat is a caller's place in a flight. The first one leads it.
type seat struct {
	flight *flight
	leads  bool
}

// join returns the caller's seat, and the flight that has to land before.
func (f *flights) join(key string) (own seat, before *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.running[key]
	switch {
	case now == nil:
		own = seat{newFlight(), true}
		f.running[key] = own.flight
		return own, nil
	case now.next == nil:
		now.next = newFlight()
		return seat{now.next, true}, now
	}
	return seat{now.next, false}, nil
}

func (f *flights) land(key string, landed *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch now := f.running[key]; {
	case now != landed: // it has given up before the one before it has landed
		now.next = nil
	case landed.next == nil:
		delete(f.running, key)
	default:
		f.running[key] = landed.next
	}
	close(landed.done)
}
