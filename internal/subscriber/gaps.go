package subscriber

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/gaps"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/verify"
)

const gapTimeout = 30 * time.Second

// watchGaps is separate from the other gauges: it reads audit trails, and a database
// that hangs must not hide that messages are waiting.
func (s *Subscriber) watchGaps(ctx context.Context) {
	var repeats fault.Repeats
	ops.Every(ctx, ops.GaugeInterval, func() {
		err := s.checkGaps(ctx)
		if err == nil || ctx.Err() != nil || s.bus.Check(ctx) != nil {
			return
		}
		if _, due := repeats.Next("gaps", s.deps.Now()); due {
			s.deps.Log.Warn("reporting gaps failed; trying again", "error", err)
		}
	})
}

// checkGaps returns why the gaps could not be reported. While the trails cannot be read,
// the gauge says so by its age.
func (s *Subscriber) checkGaps(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, gapTimeout)
	defer cancel()
	found, err := s.gaps.Check(ctx)
	if err != nil {
		return nil
	}
	now := s.deps.Now()
	var open []gaps.Gap
	for subscription, list := range found {
		for _, each := range list {
			if g := gaps.Of(subscription, each, now); g.Fillable(now) {
				open = append(open, g)
			}
		}
	}
	s.deps.Metrics.SetGaps(uint64(len(open)))
	return s.report.update(ctx, open, s.gaps, now)
}

// gapReport keeps the gaps in the bucket of the state view, where "bridge backfill" finds
// them.
type gapReport struct {
	bucket *natsbus.Bucket
	mine   map[string]bool // the subscriptions whose gaps this process has reported
}

// newGapReport returns nil, which reports nothing, if there is no bucket.
func newGapReport(bus *natsbus.Bus, cfg config.Stream) *gapReport {
	if !cfg.StateView {
		return nil
	}
	return &gapReport{bus.NewBucket(events.StateBucket), map[string]bool{}}
}

// update replaces what this process has reported, and takes over what others have and no
// longer look after. If another process is first, the next call does it.
func (r *gapReport) update(ctx context.Context, open []gaps.Gap, watch *verify.GapWatch, now time.Time) error {
	if r == nil {
		return nil
	}
	value, revision, err := r.bucket.Get(ctx, gaps.Key)
	if err != nil {
		return err
	}
	have, mine := gaps.Decode(value), map[string]bool{}
	abandoned := have.Abandoned(now, func(g gaps.Gap) bool { return r.mine[g.Subscription] })
	for _, g := range abandoned {
		g.CheckedAt = now.UTC()
		open = append(open, g)
	}
	for _, g := range open {
		mine[g.Subscription] = true
	}
	next := have.Updated(open, func(g gaps.Gap) bool { return r.mine[g.Subscription] }, now)
	if ok, err := r.put(ctx, have, next, revision); !ok || err != nil {
		return err
	}
	r.mine = mine
	for subscription, list := range bySubscription(abandoned) {
		watch.Watch(subscription, list)
	}
	return nil
}

// put writes only what has changed.
func (r *gapReport) put(ctx context.Context, have, next gaps.Report, revision uint64) (ok bool, err error) {
	if next.Equal(have) {
		return true, nil
	}
	value, err := json.Marshal(next)
	if err != nil {
		return false, fmt.Errorf("encoding the gaps: %w", err)
	}
	_, ok, err = r.bucket.Put(ctx, gaps.Key, value, revision)
	failpoint.At("gaps:reported")
	return ok, err
}

func bySubscription(list []gaps.Gap) map[string][]ordering.Gap {
	all := map[string][]ordering.Gap{}
	for _, g := range list {
		all[g.Subscription] = append(all[g.Subscription], g.Found())
	}
	return all
}

// gapNotifier shows the events that are new to their record to the gap watch. After a crash
// or a failure, an event can be in the audit trail and not in its record: then it is a
// duplicate, of a message that was delivered again.
type gapNotifier struct {
	handlers.Store
	gaps *verify.GapWatch
}

func (n gapNotifier) Commit(ctx context.Context, entry store.Entry) (store.Effect, error) {
	effect, err := n.Store.Commit(ctx, entry)
	delivery, _ := natsbus.DeliveryIn(ctx)
	if err == nil && entry.Fact != nil && (effect != store.Duplicate || delivery.Deliveries > 1) {
		n.gaps.Notice(entry.SubscriptionKey(), *entry.Fact)
	}
	return effect, err
}
