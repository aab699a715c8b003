package mongostore

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// headDocument is the part of a record that a decision needs.
type headDocument struct {
	Key         string        `bson:"_id"`
	Owner       ownerDocument `bson:",inline"`
	User        userDocument  `bson:",inline"`
	FirstSeenAt time.Time     `bson:"first_seen_at"`
	UpdatedAt   time.Time     `bson:"updated_at"`
	Version     version       `bson:"version"`
}

// ownerDocument is what a subscription itself says about whose it is.
type ownerDocument struct {
	SubscriptionID    string `bson:"subscription_id"`
	CustomerID        string `bson:"customer_id"`
	CustomerAccountID string `bson:"customer_account_id"`
}

func (d ownerDocument) owner() store.Owner {
	return store.Owner{SubscriptionID: d.SubscriptionID, CustomerID: d.CustomerID, CustomerAccountID: d.CustomerAccountID}
}

// userDocument is the user of a record. Absent fields are zero.
type userDocument struct {
	UserID   string                `bson:"user_id"`
	Source   events.IdentitySource `bson:"user_id_source"`
	Conflict bool                  `bson:"user_id_conflict"`
}

func (d userDocument) user() ordering.User {
	return ordering.User{ID: d.UserID, Source: d.Source, Conflict: d.Conflict}
}

// headFields are the fields of a headDocument.
var headFields = fields("_id", "subscription_id", "customer_id", "customer_account_id",
	"user_id", "user_id_source", "user_id_conflict", "first_seen_at", "updated_at", "version")

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
	Reread bool `bson:"reread,omitempty"`
	// Catalog is missing if the versions are not known.
	Catalog *[]listed   `bson:"catalog,omitempty"`
	Known   []knownFact `bson:"known"`
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
	Access     string    `bson:"access,omitempty"`
	Products   string    `bson:"products,omitempty"`
	Before     digest    `bson:"before,omitempty"`
	After      digest    `bson:"after"`
}

type digest struct {
	Full   string `bson:"full"`
	Core   string `bson:"core"`
	Fields string `bson:"fields,omitempty"`
}

// Recent implements [store.Records].
func (db database) Recent(keys []string) map[string]store.Head { return db.recent.get(keys) }

// Heads implements [store.Records].
func (db database) Heads(ctx context.Context, keys []string) (map[string]store.Head, error) {
	found := make(map[string]store.Head, len(keys))
	opts := options.Find().SetProjection(headFields)
	if len(keys) > batchSize && db.server.isMongoDB(ctx) {
		opts.SetBatchSize(largeBatch)
	}
	filters := db.withKeys(ctx, keys)
	if len(keys) > 1 && db.names.records.isFewerThan(len(keys)*scanFactor) {
		filters = []bson.D{{anyOf("_id", keys)}}
	}
	for doc, err := range eachOf[headDocument](ctx, filters, query{from: db.subscriptions, opts: opts, doing: "reading records"}) {
		if err != nil {
			return nil, err
		}
		found[doc.Key] = doc.head()
	}
	return found, nil
}

// withKeys returns filters that find the documents with some keys. The embedded database
// reads every document for a filter that is not a single key.
func (db database) withKeys(ctx context.Context, keys []string) []bson.D {
	if len(keys) > 1 && db.server.isMongoDB(ctx) {
		return []bson.D{{anyOf("_id", keys)}}
	}
	filters := make([]bson.D, len(keys))
	for i, key := range keys {
		filters[i] = bson.D{equal("_id", key)}
	}
	return filters
}

func (d headDocument) head() store.Head {
	facts := make([]ordering.Fact, len(d.Version.Known))
	for i, k := range d.Version.Known {
		facts[i] = k.fact()
	}
	owner := d.Owner.owner()
	if d.User.Source == events.IdentitySubscriptionMetadata {
		owner.UserID = d.User.UserID // they rank before all other sources
	}
	return store.Head{
		Key: d.Key, Owner: owner, User: d.User.user(), FirstSeenAt: d.FirstSeenAt, UpdatedAt: d.UpdatedAt,
		Revision: d.Version.N, Rule: d.Version.Rule, Reread: d.Version.Reread, Known: facts,
		Listings: versionsOf(d.Version.Catalog),
	}
}

func (k knownFact) fact() ordering.Fact {
	return ordering.Fact{
		EventID: k.EventID, Type: k.Type, APIVersion: k.APIVersion, Moment: k.Moment.UTC(), Terminal: k.Terminal,
		Request: k.Request, First: k.First, Because: k.Because, ItemsTruncated: k.Truncated,
		Access: k.Access, Products: k.Products, Before: ordering.Digest(k.Before), After: ordering.Digest(k.After),
	}
}

// maxCommands bounds how many commands of one batch run at the same time.
const maxCommands = 8

// Replace implements [store.Records]. New records are inserted by one command. The others
// are replaced by one, too, on MongoDB. The embedded database would stop at the first failure
// without mentioning the others, and with many documents it would never answer.
func (db database) Replace(ctx context.Context, records []store.Record) []error {
	// Before anything is written, and in this goroutine: a panic must not end the
	// process, nor leave commands behind.
	failures := make([]error, len(records))
	var inserts, replacements writes
	for i, record := range records {
		doc, err := encodeRecord(record)
		db.noteRecord(record)
		switch {
		case err != nil:
			failures[i] = err
		case record.Revision == 1:
			inserts.add(i, revision{}, doc)
		default:
			replacements.add(i, stateRevision(record.Key, record.Revision-1), doc)
		}
	}
	inserts.report(failures, "inserting records", insert(ctx, db.subscriptions, inserts.docs))
	isMongoDB, err := db.server.ask(ctx)
	if isMongoDB {
		replacements.report(failures, "replacing records", replaceRevisions(ctx, db.subscriptions, replacements.replaced, replacements.docs))
		return failures
	}
	remember := func(w writes, k int) {
		if err == nil && failures[w.of[k]] == nil {
			db.recent.put(w.docs[k].(bson.Raw))
		}
	}
	for k := range inserts.of {
		remember(inserts, k)
	}
	for k, i := range replacements.of {
		failures[i] = db.replaceRevision(ctx, db.subscriptions, replacements.replaced[k], replacements.docs[k].(bson.Raw), "replacing record")
		remember(replacements, k)
	}
	return failures
}

