package view

import (
	"context"
	"errors"
	"sync"

	"github.com/billbus/billbus/internal/store"
)

// flights runs one function at a time for each key.
type flights struct {
	mu      sync.Mutex
	running map[string]*flight
}

// flight is one run. Those who come while it runs share the next one: it may have read
// before they had something to say.
type flight struct {
	// written is the newest of what those who share the flight have written, or nil if one of
	// them has written nothing. It is complete when the run begins.
	written *store.State
	done    chan struct{}
	err     error
	next    *flight
}

var errPanicked = errors.New("the run panicked")

func newFlight(written *store.State) *flight {
	return &flight{written: written, done: make(chan struct{}), err: errPanicked}
}

// do calls run with what was written into the record, or waits for a run that begins after
// this call, and returns its error. It waits until ctx is done, but does not end a run that
// others wait for.
func (f *flights) do(ctx context.Context, key string, written *store.State, run func(written *store.State) error) error {
	own, before := f.join(key, written)
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
	own.flight.err = run(own.flight.written)
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
func (f *flights) join(key string, written *store.State) (own seat, before *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.running[key]
	switch {
	case now == nil:
		own = seat{newFlight(written), true}
		f.running[key] = own.flight
		return own, nil
	case now.next == nil:
		now.next = newFlight(written)
		return seat{now.next, true}, now
	}
	now.next.written = newest(now.next.written, written)
	return seat{now.next, false}, nil
}

// newest returns the later of two states, or nil if one is not known, or if they are not of
// the same record: a database that was restored from a backup gives revisions again.
func newest(a, b *store.State) *store.State {
	if a == nil || b == nil {
		return nil
	}
	if a.Revision > b.Revision {
		a, b = b, a
	}
	if !a.FirstSeenAt.Equal(b.FirstSeenAt) || b.UpdatedAt.Before(a.UpdatedAt) {
		return nil
	}
	return b
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
