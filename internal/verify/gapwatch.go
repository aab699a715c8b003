package verify

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

const (
	// gapAge is how old a gap must be to count. By then, most of what Stripe delivers
	// late and out of order has arrived.
	gapAge = 15 * time.Minute
	// recheckInterval is how often an open gap is checked again, since another
	// subscriber may have stored the missing event.
	recheckInterval = 5 * time.Minute
	// maxNoticed and maxWatched bound the memory. A verification finds the gaps that
	// do not fit.
	maxNoticed = 4096
	maxWatched = 10_000
	// noticedBatch is how many events are compared with records at a time.
	noticedBatch = 500
	// maxTrails bounds how many trails are read by one call of Check.
	maxTrails = 100
)

// GapWatch counts the gaps in the events that one process stores. It looks for events
// that do not continue from any state that their record knows. That is cheap to find
// out, and often not a gap but disorder. So it reads the audit trail later, when a gap
// would be old enough to count. It keeps a bounded number of events, in memory only.
type GapWatch struct {
	source store.GapSource
	now    func() time.Time

	mu      sync.Mutex
	noticed []noticed

	watched map[string]watched // by subscription; only Check uses it
}

type noticed struct {
	subscription string
	fact         ordering.Fact
}

// watched is a subscription that may have gaps.
type watched struct {
	due  time.Time // when its trail is read
	gaps []ordering.Gap
}

// NewGapWatch returns a watch that has noticed nothing yet.
func NewGapWatch(source store.GapSource, now func() time.Time) *GapWatch {
	return &GapWatch{source: source, now: now, watched: map[string]watched{}}
}

// Notice takes note of an event that may be new to its record. It does not block.
func (w *GapWatch) Notice(subscription string, fact ordering.Fact) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.noticed) < maxNoticed {
		w.noticed = append(w.noticed, noticed{subscription, fact})
	}
}

// Watch looks after gaps that another process has found, and that are old enough to count.
// It must not be called while Check runs.
func (w *GapWatch) Watch(subscription string, gaps []ordering.Gap) {
	if _, ok := w.watched[subscription]; !ok && len(w.watched) < maxWatched {
		w.watched[subscription] = watched{w.now(), gaps}
	}
}

// Check considers the events that were noticed since the last call, reads the trails
// that are due, and returns the gaps that are open, by subscription.
func (w *GapWatch) Check(ctx context.Context) (open map[string][]ordering.Gap, err error) {
	w.mu.Lock()
	fresh := w.noticed
	w.noticed = nil
	w.mu.Unlock()
	if err := w.considerAll(ctx, fresh); err != nil {
		w.putBack(fresh)
		return nil, err
	}
	if err := w.readDueTrails(ctx); err != nil {
		return nil, err
	}
	open = map[string][]ordering.Gap{}
	for key, s := range w.watched {
		if len(s.gaps) > 0 {
			open[key] = s.gaps
		}
	}
	return open, nil
}

// putBack keeps events for the next call.
func (w *GapWatch) putBack(fresh []noticed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fresh = append(fresh, w.noticed...)
	w.noticed = fresh[:min(len(fresh), maxNoticed)]
}

func (w *GapWatch) considerAll(ctx context.Context, fresh []noticed) error {
	for batch := range slices.Chunk(fresh, noticedBatch) {
		keys := map[string]bool{}
		for _, n := range batch {
			keys[n.subscription] = true
		}
		heads, err := w.source.Heads(ctx, slices.Sorted(maps.Keys(keys)))
		if err != nil {
			return err
		}
		for _, n := range batch {
			w.consider(n, heads[n.subscription])
		}
	}
	return nil
}

// consider watches the subscription of an event that may come after a gap, and reads
// the trail soon if the event may fill one.
func (w *GapWatch) consider(n noticed, head store.Head) {
	now := w.now()
	s, ok := w.watched[n.subscription]
	switch {
	case ok && len(s.gaps) > 0:
		s.due = now
		w.watched[n.subscription] = s
	case !ok && len(w.watched) < maxWatched && !boundary(n.fact) && !continues(n.fact, head):
		w.watched[n.subscription] = watched{due: now.Add(gapAge)}
	}
}

// boundary reports whether an event may follow anything: the first one follows nothing,
// and a deleted one does not say what it changed.
func boundary(f ordering.Fact) bool { return f.First || strings.HasSuffix(f.Type, ".deleted") }

// continues reports whether the state from which an event leads is that of another event
// that the record knows. If the event does not say what was before, the state that it
// shows counts.
func continues(f ordering.Fact, head store.Head) bool {
	from := f.Before
	if from == (ordering.Digest{}) {
		from = f.After
	}
	return head.Current() && slices.ContainsFunc(head.Known, func(k ordering.Fact) bool {
		return k.EventID != f.EventID && k.After.Core == from.Core
	})
}

func (w *GapWatch) readDueTrails(ctx context.Context) error {
	now, trails := w.now(), 0
	for key, s := range w.watched {
		if s.due.After(now) || trails == maxTrails {
			continue
		}
		trails++
		old, young, err := w.findGaps(ctx, key, now)
		switch {
		case err != nil:
			// All others come before this one is tried again.
			s.due = now.Add(recheckInterval)
			w.watched[key] = s
			return err
		case len(old) > 0:
			w.watched[key] = watched{now.Add(recheckInterval), old}
		case young > 0:
			w.watched[key] = watched{due: now.Add(recheckInterval)}
		default:
			delete(w.watched, key)
		}
	}
	return nil
}

// findGaps returns the gaps of a subscription that are old enough to count, and how many are
// not. The age of a gap is the time since the event after it was received:
// Stripe may deliver an event long after it was created.
func (w *GapWatch) findGaps(ctx context.Context, key string, now time.Time) (old []ordering.Gap, young int, err error) {
	var facts []ordering.Fact
	received := map[string]time.Time{}
	for audited, err := range w.source.Trail(ctx, key) {
		if err != nil {
			return nil, 0, err
		}
		if fact, ok := ordering.FactOf(audited.Message); ok {
			facts = append(facts, fact)
			received[fact.EventID] = audited.Data.ReceivedAt
		}
	}
	for _, g := range ordering.Gaps(facts) {
		if now.Sub(received[g.Before]) >= gapAge {
			old = append(old, g)
		} else {
			young++
		}
	}
	return old, young, nil
}
