package mongostore

import (
	"bytes"
	"context"
	"errors"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// fromSubscriptionMetadata is the user_id_source of a user id that the subscription's
// own metadata name.
const fromSubscriptionMetadata = "subscription_metadata"

// headDocument is the part of a record that a decision needs.
type headDocument struct {
	Key         string    `bson:"_id"`
	FirstSeenAt time.Time `bson:"first_seen_at"`
	UpdatedAt   time.Time `bson:"updated_at"`
	Version     version   `bson:"version"`
}

// version says which event holds the state of a record, and keeps what the ordering
// rule needs of the events that can still matter.
type version struct {
	EventID      string    `bson:"event_id"`
	EventType    string    `bson:"event_type"`
	EventCreated time.Time `bson:"event_created"`
	Terminal     bool      `bson:"terminal"`
	// N is the revision.
	N    int64 `bson:"n"`
	Rule int   `bson:"rule"`
	// Reread is true if another reading of an event took the place of the stored one.
	Reread bool        `bson:"reread,omitempty"`
	Known  []knownFact `bson:"known"`
}

type knownFact struct {
	EventID    string    `bson:"event_id"`
	Type       string    `bson:"type"`
	APIVersion string    `bson:"api_version,omitempty"`
	Moment     time.Time `bson:"moment"`
	Terminal   bool      `bson:"terminal"`
	Request    string    `bson:"request,omitempty"`
	First      bool      `bson:"first,omitempty"`
	Because    string    `bson:"because,omitempty"`
	Truncated  bool      `bson:"items_truncated,omitempty"`
	Before     digest    `bson:"before,omitempty"`
	After      digest    `bson:"after"`
}

type digest struct {
	Full   string `bson:"full"`
	Core   string `bson:"core"`
	Fields string `bson:"fields,omitempty"`
}

// Heads implements [store.Records].
func (db database) Heads(ctx context.Context, keys []string) (map[string]store.Head, error) {
	found := make(map[string]store.Head, len(keys))
	opts := options.Find().SetProjection(fields("_id", "first_seen_at", "updated_at", "version"))
	if len(keys) > batchSize && db.server.isMongoDB(ctx) {
		opts.SetBatchSize(largeBatch)
	}
	for doc, err := range each[headDocument](ctx, query{db.subscriptions, bson.D{anyOf("_id", keys)}, opts, "reading records"}) {
		if err != nil {
			return nil, err
		}
		found[doc.Key] = doc.head()
	}
	return found, nil
}

func (d headDocument) head() store.Head {
	facts := make([]ordering.Fact, len(d.Version.Known))
	for i, k := range d.Version.Known {
		facts[i] = k.fact()
	}
	return store.Head{
		Key: d.Key, FirstSeenAt: d.FirstSeenAt, UpdatedAt: d.UpdatedAt,
		Revision: d.Version.N, Rule: d.Version.Rule, Reread: d.Version.Reread, Known: facts,
	}
}

func (k knownFact) fact() ordering.Fact {
	return ordering.Fact{
		EventID: k.EventID, Type: k.Type, APIVersion: k.APIVersion, Moment: k.Moment.UTC(), Terminal: k.Terminal,
		Request: k.Request, First: k.First, Because: k.Because, ItemsTruncated: k.Truncated, Before: ordering.Digest(k.Before), After: ordering.Digest(k.After),
	}
}

// maxCommands bounds how many commands of one batch run at the same time.
const maxCommands = 8

// Replace implements [store.Records] by a command for each record. With one command
// for all, the embedded database stops at the first failure without mentioning the
// others, and with many documents it never answers. MongoDB may replace several
// records at the same time, since no two have one key.
func (db database) Replace(ctx context.Context, records []store.Record) []error {
	// Before anything is written, and in this goroutine: a panic must not end the
	// process, nor leave commands behind.
	failures, replacements := make([]error, len(records)), make([]bson.Raw, len(records))
	for i, record := range records {
		replacements[i], failures[i] = encodeRecord(record)
	}
	var group errgroup.Group
	group.SetLimit(1)
	if len(records) > 1 && db.server.isMongoDB(ctx) {
		group.SetLimit(maxCommands)
	}
	for i, record := range records {
		if failures[i] != nil {
			continue
		}
		group.Go(func() error {
			failures[i] = db.replaceRevision(ctx, record, replacements[i])
			return nil
		})
	}
	_ = group.Wait() // no function fails
	return failures
}

// replaceRevision replaces the previous revision of a record. If the database has
// another one, the upsert collides with it, which is a duplicate key.
func (db database) replaceRevision(ctx context.Context, record store.Record, replacement bson.Raw) error {
	filter := bson.D{equal("_id", record.Key), equal("version.n", record.Revision-1)}
	return db.replace(ctx, filter, replacement)
}

// Mark implements [store.Records].
func (db database) Mark(ctx context.Context, head store.Head) error {
	filter := bson.D{equal("_id", head.Key), equal("version.n", head.Revision)}
	update := bson.D{{Key: "$set", Value: bson.D{equal("version.n", head.Revision+1), equal("version.reread", true)}}}
	res, err := db.subscriptions.UpdateOne(ctx, filter, update)
	if err == nil && res.MatchedCount == 0 {
		return store.ErrExists
	}
	return explain("marking record", single(err))
}

// replace replaces what the filter finds, or inserts.
func (db database) replace(ctx context.Context, filter bson.D, replacement bson.Raw) error {
	res, err := db.subscriptions.ReplaceOne(ctx, filter, replacement, options.Replace().SetUpsert(true))
	return written("replacing record", single(replaced(res, err)))
}

// replaced returns an error for a success that wrote nothing. MongoDB never answers
// that way, but if a compatible server did, the message would be acknowledged.
func replaced(res *mongo.UpdateResult, err error) error {
	if err == nil && res.MatchedCount+res.UpsertedCount != 1 {
		return errors.New("neither replaced nor inserted")
	}
	return err
}

// encodeRecord encodes the whole document: a field that a later event withdrew must
// not remain from an earlier one.
func encodeRecord(r store.Record) (bson.Raw, error) {
	sub := *r.Winner.Data.Subscription
	doc := bson.D{equal("_id", r.Key)}
	doc = append(doc, subscriptionFields(sub)...)
	if sub.UserID != "" {
		doc = append(doc, equal("user_id_source", fromSubscriptionMetadata))
	}
	return marshal(append(doc,
		equal("version", versionOf(r)),
		equal("ordering", string(r.Ordering)),
		equal("explanation", r.Explanation),
		equal("first_seen_at", r.FirstSeenAt),
		equal("updated_at", r.UpdatedAt),
	))
}

func versionOf(r store.Record) version {
	known := make([]knownFact, len(r.Known))
	for i, f := range r.Known {
		known[i] = knownFact{
			EventID: f.EventID, Type: f.Type, APIVersion: f.APIVersion, Moment: f.Moment, Terminal: f.Terminal,
			Request: f.Request, First: f.First, Because: f.Because, Truncated: f.ItemsTruncated, Before: digest(f.Before), After: digest(f.After),
		}
	}
	return version{
		EventID: r.Winner.ID, EventType: typeOf(r.Winner), EventCreated: r.Winner.Time,
		Terminal: r.Terminal, N: r.Revision, Rule: r.Rule, Reread: r.Reread, Known: known,
	}
}

// stateDocument is the part of a record that says something about its subscription.
type stateDocument struct {
	events.Subscription `bson:",inline"`
	SubscriptionID      string             `bson:"subscription_id"`
	Ordering            ordering.Certainty `bson:"ordering"`
	Explanation         string             `bson:"explanation"`
	Version             struct {
		EventID  string `bson:"event_id"`
		Terminal bool   `bson:"terminal"`
	} `bson:"version"`
}

// State implements [store.States].
func (db database) State(ctx context.Context, key string) (store.State, bool, error) {
	raw, err := db.record(ctx, key)
	if raw == nil || err != nil {
		return store.State{}, false, err
	}
	var doc stateDocument
	decoder := bson.NewDecoder(bson.NewDocumentReader(bytes.NewReader(raw)))
	decoder.UseJSONStructTags()
	decoder.SetRegistry(withPairs())
	if err := decoder.Decode(&doc); err != nil {
		return store.State{}, false, explain("reading record", err)
	}
	doc.ID = doc.SubscriptionID
	return store.State{
		Subscription: doc.Subscription, EventID: doc.Version.EventID, Terminal: doc.Version.Terminal,
		Ordering: doc.Ordering, Explanation: doc.Explanation,
	}, true, nil
}

// record returns the document of a subscription; nil if there is none.
func (db database) record(ctx context.Context, key string) (bson.Raw, error) {
	raw, err := db.subscriptions.FindOne(ctx, bson.D{equal("_id", key)}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, nil
	}
	return raw, explain("reading record", err)
}
