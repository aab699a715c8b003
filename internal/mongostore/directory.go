package mongostore

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/store"
)

// directory finds out which documents of a collection can have a name in them: the id of a
// subscription, customer or user. It is for the embedded database, which would read the
// whole collection for that. MongoDB has indexes.
//
// The embedded database has one writer, which notes what it writes. Another process may only
// write while this one is idle: so what was not used for a while is read again. What another
// one writes meanwhile is missed, however long ago, until then.
type directory struct {
	now  func() time.Time
	mu   sync.Mutex
	used time.Time // the zero time if the collection was not read yet
	// keys are the documents with a name in them, or that had it once.
	keys map[string]map[string]bool
	all  map[string]bool
}

// directoryIdle is how long a directory can be trusted that is not used.
const directoryIdle = time.Second

// scanFactor says how many documents can be read in the time that finding one by its key
// takes.
const scanFactor = 4

func newDirectory(now func() time.Time) *directory {
	return &directory{now: now, keys: map[string]map[string]bool{}, all: map[string]bool{}}
}

// note is to be called before a document is written.
func (d *directory) note(key string, names ...string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.idle() {
		d.used = d.now()
	}
	d.add(key, names)
}

func (d *directory) idle() bool { return d.now().Sub(d.used) >= directoryIdle }

func (d *directory) add(key string, names []string) {
	d.all[key] = true
	for _, name := range names {
		if name == "" {
			continue
		}
		if d.keys[name] == nil {
			d.keys[name] = map[string]bool{}
		}
		d.keys[name][key] = true
	}
}

// find returns the keys of the documents that can have one of the names. It reports false if
// reading the whole collection is quicker.
func (d *directory) find(ctx context.Context, in *mongo.Collection, names []string) (keys []string, ok bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.idle() {
		if err := d.read(ctx, in); err != nil {
			return nil, false, err
		}
	}
	if ctx.Err() != nil {
		return nil, false, explain("looking up names", ctx.Err())
	}
	d.used = d.now()
	found := map[string]bool{}
	for _, name := range names {
		maps.Copy(found, d.keys[name])
	}
	return slices.Sorted(maps.Keys(found)), len(found)*scanFactor <= len(d.all), nil
}

// isFewerThan reports whether there are fewer documents than n; false if that is not known.
func (d *directory) isFewerThan(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.idle() && len(d.all) < n
}

// read also keeps what was noted: it may not have been written yet.
func (d *directory) read(ctx context.Context, in *mongo.Collection) error {
	type document struct {
		Key   string        `bson:"_id"`
		Owner ownerDocument `bson:",inline"`
		User  string        `bson:"user_id"`
	}
	opts := options.Find().SetProjection(fields("_id", "subscription_id", "customer_id", "customer_account_id", "user_id"))
	for doc, err := range each[document](ctx, query{in, bson.D{}, opts, "listing who is in " + in.Name()}) {
		if err != nil {
			return err
		}
		d.add(doc.Key, []string{doc.Owner.SubscriptionID, doc.Owner.CustomerID, doc.Owner.CustomerAccountID, doc.User})
	}
	return nil
}

// directories are those of the collections that are searched while events are stored.
type directories struct{ records, identities *directory }

// noteRecord is to be called before a record is written.
func (db database) noteRecord(r store.Record) {
	db.recent.forget(r.Key)
	db.note(db.names.records, r.Key, r.Owner.CustomerID, r.Owner.CustomerAccountID, r.User.ID)
}

// noteIdentity is to be called before an identity is written.
func (db database) noteIdentity(i store.Identity) {
	db.note(db.names.identities, i.Key, i.SubscriptionID, i.CustomerID, i.CustomerAccountID)
}

func (db database) note(in *directory, key string, names ...string) {
	if !db.server.saidMongoDB() {
		in.note(key, names...)
	}
}

// withNames returns filters that find the documents of the filter, which have one of the names
// in them. On the embedded database they can also find others.
func (db database) withNames(ctx context.Context, in *directory, of *mongo.Collection, filter bson.D, names []string) ([]bson.D, error) {
	if isMongoDB, err := db.server.ask(ctx); isMongoDB || err != nil {
		return []bson.D{filter}, nil // what it cannot answer now, it cannot find either
	}
	keys, ok, err := in.find(ctx, of, names)
	if !ok || err != nil {
		return []bson.D{filter}, err
	}
	return db.withKeys(ctx, keys), nil
}
