package verify

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

const (
	// gapAge is when a gap counts: what Stripe delivers late and out of order has
	// mostly come by then.
	gapAge = 15 * time.Minute
	// gapAgain is how often an open gap is looked at again: another subscriber may
	// have recorded what fills it.
	gapAgain = 5 * time.Minute
	// maxNoticed and maxWatched bound what is remembered. What does not fit is
	// left to a verification.
	maxNoticed = 4096
	maxWatched = 10_000
	// looksAtOnce bounds how many trails are read at a time.
	looksAtOnce = 100
)

// GapWatch counts the gaps in what one program records. It notices an event that
// does not go on from anything its subscription's state rests on, which is cheap
// to see and often means nothing, and asks the audit trail when the gap would be
// old enough to count. It remembers in memory only, and only so much.
type GapWatch struct {
	source store.GapSource
	now    func() time.Time

	mu      sync.Mutex
	noticed []noticed

	watched map[string]watched // by subscription; only Look touches it
}

type noticed struct {
	subscription string
	fact         ordering.Fact
}

type watched struct {
	due  time.Time
	gaps int
}

// NewGapWatch watches what is noticed from now on.
func NewGapWatch(source store.GapSource, now func() time.Time) *GapWatch {
	return &GapWatch{source: source, now: now, watched: map[string]watched{}}
}

// Notice is told of every event that was recorded for the first time. It does not
// wait for anything.
func (w *GapWatch) Notice(m events.Message) {
	fact, ok := ordering.FactOf(m)
	w.mu.Lock()
	defer w.mu.Unlock()
	if ok && len(w.noticed) < maxNoticed {
		w.noticed = append(w.noticed, noticed{m.SubscriptionKey(), fact})
	}
}

// Look looks at what was noticed and at what is due, and returns how many gaps are
// open.
func (w *GapWatch) Look(ctx context.Context) (open int, err error) {
	w.mu.Lock()
	fresh := w.noticed
	w.noticed = nil
	w.mu.Unlock()
	if err := w.sort(ctx, fresh); err != nil {
		w.giveBack(fresh)
		return 0, err
	}
	if err := w.lookAtDue(ctx); err != nil {
		return 0, err
	}
	for _, s := range w.watched {
		open += s.gaps
	}
	return open, nil
}

// giveBack keeps what could not be looked at for the next time.
func (w *GapWatch) giveBack(fresh []noticed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fresh = append(fresh, w.noticed...)
	w.noticed = fresh[:min(len(fresh), maxNoticed)]
}

// sort picks from what was noticed what may be behind a gap, and what may fill
// one.
func (w *GapWatch) sort(ctx context.Context, fresh []noticed) error {
	for batch := range slices.Chunk(fresh, forgetBatch) {
		keys := map[string]bool{}
		for _, n := range batch {
			keys[n.subscription] = true
		}
		known, err := w.source.Known(ctx, slices.Sorted(maps.Keys(keys)))
		if err != nil {
			return err
		}
		for _, n := range batch {
			w.consider(n, known[n.subscription])
		}
	}
	return nil
}

func (w *GapWatch) consider(n noticed, known []ordering.Fact) {
	now := w.now()
	s, ok := w.watched[n.subscription]
	switch {
	case ok && s.gaps > 0: // this may fill it
		s.due = now
		w.watched[n.subscription] = s
	case !ok && len(w.watched) < maxWatched && !goesOn(n.fact, known):
		w.watched[n.subscription] = watched{due: now.Add(gapAge)}
	}
}

// goesOn reports whether an event leads from, or tells of, a state of which a known
// one tells, or does not say.
func goesOn(f ordering.Fact, known []ordering.Fact) bool {
	from := f.Before
	if from == (ordering.Digest{}) {
		from = f.After
	}
	if f.First || strings.HasSuffix(f.Type, ".deleted") {
		return true
	}
	return slices.ContainsFunc(known, func(k ordering.Fact) bool { return k.EventID != f.EventID && k.After.Core == from.Core })
}

func (w *GapWatch) lookAtDue(ctx context.Context) error {
	now, looks := w.now(), 0
	for key, s := range w.watched {
		if s.due.After(now) || looks == looksAtOnce {
			continue
		}
		looks++
		old, young, err := w.count(ctx, key, now)
		switch {
		case err != nil:
			// The others are looked at before it comes to this one again.
			s.due = now.Add(gapAgain)
			w.watched[key] = s
			return err
		case old > 0:
			w.watched[key] = watched{now.Add(gapAgain), old}
		case young > 0:
			w.watched[key] = watched{due: now.Add(gapAgain)}
		default:
			delete(w.watched, key)
		}
	}
	return nil
}

// count returns the gaps of a subscription, by whether they are old enough to
// count. What was received tells, not what was stamped: Stripe may deliver late.
func (w *GapWatch) count(ctx context.Context, key string, now time.Time) (old, young int, err error) {
	var facts []ordering.Fact
	received := map[string]time.Time{}
	for audited, err := range w.source.Trail(ctx, key) {
		if err != nil {
			return 0, 0, err
		}
		if fact, ok := ordering.FactOf(audited.Message); ok {
			facts = append(facts, fact)
			received[fact.EventID] = audited.Message.Data.ReceivedAt
		}
	}
	for _, g := range ordering.Gaps(facts) {
		if now.Sub(received[g.Before]) >= gapAge {
			old++
		} else {
			young++
		}
	}
	return old, young, nil
}
