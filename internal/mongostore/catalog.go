package mongostore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/store"
)

// maxUnswept bounds how many documents with a sweep that is not finished are read at once.
const maxUnswept = 100

// listingDocument is one document of the catalog. A record is brought up to its version;
// its revision only guards it.
type listingDocument struct {
	Key        string     `bson:"_id"`
	Revision   int64      `bson:"revision"`
	Kind       store.Kind `bson:"kind"`
	ID         string     `bson:"id"`
	Name       string     `bson:"name,omitempty"`
	Nickname   string     `bson:"nickname,omitempty"`
	LookupKey  string     `bson:"lookup_key,omitempty"`
	ProductID  string     `bson:"product_id,omitempty"`
	Active     *bool      `bson:"active,omitempty"`
	Deleted    bool       `bson:"deleted"`
	EventID    string     `bson:"event_id"`
	Created    time.Time  `bson:"created"`
	APIVersion string     `bson:"api_version,omitempty"`
	Normalizer int        `bson:"normalizer,omitempty"`
	RereadAt   time.Time  `bson:"reread_at,omitempty"`
	Version    int64      `bson:"version"`
	Sweep      sweep      `bson:"sweep"`
}

type sweep struct {
	Unfinished bool      `bson:"unfinished"`
	Reached    string    `bson:"reached,omitempty"`
	Holder     string    `bson:"holder,omitempty"`
	Until      time.Time `bson:"until,omitempty"`
}

func (d listingDocument) listing() store.Listing {
	l := store.Listing{
		Key: d.Key, Revision: d.Revision, Kind: d.Kind, ID: d.ID, Name: d.Name, Nickname: d.Nickname, LookupKey: d.LookupKey,
		ProductID: d.ProductID, Active: d.Active, Deleted: d.Deleted, EventID: d.EventID, Created: d.Created.UTC(),
		APIVersion: d.APIVersion, Normalizer: d.Normalizer, RereadAt: d.RereadAt.UTC(), Version: d.Version, Sweep: store.Sweep(d.Sweep),
	}
	l.Sweep.Until = l.Sweep.Until.UTC()
	return l
}

// Listings implements [store.Listings].
func (db database) Listings(ctx context.Context, keys []string) (map[string]store.Listing, error) {
	found := make(map[string]store.Listing, len(keys))
	for _, filter := range db.withKeys(ctx, keys) {
		for doc, err := range each[listingDocument](ctx, query{db.catalog, filter, options.Find(), "reading the catalog"}) {
			if err != nil {
				return nil, err
			}
			found[doc.Key] = doc.listing()
		}
	}
	return found, nil
}

// PutListing implements [store.Catalog].
func (db database) PutListing(ctx context.Context, l store.Listing) error {
	doc, err := marshal(listingDocument{
		Key: l.Key, Revision: l.Revision, Kind: l.Kind, ID: l.ID, Name: l.Name, Nickname: l.Nickname, LookupKey: l.LookupKey,
		ProductID: l.ProductID, Active: l.Active, Deleted: l.Deleted, EventID: l.EventID, Created: l.Created,
		APIVersion: l.APIVersion, Normalizer: l.Normalizer, RereadAt: l.RereadAt, Version: l.Version, Sweep: sweep(l.Sweep),
	})
	if err != nil {
		return err
	}
	return db.replaceRevision(ctx, db.catalog, revision{key: l.Key, field: "revision", n: l.Revision - 1}, doc, "writing to the catalog")
}

// Unswept implements [store.Catalog].
func (db database) Unswept(ctx context.Context) ([]store.Listing, error) {
	q := query{db.catalog, bson.D{equal("sweep.unfinished", true)}, options.Find().SetSort(fields("_id")).SetLimit(maxUnswept), "reading the catalog"}
	var unswept []store.Listing
	for l, err := range converted(ctx, q, listingDocument.listing) {
		if err != nil {
			return nil, err
		}
		unswept = append(unswept, l)
	}
	return unswept, nil
}

// Referring implements [store.Catalog]. A key ends with an id behind a colon, so those of
// one scope come before the scope with the next character.
func (db database) Referring(ctx context.Context, l store.Listing, after string, most int) ([]string, error) {
	field, scope := "items.price_id", l.Scope()
	if l.Kind == store.Product {
		field = "items.product_id"
	}
	filter := bson.D{equal(field, l.ID), equal("_id", bson.D{equal("$gt", cmp.Or(after, scope)), equal("$lt", scope[:len(scope)-1]+";")})}
	opts := options.Find().SetSort(fields("_id")).SetLimit(int64(most)).SetProjection(fields("_id"))
	var keys []string
	for doc, err := range each[headDocument](ctx, query{db.subscriptions, filter, opts, "reading records"}) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, doc.Key)
	}
	return keys, nil
}

// listed is the version of a product or price that the names in a record are from.
type listed struct {
	Key     string `bson:"key"`
	Version int64  `bson:"version"`
}

func listedOf(versions map[string]int64) *[]listed {
	if versions == nil {
		return nil
	}
	list := make([]listed, 0, len(versions))
	for _, key := range slices.Sorted(maps.Keys(versions)) {
		list = append(list, listed{key, versions[key]})
	}
	return &list
}

func versionsOf(list *[]listed) map[string]int64 {
	if list == nil {
		return nil
	}
	versions := make(map[string]int64, len(*list))
	for _, l := range *list {
		versions[l.Key] = l.Version
	}
	return versions
}