// writes are documents to be written, and which of a list they are.
type writes struct {
	of       []int
	replaced []revision
	docs     []any
}

func (w *writes) add(i int, replaced revision, doc bson.Raw) {
	w.of, w.replaced, w.docs = append(w.of, i), append(w.replaced, replaced), append(w.docs, doc)
}

// report sets the outcomes of the documents in those of the list.
func (w *writes) report(outcomes []error, doing string, failures []error) {
	for k, i := range w.of {
		outcomes[i] = written(doing, failures[k])
	}
}

func stateRevision(key string, n int64) revision { return revision{key: key, field: "version.n", n: n} }

// SetUsers implements [store.Identities] by a command for each record.
func (db database) SetUsers(ctx context.Context, heads []store.Head) []error {
	failures := make([]error, len(heads))
	db.atOnce(ctx, len(heads), func(i int) { failures[i] = db.setUser(ctx, heads[i]) })
	return failures
}

// atOnce runs commands that write different records. MongoDB may run several at the same
// time.
func (db database) atOnce(ctx context.Context, n int, run func(i int)) {
	var group errgroup.Group
	group.SetLimit(1)
	if n > 1 && db.server.isMongoDB(ctx) {
		group.SetLimit(maxCommands)
	}
	for i := range n {
		group.Go(func() error {
			run(i)
			return nil
		})
	}
	_ = group.Wait() // no function fails
}

func (db database) setUser(ctx context.Context, head store.Head) error {
	db.note(db.names.records, head.Key, head.User.ID)
	set := bson.D{equal("version.n", head.Revision), equal("updated_at", head.UpdatedAt)}
	unset := bson.D{}
	for _, field := range userFields(head.User) {
		if reflect.ValueOf(field.Value).IsZero() {
			unset = append(unset, field)
		} else {
			set = append(set, field)
		}
	}
	change := bson.D{equal("$set", set)}
	if len(unset) > 0 {
		change = append(change, equal("$unset", unset))
	}
	return db.change(ctx, head.Key, head.Revision-1, change, "setting the user of a record")
}

func userFields(user ordering.User) bson.D {
	return bson.D{equal("user_id", user.ID), equal("user_id_source", string(user.Source)), equal("user_id_conflict", user.Conflict)}
}

// Mark implements [store.Records].
func (db database) Mark(ctx context.Context, head store.Head) error {
	set := bson.D{equal("version.n", head.Revision+1), equal("version.reread", true)}
	return db.change(ctx, head.Key, head.Revision, bson.D{equal("$set", set)}, "marking record")
}

// change changes fields of a record in one revision.
func (db database) change(ctx context.Context, key string, n int64, change bson.D, doing string) error {
	db.recent.forget(key)
	return db.changeRevision(ctx, db.subscriptions, stateRevision(key, n), change, doing)
}

// replaceIn replaces what the filter finds, or inserts.
func replaceIn(ctx context.Context, in *mongo.Collection, filter bson.D, replacement bson.Raw, doing string) error {
	res, err := in.ReplaceOne(ctx, filter, replacement, options.Replace().SetUpsert(true))
	return written(doing, single(replaced(res, err)))
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
	doc := append(bson.D{equal("_id", r.Key)}, subscriptionFields(r.State().Subscription)...)
	for _, field := range userFields(r.User)[1:] {
		if !reflect.ValueOf(field.Value).IsZero() {
			doc = append(doc, field)
		}
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
			Request: f.Request, First: f.First, Because: f.Because, Truncated: f.ItemsTruncated,
			Access: f.Access, Products: f.Products, Before: digest(f.Before), After: digest(f.After),
		}
	}
	return version{
		EventID: r.Winner.ID, EventType: typeOf(r.Winner), EventCreated: r.Winner.Time,
		Terminal: r.Terminal, N: r.Revision, Rule: r.Rule, Reread: r.Reread, Catalog: listedOf(r.Listings), Known: known,
	}
}

// stateDocument is a record.
type stateDocument struct {
	events.Subscription `bson:",inline"`
	Key                 string                `bson:"_id"`
	FirstSeenAt         time.Time             `bson:"first_seen_at"`
	UpdatedAt           time.Time             `bson:"updated_at"`
	Version             version               `bson:"version"`
	SubscriptionID      string                `bson:"subscription_id"`
	Source              events.IdentitySource `bson:"user_id_source"`
	Conflict            bool                  `bson:"user_id_conflict"`
	Ordering            ordering.Certainty    `bson:"ordering"`
	Explanation         string                `bson:"explanation"`
}

func (d stateDocument) head() store.Head {
	return headDocument{
		Key: d.Key, Owner: ownerDocument{d.SubscriptionID, d.CustomerID, d.CustomerAccountID},
		User: userDocument{d.UserID, d.Source, d.Conflict}, FirstSeenAt: d.FirstSeenAt, UpdatedAt: d.UpdatedAt, Version: d.Version,
	}.head()
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
		Head: doc.head(), Subscription: doc.Subscription,
		EventID: doc.Version.EventID, EventType: doc.Version.EventType, EventCreated: doc.Version.EventCreated,
		Terminal: doc.Version.Terminal, Ordering: doc.Ordering, Explanation: doc.Explanation,
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
