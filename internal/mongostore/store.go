package mongostore

import (
	"context"
	"errors"
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

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
)

// Names of the collections.
const (
	Subscriptions = "subscriptions"
	WebhookEvents = "webhook_events"
	Identities    = "identities"
	Retention     = "retention"
	Catalog       = "catalog"
	Entitlements  = "entitlements"
	Access        = "access"
	StateView     = "state_view"
)

const (
	// selectionTimeout is longer than an election takes, which is up to 15 s. A batch
	// waits for the new primary instead of being handed back.
	selectionTimeout = 20 * time.Second
	connectTimeout   = 3 * time.Second
	// pingTimeout is how long a command waits for a database before it gives up.
	pingTimeout = 5 * time.Second
	// checkTimeout is shorter than a health check waits, so the answer says what is
	// wrong.
	checkTimeout = 1500 * time.Millisecond
)

// lanes is how many batches are written to MongoDB at the same time. Together they can have
// all messages in flight.
const lanes = 2

// Config says where the database is and how to write to it.
type Config struct {
	URI      string
	Database string
	// Shadow, if not "", is the collection of records of a shadow, which is next to the live database. Its
	// other collections have names that begin with it.
	Shadow string
	// MaxBatch bounds the entries of one commit, see [store.NewQueue].
	MaxBatch int
	// Secondary lets scans of whole collections read from a secondary.
	Secondary bool
	// OnOverlap may be nil, see [store.Committer].
	OnOverlap func()
	// OnUser may be nil, see [store.Committer].
	OnUser func(source events.IdentitySource)
	Now    func() time.Time
	Log    *slog.Logger
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
	namespace
	events, identities, subscriptions, turns, catalog, entitlements, access, views *mongo.Collection
	// scanned is where scans of a whole collection read.
	scanned struct{ events, subscriptions *mongo.Collection }
	server  *server
	names   directories
	recent  *recentHeads // none unless the server says that it is the embedded database
	now     func() time.Time
}

// Open returns a store at once, whether or not the database can be reached. It fails
// with a [URIError] if the URI can never work, and for [fault.DatabaseDNS] if the name
// in a mongodb+srv URI does not resolve at present.
func Open(cfg Config) (*Store, error) { return open(cfg, options.Client()) }

func open(cfg Config, opts *options.ClientOptions) (*Store, error) {
	client, err := connect(cfg.URI, opts)
	if err != nil {
		return nil, err
	}
	db := newDatabase(namespace{client.Database(cfg.Database, strict()), cfg.Shadow}, cfg)
	committer := store.NewCommitter(db, cfg.Now)
	committer.OnOverlap, committer.OnUser = cfg.OnOverlap, cfg.OnUser
	queue := store.NewSpreadQueue(committer, cfg.MaxBatch, store.Spread{Lanes: lanes, Allowed: db.server.saidMongoDB})
	return &Store{Queue: queue, database: db, log: cfg.Log, client: client}, nil
}

func newDatabase(collections namespace, cfg Config) database {
	db := database{
		namespace: collections,
		events:    collections.Collection(WebhookEvents), identities: collections.Collection(Identities),
		subscriptions: collections.Collection(Subscriptions), turns: collections.Collection(Retention),
		catalog: collections.Collection(Catalog), entitlements: collections.Collection(Entitlements),
		access: collections.Collection(Access), views: collections.Collection(StateView),
		server: &server{database: collections.database}, names: directories{newDirectory(cfg.Now), newDirectory(cfg.Now)}, recent: newRecentHeads(cfg.Now), now: cfg.Now,
	}
	from := readpref.Primary()
	if cfg.Secondary {
		from = readpref.SecondaryPreferred()
	}
	db.scanned.events = db.events.Clone(options.Collection().SetReadPreference(from))
	db.scanned.subscriptions = db.subscriptions.Clone(options.Collection().SetReadPreference(from))
	return db
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
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return explain("connecting to MongoDB", s.client.Ping(ctx, nil))
}

// Check implements [store.Store].
func (s *Store) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := s.client.Ping(ctx, readpref.Primary()); err != nil {
		return errors.New(diagnose(err).text)
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
			if err := bson.Unmarshal(cursor.Current, &doc); err != nil {
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

// eachOf yields the documents that a query finds with one filter after the other.
func eachOf[T any](ctx context.Context, filters []bson.D, q query) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, q.filter = range filters {
			for doc, err := range each[T](ctx, q) {
				if !yield(doc, err) || err != nil {
					return
				}
			}
		}
	}
}

// converted yields what a query finds, in the types of package store.
func converted[Document, T any](ctx context.Context, q query, to func(Document) T) iter.Seq2[T, error] {
	return convert(each[Document](ctx, q), to)
}

func convert[Document, T any](documents iter.Seq2[Document, error], to func(Document) T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for doc, err := range documents {
			var value T
			if err == nil {
				value = to(doc)
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
