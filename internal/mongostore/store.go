package mongostore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// Names of the collections.
const (
	Subscriptions = "subscriptions"
	WebhookEvents = "webhook_events"
)

const (
	selectionTimeout = 3 * time.Second
	connectTimeout   = 3 * time.Second
	commitTimeout    = 20 * time.Second
	// checkTimeout is less than what whoever asks waits, so that the cause is
	// told.
	checkTimeout = 1500 * time.Millisecond
)

// Config says where the database is and how to write to it.
type Config struct {
	URI      string
	Database string
	// MaxBatch bounds the entries of one commit. Half of what is in flight lets
	// one batch gather while the other is written.
	MaxBatch int
	Now      func() time.Time
	Log      *slog.Logger
}

// Store writes entries in batches from one goroutine, which [Open] starts and
// [Store.Close] ends.
type Store struct {
	cfg           Config
	client        *mongo.Client
	subscriptions *mongo.Collection
	events        *mongo.Collection
	indexed       atomic.Bool

	queue   chan request
	closing chan struct{}
	done    chan struct{}
	once    sync.Once
	work    context.Context // done: give up the commit under way
	abort   context.CancelFunc
}

// Open prepares a store and returns at once, whether or not the database can be
// reached. It fails for settings that can never work.
func Open(cfg Config) (*Store, error) {
	if cfg.MaxBatch < 1 || cfg.Now == nil || cfg.Log == nil || cfg.Database == "" {
		return nil, errors.New("mongostore: a database name, a batch size, a clock and a logger are needed")
	}
	client, err := mongo.Connect(options.Client().ApplyURI(cfg.URI).
		SetAppName("billbus").
		SetServerSelectionTimeout(selectionTimeout).
		SetConnectTimeout(connectTimeout))
	if err != nil {
		// The driver's text may quote the URI with its password.
		return nil, errors.New("MONGODB_URI cannot be used: check its scheme, hosts and options")
	}
	s := &Store{
		cfg: cfg, client: client,
		queue: make(chan request), closing: make(chan struct{}), done: make(chan struct{}),
	}
	s.work, s.abort = context.WithCancel(context.Background())
	db := client.Database(cfg.Database, strict())
	s.subscriptions, s.events = db.Collection(Subscriptions), db.Collection(WebhookEvents)
	go s.run()
	return s, nil
}

// strict sets what correctness needs, whatever the URI says: a read of a stale
// secondary or a write that a failover forgets would lose events.
func strict() *options.DatabaseOptionsBuilder {
	journal := true
	return options.Database().
		SetReadPreference(readpref.Primary()).
		SetReadConcern(readconcern.Majority()).
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journal})
}

// Check reports why the store cannot do its job now.
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := s.client.Ping(ctx, readpref.Primary()); err != nil {
		return fmt.Errorf("MongoDB is not reachable: %w", describe(err))
	}
	if !s.indexed.Load() {
		return errors.New("MongoDB indexes are not there yet")
	}
	return nil
}

// Record writes the entry's audit document and then the state of its
// subscription, and returns when both are durable. Errors are marked with what
// they mean: permanent ones concern this entry alone.
func (s *Store) Record(ctx context.Context, entry events.Entry) (events.Effect, error) {
	r := request{entry: entry, done: make(chan result, 1)}
	select {
	case s.queue <- r:
	case <-s.closing:
		return "", fault.New(fault.Transient, "closing", errors.New("store is closing"))
	case <-ctx.Done():
		return "", fault.New(fault.Transient, "mongodb_busy", ctx.Err())
	}
	select {
	case res := <-r.done:
		return res.effect, res.err
	case <-ctx.Done():
		// The outcome is unknown; the next delivery finds out.
		return "", fault.New(fault.Transient, "mongodb_timeout", ctx.Err())
	}
}

// Abort gives up: the commit under way fails, and nothing more is accepted. It
// is for a shutdown that has waited long enough for a database that hangs.
func (s *Store) Abort() {
	s.abort()
	s.once.Do(func() { close(s.closing) })
}

// Close writes what was accepted, and disconnects.
func (s *Store) Close(ctx context.Context) error {
	s.once.Do(func() { close(s.closing) })
	<-s.done
	s.abort()
	return s.client.Disconnect(ctx)
}

type request struct {
	entry events.Entry
	done  chan result
}

type result struct {
	effect events.Effect
	err    error
}

// run commits one batch after the other: whatever has gathered while the
// previous one was written.
func (s *Store) run() {
	defer close(s.done)
	for {
		select {
		case r := <-s.queue:
			s.commitBatch(s.gather(r))
		case <-s.closing:
			return
		}
	}
}

func (s *Store) gather(first request) []request {
	batch := []request{first}
	for len(batch) < s.cfg.MaxBatch {
		select {
		case r := <-s.queue:
			batch = append(batch, r)
			continue
		default:
		}
		break
	}
	return batch
}

func (s *Store) commitBatch(batch []request) {
	ctx, cancel := context.WithTimeout(s.work, commitTimeout)
	defer cancel()
	for i, res := range s.commit(ctx, batch) {
		batch[i].done <- res
	}
}
