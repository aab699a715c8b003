package mongostore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/billbus/billbus/internal/store"
)

// Names of the collections.
const (
	Subscriptions = "subscriptions"
	WebhookEvents = "webhook_events"
)

const (
	selectionTimeout = 3 * time.Second
	connectTimeout   = 3 * time.Second
	indexTimeout     = 20 * time.Second
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

// Store is a [store.Queue] on MongoDB, together with what else is asked of it.
type Store struct {
	*store.Queue
	cfg     Config
	client  *mongo.Client
	db      database
	indexed atomic.Bool
}

// database is a [store.Database].
type database struct {
	audit
	states
}

// Open prepares a store and returns at once, whether or not the database can be
// reached. It fails for settings that can never work.
func Open(cfg Config) (*Store, error) { return open(cfg, options.Client()) }

func open(cfg Config, opts *options.ClientOptions) (*Store, error) {
	if cfg.MaxBatch < 1 || cfg.Now == nil || cfg.Log == nil || cfg.Database == "" {
		return nil, errors.New("mongostore: a database name, a batch size, a clock and a logger are needed")
	}
	client, err := mongo.Connect(opts.ApplyURI(cfg.URI).
		SetAppName("billbus").
		SetServerSelectionTimeout(selectionTimeout).
		SetConnectTimeout(connectTimeout))
	if err != nil {
		// The driver's text may quote the URI with its password.
		return nil, errors.New("MONGODB_URI cannot be used: check its scheme, hosts and options")
	}
	collections := client.Database(cfg.Database, strict())
	db := database{
		audit{collections.Collection(WebhookEvents)},
		states{collections.Collection(Subscriptions), &server{database: collections}},
	}
	queue := store.NewQueue(store.NewCommitter(db, cfg.Now), cfg.MaxBatch)
	return &Store{Queue: queue, cfg: cfg, client: client, db: db}, nil
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

// Close writes what was accepted, and disconnects.
func (s *Store) Close(ctx context.Context) error {
	s.Queue.Close()
	return s.client.Disconnect(ctx)
}
