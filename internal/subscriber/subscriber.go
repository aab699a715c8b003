// Package subscriber assembles the consumer: it reads messages from the stream and
// writes the audit trail and the records. It also has the commands that read them:
// audit, verify and replay, and those that work on dead letters.
//
// Both cmd/subscriber and standalone run it.
package subscriber

import (
	"context"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/verify"
	"github.com/billbus/billbus/internal/view"
)

// Subscriber consumes the stream once Run is called.
type Subscriber struct {
	cfg     config.Subscriber
	deps    ops.Deps
	store   store.Store
	bus     *natsbus.Bus
	streams *natsbus.Provisioner
	letters *natsbus.DeadLetters
	router  *natsbus.Router
	gaps    *verify.GapWatch
	report  *gapReport // nil if the state view is turned off
	backlog *natsbus.Backlog
	view    *view.View // nil if it is turned off
}

// resolveInterval is how often the name in a mongodb+srv URI is looked up until it is
// there.
const resolveInterval = 5 * time.Second

// Start opens a subscriber and returns its Run. If the name in a mongodb+srv URI does not
// resolve at present, the subscriber is opened when it runs, as soon as the name does.
func Start(cfg config.Subscriber, deps ops.Deps) (run func(context.Context) error, err error) {
	s, err := Open(cfg, deps)
	switch {
	case err == nil:
		return s.Run, nil
	case fault.ReasonOf(err) != fault.DatabaseDNS:
		return nil, err
	}
	unresolved := err
	deps.Log.Warn("the hosts of MongoDB are not known; trying again", "reason", fault.DatabaseDNS, "error", unresolved)
	deps.Health.Check("mongodb", func(context.Context) error { return unresolved })
	return func(ctx context.Context) error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(resolveInterval):
			}
			s, err := Open(cfg, deps)
			switch {
			case err == nil:
				return s.Run(ctx)
			case fault.ReasonOf(err) != fault.DatabaseDNS:
				return err
			}
		}
	}, nil
}

// Open checks the configuration and starts to connect to MongoDB and NATS, without
// waiting for them. Call Run, or Close if Run is never called, to close the
// connections.
func Open(cfg config.Subscriber, deps ops.Deps) (*Subscriber, error) {
	// Half of the messages in flight gather while the other half is written.
	store, err := openStore(cfg.Mongo, mongostore.Config{
		MaxBatch: max(cfg.MaxInFlight/2, 1), OnOverlap: deps.Metrics.EndpointOverlap,
		OnUser: func(source events.IdentitySource) { deps.Metrics.UserID(string(source)) }, Now: deps.Now, Log: deps.Log,
	})
	if err != nil {
		return nil, err
	}
	s := &Subscriber{cfg: cfg, deps: deps, store: store, gaps: verify.NewGapWatch(store, deps.Now)}
	if err := s.connect(); err != nil {
		return nil, errors.Join(err, s.closeStore())
	}
	s.deps.Metrics.ReadBySubscriber()
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
	s.backlog = bus.NewBacklog(s.cfg.Stream.Name, s.cfg.ConsumerName)
	s.streams = bus.NewProvisioner(natsbus.ProvisionMode(s.cfg.Provision).WithoutStreams(),
		natsbus.StreamSettings(s.cfg.Stream), s.consumer())
	s.streams.Drifted, s.streams.Recreated = s.deps.Metrics.SetStreamDrift, func(string) { s.deps.Metrics.StreamRecreated() }
	s.report = newGapReport(bus, s.cfg.Stream)
	s.view, err = newView(bus, s.cfg.Stream, s.store, s.deps.Metrics, s.deps.Now)
	if err == nil {
		s.router, err = s.newRouter()
	}
	if err != nil {
		bus.Close()
	}
	return err
}

func (s *Subscriber) consumer() natsbus.Consumer {
	consumer := natsbus.SubscriberConsumer(s.cfg.ConsumerName)
	if s.cfg.Stream.StateView {
		return consumer.WithStateView()
	}
	return consumer
}

