package mongostore

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"reflect"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
)

// RecordsOf implements [store.View]. The scopes are not part of the query, which must use the
// indexes of the names.
func (db database) RecordsOf(ctx context.Context, owners []store.AccessOwner) (map[store.AccessOwner][]string, error) {
	var customers, users []string
	keys := make(map[store.AccessOwner][]string, len(owners))
	for _, o := range owners {
		customers, users, keys[o] = append(customers, o.Customer), append(users, o.User), nil
	}
	customers, users = distinct(customers), distinct(users)
	filter := bson.D{equal("$or", bson.A{
		bson.D{anyOf("customer_id", customers)}, bson.D{anyOf("customer_account_id", customers)}, bson.D{anyOf("user_id", users)},
	})}
	filters, err := db.withNames(ctx, db.names.records, db.subscriptions, filter, slices.Concat(customers, users))
	if err != nil {
		return nil, err
	}
	opts := options.Find().SetProjection(fields("_id", "customer_id", "customer_account_id", "user_id"))
	for doc, err := range eachOf[headDocument](ctx, filters, query{from: db.subscriptions, opts: opts, doing: "listing records"}) {
		if err != nil {
			return nil, err
		}
		for _, o := range doc.accessOwners() {
			if of, ok := keys[o]; ok {
				keys[o] = append(of, doc.Key)
			}
		}
	}
	return keys, nil
}

// accessOwners returns everyone to whom a record belongs.
func (d headDocument) accessOwners() []store.AccessOwner {
	scope := d.Key[:strings.LastIndexByte(d.Key, ':')+1]
	return []store.AccessOwner{
		{Scope: scope, Customer: d.Owner.CustomerID}, {Scope: scope, Customer: d.Owner.CustomerAccountID}, {Scope: scope, User: d.User.UserID},
	}
}

// RecordKeys implements [store.View].
func (db database) RecordKeys(ctx context.Context) iter.Seq2[string, error] {
	return keysIn(ctx, db.subscriptions, bson.D{}, "listing records")
}

// EntitlementKeys implements [store.View].
func (db database) EntitlementKeys(ctx context.Context) iter.Seq2[string, error] {
	return keysIn(ctx, db.entitlements, bson.D{}, "listing entitlements")
}

func keysIn(ctx context.Context, from *mongo.Collection, filter bson.D, doing string) iter.Seq2[string, error] {
	type document struct {
		Key string `bson:"_id"`
	}
	find := query{from, filter, options.Find().SetProjection(fields("_id")), doing}
	return converted(ctx, find, func(doc document) string { return doc.Key })
}

// completed is the id of the only document in the collection.
const completed = "completed"

// Completed implements [store.View].
func (db database) Completed(ctx context.Context) (string, error) {
	var doc struct {
		Bucket string `bson:"bucket"`
	}
	err := db.views.FindOne(ctx, bson.D{equal("_id", completed)}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return "", nil
	}
	return doc.Bucket, explain("reading the progress of the state view", err)
}

// SetCompleted implements [store.View].
func (db database) SetCompleted(ctx context.Context, bucket string) error {
	replacement, err := marshal(bson.D{equal("_id", completed), equal("bucket", bucket)})
	if err != nil {
		return err
	}
	return replaceIn(ctx, db.views, bson.D{equal("_id", completed)}, replacement, "writing the progress of the state view")
}

// Access implements [store.View].
func (db database) Access(ctx context.Context, key string) (doc events.AccessDocument, found bool, err error) {
	raw, err := db.access.FindOne(ctx, bson.D{equal("_id", key)}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return doc, false, nil
	}
	if err == nil {
		decoder := bson.NewDecoder(bson.NewDocumentReader(bytes.NewReader(raw)))
		decoder.UseJSONStructTags()
		err = decoder.Decode(&doc)
	}
	return doc, err == nil, explain("reading access document", err)
}

// ReplaceAccess implements [store.View].
func (db database) ReplaceAccess(ctx context.Context, key string, doc events.AccessDocument) error {
	replacement, err := marshal(append(bson.D{equal("_id", key)}, document(reflect.ValueOf(doc))...))
	if err != nil {
		return err
	}
	if doc.Revision == 1 {
		_, err := db.access.InsertOne(ctx, replacement)
		return written("inserting access document", single(err))
	}
	before := revision{key: key, field: "revision", n: doc.Revision - 1, orEarlier: true}
	return db.replaceRevision(ctx, db.access, before, replacement, "replacing access document")
}
