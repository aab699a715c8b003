package verify

import (
	"context"
	"time"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// forgetBatch is how many documents are looked at, and removed, at once.
const forgetBatch = 500

// Forget removes the events created before then on which no state rests, and
// returns how many. It may run anywhere, several times at once, and be killed:
// what may go may go whoever does it.
func Forget(ctx context.Context, trail store.Retention, before time.Time) (removed int, err error) {
	var batch []store.Expired
	for expired, err := range trail.Expired(ctx, before) {
		if err != nil {
			return removed, err
		}
		if batch = append(batch, expired); len(batch) == forgetBatch {
			n, err := forget(ctx, trail, batch)
			if removed += n; err != nil {
				return removed, err
			}
			batch = nil
		}
	}
	n, err := forget(ctx, trail, batch)
	return removed + n, err
}

func forget(ctx context.Context, trail store.Retention, batch []store.Expired) (int, error) {
	if len(batch) == 0 {
		return 0, nil
	}
	known, err := trail.Known(ctx, subscriptionsOf(batch))
	if err != nil {
		return 0, err
	}
	var ids []string
	for _, e := range batch {
		if e.Subscription == "" || settled(known[e.Subscription], e) {
			ids = append(ids, e.ID)
		}
	}
	if len(ids) == 0 {
		return 0, nil
	}
	return len(ids), trail.Forget(ctx, ids)
}

func subscriptionsOf(batch []store.Expired) []string {
	seen := map[string]bool{"": true}
	var keys []string
	for _, e := range batch {
		if !seen[e.Subscription] {
			seen[e.Subscription] = true
			keys = append(keys, e.Subscription)
		}
	}
	return keys
}

// settled reports whether no state can rest on the event any more: it is not
// among what the present one rests on, and would not be if it were added. An event
// of which the latter does not hold has been audited a moment ago, as in a replay,
// and its state is still to be written.
func settled(known []ordering.Fact, e store.Expired) bool {
	if len(known) == 0 || hasFact(known, e.EventID) {
		return false
	}
	// What is relevant depends on no more than this of it. That some events count
	// from a little earlier than they were created only keeps them longer.
	fact := ordering.Fact{EventID: e.EventID, Moment: e.Created, Terminal: e.Terminal}
	return !hasFact(ordering.Fold(append([]ordering.Fact{fact}, known...)).Relevant, e.EventID)
}