func (s *Subscriber) newRouter() (*natsbus.Router, error) {
	commit, err := handlers.NewCommit(handlers.CommitConfig{
		Store: holding{following{gapNotifier{s.store, s.gaps}, s.view}, s.deps.Now}, Position: position, References: normalize.References,
		Now: s.deps.Now, Metrics: s.deps.Metrics, Log: s.deps.Log,
	})
	if err != nil {
		return nil, err
	}
	return s.bus.NewRouter(natsbus.SubscriberConfig{
		Stream: s.cfg.Stream.Name, Consumer: s.cfg.ConsumerName, MaxInFlight: s.cfg.MaxInFlight, MaxBytes: s.cfg.MaxBytes,
		CloseTimeout: s.cfg.ShutdownTimeout, DeadLetter: s.letters.Keep, Settled: s.settled, Missing: s.streams.Wake,
	}, commit.Handle)
}

// Close closes the connections.
func (s *Subscriber) Close() error {
	s.bus.Close()
	return s.closeStore()
}

// Run consumes until ctx is done. Then it fetches no more messages, finishes and
// acknowledges those in flight, and closes the connections.
func (s *Subscriber) Run(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.closeStore()) }()
	defer s.bus.Close()
	group, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, func() { time.AfterFunc(s.drainTimeout(), s.store.Abort) })
	for _, run := range []func(context.Context){
		s.streams.Run, s.provisionStore, s.updateGauges, s.watchGaps, s.enforceRetention, s.sweepNames, s.completeView,
	} {
		group.Go(func() error { run(ctx); return nil })
	}
	group.Go(func() error { return s.bus.WaitClosed(ctx) })
	group.Go(func() error {
		s.streams.WaitFirst(ctx)
		return s.router.Run(ctx)
	})
	return group.Wait()
}

// drainTimeout is how long a shutdown waits for messages in flight. The rest of
// the time is for handing back those that are not finished.
func (s *Subscriber) drainTimeout() time.Duration { return s.cfg.ShutdownTimeout * 3 / 4 }

func (s *Subscriber) provisionStore(ctx context.Context) {
	s.store.Provision(ctx, natsbus.ProvisionMode(s.cfg.Provision) == natsbus.ProvisionCreate)
}

func (s *Subscriber) settled(delivery natsbus.Delivery) {
	if delivery.Deliveries > 1 {
		s.deps.Metrics.Redelivered()
	}
}

func (s *Subscriber) updateGauges(ctx context.Context) {
	ops.Every(ctx, ops.GaugeInterval, func() { s.readNATS(ctx) })
}

func (s *Subscriber) readNATS(ctx context.Context) {
	s.deps.Metrics.SetNATSConnected(s.bus.Check(ctx) == nil)
	s.readBacklog(ctx)
	if n, err := s.letters.Count(ctx); err == nil {
		s.deps.Metrics.SetDeadLetters(n)
	}
}

// readBacklog sets the number of messages even if the age cannot be read: that takes one
// more permission.
func (s *Subscriber) readBacklog(ctx context.Context) {
	pending, err := s.backlog.Pending(ctx)
	if err != nil {
		return
	}
	s.deps.Metrics.SetConsumerPending(pending.Messages)
	s.caughtUp(ctx, pending)
	if age, err := s.backlog.Oldest(ctx, pending); err == nil {
		s.deps.Metrics.SetOldestPending(age)
	}
}

// holdFor is how long an event with a truncated list waits for the snapshot that the
// bridge is reading. It is longer than Stripe usually takes for a few calls.
const holdFor = 5 * time.Second

// holding holds back events that list only some of the items of a subscription, while
// the bridge reads the others. Otherwise a new subscription would have a record with ten
// of its twelve items for a moment.
type holding struct {
	handlers.Store
	now func() time.Time
}

func (h holding) Commit(ctx context.Context, entry store.Entry) (store.Effect, error) {
	age := h.now().Sub(entry.StoredAt)
	// The age is negative if this clock is behind the server's.
	if entry.Data.Resolving == events.ReasonItemsTruncated && 0 <= age && age < holdFor {
		return "", fault.New(fault.Transient, fault.Held, errors.New("waiting for the snapshot with all items"))
	}
	return h.Store.Commit(ctx, entry)
}

func (s *Subscriber) closeStore() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownTimeout)
	defer cancel()
	return s.store.Close(ctx)
}

func position(msg *message.Message) store.Position {
	delivery, _ := natsbus.DeliveryOf(msg)
	return store.Position{StreamSequence: delivery.Sequence, StoredAt: delivery.StoredAt}
}
