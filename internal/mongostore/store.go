package mongostore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
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
	// checkTimeout is shorter than a health check waits, so the answer says what is
	// wrong.
	checkTimeout = 1500 * time.Millisecond
)

// Config says where the database is and how to write to it.
type Config struct {
	URI      string
	Database string
	// MaxBatch bounds the entries of one commit, see [store.NewQueue].
	MaxBatch int
	Now      func() time.Time
	Log      *slog.Logger
}

// Store implements [store.Store].
type Store struct {
	*store.Queue
	database
	log     *slog.Logger
	client  *mongo.Client
	indexed atomic.Bool
}

var _ store.Store = (*Store)(nil)

// database is what a store reads and writes.
type database struct {
	events, subscriptions *mongo.Collection
	server                *server
	now                   func() time.Time
}

// Open returns a store at once, whether or not the database can be reached. It fails
// if the URI can never work.
func Open(cfg Config) (*Store, error) { return open(cfg, options.Client()) }

func open(cfg Config, opts *options.ClientOptions) (*Store, error) {
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
		events: collections.Collection(WebhookEvents), subscriptions: collections.Collection(Subscriptions),
		server: &server{database: collections}, now: cfg.Now,
	}
	queue := store.NewQueue(store.NewCommitter(db, cfg.Now), cfg.MaxBatch)
	return &Store{Queue: queue, database: db, log: cfg.Log, client: client}, nil
}

// strict sets what correctness needs, whatever the URI says: reading from a stale
// secondary, or a write that a failover undoes, would lose events.
func strict() *options.DatabaseOptionsBuilder {
	journal := true
	return options.Database().
		SetReadPreference(readpref.Primary()).
		SetReadConcern(readconcern.Majority()).
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journal})
}

// Ping implements [store.Store].
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*selectionTimeout)
	defer cancel()
	return explain("MongoDB is not reachable (see MONGODB_URI)", s.client.Ping(ctx, nil))
}

// Check implements [store.Store].
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

// Close implements [store.Store].
func (s *Store) Close(ctx context.Context) error {
	s.Queue.Close()
	return s.client.Disconnect(ctx)
}

// How many documents a cursor fetches at a time, if its options do not say. Audit
// documents can be large. MongoDB also stops at 16 MB, so it can be asked for more.
const (
	batchSize  = 100
	largeBatch = 1000
)

// query finds documents of a collection.
type query struct {
	from   *mongo.Collection
	filter bson.D
	opts   *options.FindOptionsBuilder
	doing  string // for errors
}

// each yields the documents that a query finds.
func each[T any](ctx context.Context, q query) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		cursor, err := q.from.Find(ctx, q.filter, options.Find().SetBatchSize(batchSize), q.opts)
		if err != nil {
			yield(zero, explain(q.doing, err))
			return
		}
		defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
		for cursor.Next(ctx) {
			var doc T
			if err := cursor.Decode(&doc); err != nil {
				yield(zero, explain(q.doing, err))
				return
			}
			if !yield(doc, nil) {
				return
			}
		}
		if err := cursor.Err(); err != nil {
			yield(zero, explain(q.doing, err))
		}
	}
}

// converted yields what a query finds, in the types of package store.
func converted[Document, T any](ctx context.Context, q query, convert func(Document) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for doc, err := range each[Document](ctx, q) {
			var value T
			if err == nil {
				value = convert(doc)
			}
			if !yield(value, err) {
				return
			}
		}
	}
}

// equal is a condition on one field.
func equal(field string, value any) bson.E { return bson.E{Key: field, Value: value} }

// isSet is the condition that a text is there and not empty.
func isSet(field string) bson.E {
	return bson.E{Key: field, Value: bson.D{{Key: "$gt", Value: ""}}}
}

// anyOf is the condition that a field has one of several values.
func anyOf[T any](field string, values []T) bson.E {
	return bson.E{Key: field, Value: bson.D{{Key: "$in", Value: append([]T{}, values...)}}} // null is not a list
}

// fields names fields, for a projection, an ascending order or an index.
func fields(names ...string) bson.D {
	doc := make(bson.D, len(names))
	for i, name := range names {
		doc[i] = bson.E{Key: name, Value: 1}
	}
	return doc
}
