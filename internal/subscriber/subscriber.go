// Package subscriber assembles the consumer: messages in, state and audit out.
//
// It stands apart from cmd/subscriber because standalone runs the same assembly
// beside the bridge, in one process.
package subscriber

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/verify"
)

const (
	gaugeInterval = 5 * time.Second
	// gapTimeout bounds one look for gaps.
	gapTimeout = 30 * time.Second
)

// Deps are what the process shares between its parts.
type Deps struct {
	Log     *slog.Logger
	Metrics *ops.Metrics
	Health  *ops.Health
	Now     func() time.Time
}

// Subscriber consumes the stream once Run is called.
type Subscriber struct {
	cfg     config.Subscriber
	deps    Deps
	store   *mongostore.Store
	bus     *natsbus.Bus
	streams *natsbus.Provisioner
	letters *natsbus.DeadLetters
	router  *natsbus.Router
	gaps    *verify.GapWatch
}

// Open checks what can be checked, and starts to connect to MongoDB and NATS
// without waiting for them. What is opened is closed by Run, or by Close if Run
// is never called.
func Open(cfg config.Subscriber, deps Deps) (*Subscriber, error) {
	store, err := mongostore.Open(mongostore.Config{
		URI: cfg.Mongo.URI.Reveal(), Database: cfg.Mongo.Database,
		// Half of what is in flight gathers while the other half is written.
		MaxBatch: max(cfg.MaxInFlight/2, 1), Now: deps.Now, Log: deps.Log,
	})
	if err != nil {
		return nil, err
	}
	s := &Subscriber{cfg: cfg, deps: deps, store: store, gaps: verify.NewGapWatch(store, deps.Now)}
	if err := s.connect(); err != nil {
		return nil, errors.Join(err, s.closeStore())
	}
	s.deps.Health.Check("nats", s.bus.Check)
	s.deps.Health.Check("consumer", s.streams.Check)
	s.deps.Health.Check("mongodb", s.store.Check)
	return s, nil
}

func (s *Subscriber) connect() error {
	bus, err := natsbus.Open(natsbus.Auth(s.cfg.NATS), "billbus-subscriber", s.deps.Log)
	if err != nil {
		return err
	}
	s.bus, s.letters = bus, bus.NewDeadLetters(s.deps.Now)
	s.streams = bus.NewProvisioner(natsbus.ProvisionMode(s.cfg.Provision),
		natsbus.StreamSettings(s.cfg.Stream), natsbus.SubscriberConsumer(s.cfg.ConsumerName))
	if s.router, err = s.newRouter(); err != nil {
		bus.Close()
	}
	return err
}

func (s *Subscriber) newRouter() (*natsbus.Router, error) {
	record, err := handlers.NewCommit(handlers.CommitConfig{
		Committer: watching{s.store, s.gaps}, Position: position, References: normalize.References,
		Now: s.deps.Now, Metrics: s.deps.Metrics, Log: s.deps.Log,
	})
	if err != nil {
		return nil, err
	}
	return s.bus.NewRouter(natsbus.SubscriberConfig{
		Stream: s.cfg.Stream.Name, Consumer: s.cfg.ConsumerName, MaxInFlight: s.cfg.MaxInFlight,
		CloseTimeout: s.cfg.ShutdownTimeout, DeadLetter: s.letters.Keep, Settled: s.settled,
	}, record.Handle)
}

// Close gives up what Open took.
func (s *Subscriber) Close() error {
	s.bus.Close()
	return s.closeStore()
}

// Run consumes until ctx is done: then it fetches no more, finishes and
// acknowledges what is in flight, and closes its connections.
func (s *Subscriber) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.closeStore()) }()
	defer s.bus.Close()
	group, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, func() { time.AfterFunc(s.patience(), s.store.Abort) })
	group.Go(func() error { s.streams.Run(ctx); return nil })
	group.Go(func() error { s.store.Provision(ctx, s.create()); return nil })
	group.Go(func() error { s.gauges(ctx); return nil })
	group.Go(func() error { s.watchGaps(ctx); return nil })
	group.Go(func() error { s.retain(ctx); return nil })
	group.Go(func() error { return s.bus.WaitClosed(ctx) })
	group.Go(func() error { return s.router.Run(ctx) })
	return group.Wait()
}

// patience is how long a shutdown waits for work in flight; the rest of the
// time is for handing back what did not end.
func (s *Subscriber) patience() time.Duration { return s.cfg.ShutdownTimeout * 3 / 4 }

func (s *Subscriber) create() bool {
	return natsbus.ProvisionMode(s.cfg.Provision) == natsbus.ProvisionCreate
}

func (s *Subscriber) settled(delivery natsbus.Delivery) {
	if delivery.Deliveries > 1 {
		s.deps.Metrics.Redelivered()
	}
}

// gauges reads what only the server knows, from time to time.
func (s *Subscriber) gauges(ctx context.Context) {
	tick := time.NewTicker(gaugeInterval)
	defer tick.Stop()
	for {
		if pending, err := s.bus.Pending(ctx, s.cfg.Stream.Name, s.cfg.ConsumerName); err == nil {
			s.deps.Metrics.SetConsumerPending(pending)
		}
		if n, err := s.letters.Count(ctx); err == nil {
			s.deps.Metrics.SetDeadLetters(n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watchGaps looks for gaps, apart from the gauges: it reads trails, and a database
// that hangs must not hide that messages are waiting.
func (s *Subscriber) watchGaps(ctx context.Context) {
	tick := time.NewTicker(gaugeInterval)
	defer tick.Stop()
	for {
		s.lookForGaps(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Subscriber) lookForGaps(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, gapTimeout)
	defer cancel()
	if n, err := s.gaps.Look(ctx); err == nil {
		s.deps.Metrics.SetGaps(uint64(n))
	}
}

// watching tells the watch of gaps what was recorded for the first time.
type watching struct {
	handlers.Committer
	gaps *verify.GapWatch
}

// Commit commits, and never waits for the watch.
func (w watching) Commit(ctx context.Context, entry store.Entry) (store.Effect, error) {
	effect, err := w.Committer.Commit(ctx, entry)
	if err == nil && effect != store.Duplicate {
		w.gaps.Notice(entry.Message)
	}
	return effect, err
}

func (s *Subscriber) closeStore() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownTimeout)
	defer cancel()
	return s.store.Close(ctx)
}

func position(msg *message.Message) store.Position {
	place, _ := natsbus.DeliveryOf(msg)
	return store.Position{StreamSequence: place.Sequence, StoredAt: place.StoredAt}
}
