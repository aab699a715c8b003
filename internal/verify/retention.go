package verify

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

const (
	// removeBatch is how many documents are considered, and removed, at a time.
	removeBatch = 500
	// turnLength is how long a process may take for one batch before another takes over.
	turnLength = 10 * time.Minute
	// turnPause is the time between two rounds of any process.
	turnPause = time.Hour
	// passInterval is how often all old documents are considered again, including those
	// that were kept: the state that depended on them may have moved on.
	passInterval = 7 * 24 * time.Hour
	// rereadTime is longer than events are read again in one go. Meanwhile a record may
	// come to depend on what it has left out before.
	rereadTime = 24 * time.Hour
)

// Retention removes the documents of events that no record depends on. Any number of
// processes may have one: they take turns, to save work. It may be killed: whether a
// document may go does not depend on that.
type Retention struct {
	Store store.Retention
	// Keep is the age that documents reach.
	Keep time.Duration
	// Holder is different in each process.
	Holder string
	Now    func() time.Time
}

// Round removes what has expired since the last round of any process. It returns how
// many documents it removed: none if it is the turn of another process.
func (r *Retention) Round(ctx context.Context) (removed int, err error) {
	turn, ok, err := r.take(ctx)
	if !ok || err != nil {
		return 0, err
	}
	before := r.now().Add(-r.Keep)
	var batch []store.Expired
	for expired, err := range r.Store.Expired(ctx, turn.Reached, before) {
		if err != nil {
			return removed, err
		}
		if batch = append(batch, expired); len(batch) < removeBatch {
			continue
		}
		n, err := r.removeUnneeded(ctx, batch)
		if removed += n; err != nil {
			return removed, err
		}
		if ok, err := r.set(ctx, &turn, expired.Created, turnLength); !ok || err != nil {
			return removed, err
		}
		batch = nil
	}
	n, err := r.removeUnneeded(ctx, batch)
	if removed += n; err != nil {
		return removed, err
	}
	_, err = r.set(ctx, &turn, before, turnPause)
	return removed, err
}

// take reports false if another process has the turn, or had it a short time ago.
func (r *Retention) take(ctx context.Context) (store.Turn, bool, error) {
	turn, err := r.Store.Turn(ctx)
	if err != nil || r.now().Before(turn.Until) {
		return turn, false, err
	}
	reached := turn.Reached
	next := turn
	if r.now().Sub(turn.Began) >= passInterval {
		next.Began, reached = r.now(), time.Time{}
	}
	next.Holder, next.Until, next.Reached = r.Holder, r.now().Add(turnLength), reached
	ok, err := r.Store.SetTurn(ctx, turn, next)
	return next, ok, err
}

// set keeps how far the round has come. It reports false if another process took over.
func (r *Retention) set(ctx context.Context, turn *store.Turn, reached time.Time, length time.Duration) (bool, error) {
	next := *turn
	next.Reached, next.Until = reached, r.now().Add(length)
	ok, err := r.Store.SetTurn(ctx, *turn, next)
	*turn = next
	return ok, err
}

// now is in milliseconds, as databases keep it.
func (r *Retention) now() time.Time { return r.Now().UTC().Truncate(time.Millisecond) }

func (r *Retention) removeUnneeded(ctx context.Context, batch []store.Expired) (int, error) {
	keys := map[string]bool{}
	for _, e := range batch {
		keys[e.Subscription] = true
	}
	delete(keys, "")
	heads, err := r.Store.Heads(ctx, slices.Sorted(maps.Keys(keys)))
	if err != nil {
		return 0, err
	}
	var ids []string
	for _, e := range batch {
		if e.Subscription == "" || unneeded(heads[e.Subscription], e, r.now()) {
			ids = append(ids, e.ID)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	return len(ids), r.Store.RemoveExpired(ctx, ids)
}

// unneeded reports whether no record can depend on an event any more: the record does
// not know it, and would not know it if it were merged again. Otherwise the event may
// have been audited a moment ago, as in a replay, and its record is about to be written.
// A record that is decided again from its whole trail may need any of its events.
func unneeded(head store.Head, e store.Expired, now time.Time) bool {
	switch {
	case !head.Current(), len(head.Known) == 0, hasFact(head.Known, e.EventID):
		return false
	case head.Reread && now.Sub(head.UpdatedAt) < rereadTime:
		return false
	}
	// Whether a fact is relevant depends only on these fields. Some events count from
	// shortly before they were created, which only keeps them longer.
	fact := ordering.Fact{EventID: e.EventID, Moment: e.Created, Terminal: e.Terminal, ItemsTruncated: e.ItemsTruncated}
	return !hasFact(store.Decide(append([]ordering.Fact{fact}, head.Known...)).Relevant, e.EventID)
}
