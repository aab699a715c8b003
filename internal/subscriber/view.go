package subscriber

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/view"
)

// newView returns the state view; nil if the settings turn it off.
func newView(bus *natsbus.Bus, cfg config.Stream, db store.View, metrics view.Metrics, now func() time.Time) (*view.View, error) {
	if !cfg.StateView {
		return nil, nil
	}
	publisher, err := bus.NewPublisher(cfg.Name, publishTimeout)
	if err != nil {
		return nil, err
	}
	return view.New(view.Config{
		Store: db, Bucket: bus.NewBucket(events.StateBucket), Publisher: publisher,
		Sent: bus.NewJournal(cfg.Name, events.SubjectAccess).Sent, MaxValue: bus.MaxMessage, Now: now, Metrics: metrics,
	}), nil
}

// following brings what is stored into the state view, before the message is acknowledged.
// It leaves out messages that follow from records themselves: a consumer that an earlier
// release has made gets them until its filter is changed.
type following struct {
	handlers.Store
	view *view.View // may be nil
}

func (f following) Commit(ctx context.Context, entry store.Entry) (store.Effect, error) {
	if strings.HasPrefix(entry.Type, strings.TrimSuffix(events.SubjectAccess, "*")) {
		return store.Recorded, nil
	}
	var changed []store.Changed
	entry.Committed = func(c []store.Changed) { changed = c }
	effect, err := f.Store.Commit(ctx, entry)
	failpoint.At("subscriber:stored")
	if err == nil && f.view != nil {
		err = f.view.Follow(context.WithoutCancel(ctx), entry.Message, changed)
	}
	return effect, err
}

// followKeys returns what brings records into the state view; nil if it is turned off.
func followKeys(v *view.View) store.Follow {
	if v == nil {
		return nil
	}
	return v.FollowKeys
}

// rewriting brings records that were rewritten into the state view.
type rewriting struct {
	verified
	view *view.View
}

func (r rewriting) Rewrite(ctx context.Context, have store.StoredRecord, d store.Decision) (bool, error) {
	ok, err := r.verified.Rewrite(ctx, have, d)
	if ok && err == nil {
		err = r.view.Rewritten(ctx, have.Key)
	}
	return ok, err
}

func (r rewriting) Commit(ctx context.Context, entry store.Entry) (store.Effect, error) {
	return following{r.verified, r.view}.Commit(ctx, entry)
}

// withView adds the state view to what a verification writes. The returned function
// closes its connection.
func withView(ctx context.Context, db store.Store, cfg config.Subscriber, log *slog.Logger) (verified, func(), error) {
	if !cfg.Verify.Fix || !cfg.Stream.StateView {
		return db, func() {}, nil
	}
	v, closeView, err := openView(ctx, db, cfg, "billbus-verify", log)
	return rewriting{db, v}, closeView, err
}

// openView returns the state view for a command; nil if the settings turn it off. The returned
// function closes its connection.
func openView(ctx context.Context, db store.View, cfg config.Subscriber, name string, log *slog.Logger) (*view.View, func(), error) {
	if !cfg.Stream.StateView {
		return nil, func() {}, nil
	}
	bus, err := natsbus.Open(natsbus.Auth(cfg.NATS), name, log)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := bus.WaitConnected(ctx); err != nil {
		bus.Close()
		return nil, nil, fmt.Errorf("what is written to records also gets into the state view: %w (see NATS_URL; STATE_VIEW=off leaves it alone)", err)
	}
	v, err := newView(bus, cfg.Stream, db, noMetrics{}, time.Now)
	if err != nil {
		bus.Close()
	}
	return v, bus.Close, err
}

// noMetrics counts nothing: a command that ends serves no metrics.
type noMetrics struct{}

func (noMetrics) AccessChanged(string)       {}
func (noMetrics) StateViewLag(time.Duration) {}

// completeView brings records into the state view that are older than it.
func (s *Subscriber) completeView(ctx context.Context) {
	if s.view == nil {
		return
	}
	var repeats fault.Repeats
	ops.Every(ctx, ops.GaugeInterval, func() {
		err := s.view.Complete(ctx)
		if err == nil || s.bus.Check(ctx) != nil || ctx.Err() != nil {
			return
		}
		if _, due := repeats.Next("complete", s.deps.Now()); due {
			s.deps.Log.Warn("bringing all records into the state view failed; trying again", "error", err)
		}
	})
}

// caughtUp completes the state view when no message is waiting.
func (s *Subscriber) caughtUp(ctx context.Context, pending natsbus.Pending) {
	if s.view == nil || pending.Messages > 0 {
		return
	}
	if err := s.view.CaughtUp(ctx); err != nil && !errors.Is(err, context.Canceled) {
		s.deps.Log.Warn("completing the state view failed; trying again", "error", err)
	}
}
