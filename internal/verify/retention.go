package verify

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// removeBatch is how many documents are considered, and removed, at a time.
const removeBatch = 500

// RemoveExpired removes the documents of events that were created before a time and
// that no record depends on. It returns how many it removed. Several processes may run
// it at the same time, and it may be killed: whether a document may go does not depend
// on that.
func RemoveExpired(ctx context.Context, db store.Retention, before time.Time) (removed int, err error) {
	var batch []store.Expired
	for expired, err := range db.Expired(ctx, before) {
		if err != nil {
			return removed, err
		}
		if batch = append(batch, expired); len(batch) == removeBatch {
			n, err := removeUnneeded(ctx, db, batch)
			if removed += n; err != nil {
				return removed, err
			}
			batch = nil
		}
	}
	n, err := removeUnneeded(ctx, db, batch)
	return removed + n, err
}

func removeUnneeded(ctx context.Context, db store.Retention, batch []store.Expired) (int, error) {
	keys := map[string]bool{}
	for _, e := range batch {
		keys[e.Subscription] = true
	}
	delete(keys, "")
	heads, err := db.Heads(ctx, slices.Sorted(maps.Keys(keys)))
	if err != nil {
		return 0, err
	}
	var ids []string
	for _, e := range batch {
		if e.Subscription == "" || unneeded(heads[e.Subscription], e) {
			ids = append(ids, e.ID)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	return len(ids), db.RemoveExpired(ctx, ids)
}

// unneeded reports whether no record can depend on an event any more: the record does
// not know it, and would not know it if it were merged again. Otherwise the event may
// have been audited a moment ago, as in a replay, and its record is about to be written.
func unneeded(head store.Head, e store.Expired) bool {
	if !head.Current() || len(head.Known) == 0 || hasFact(head.Known, e.EventID) {
		return false
	}
	// Whether a fact is relevant depends only on these fields. Some events count from
	// shortly before they were created, which only keeps them longer.
	fact := ordering.Fact{EventID: e.EventID, Moment: e.Created, Terminal: e.Terminal, ItemsTruncated: e.ItemsTruncated}
	return !hasFact(store.Decide(append([]ordering.Fact{fact}, head.Known...)).Relevant, e.EventID)
}
