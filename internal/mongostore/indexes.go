package mongostore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const (
	indexRetry = time.Second
	// listTimeout bounds commands on indexes that take no time. Building has no
	// deadline: the server would abort it, and the next attempt would start at the beginning.
	listTimeout = 20 * time.Second
)

// index is an index that queries need.
type index struct {
	name string
	keys bson.D
}

// indexes returns the indexes of a collection. An event has a subscription_key if it
// shows the state of a subscription, and a subscription_id if it only belongs to one,
// as an invoice does.
func indexes(collection string) []index {
	switch collection {
	case Subscriptions:
		return []index{
			{"user_access", fields("user_id", "access")},
			{"customer", fields("customer_id")},
			{"customer_account", fields("customer_account_id")},
			{"status_period_end", fields("status", "current_period_end")},
			{"price", fields("items.price_id", "_id")},
			{"product", fields("items.product_id", "_id")},
		}
	case Catalog:
		return []index{{"unswept", fields("sweep.unfinished", "_id")}}
	case Identities:
		return []index{
			{"customer", fields("customer_id")},
			{"customer_account", fields("customer_account_id")},
			{"subscription", fields("subscription_id")},
			{"user", fields("user_id")},
		}
	}
	return []index{
		{"subscription_created", fields("subscription_key", "created")},
		{"subscription_id_created", fields("subscription_id", "created")},
		{"customer_created", fields("customer_id", "created")},
		{"customer_account_created", fields("customer_account_id", "created")},
		{"named_created", fields("named_ids", "created")},
		{"related_created", fields("related_ids", "created")},
		{"type_created", fields("type", "created")},
		{"created", fields("created")},
		{"event", fields("event_id")},
		{"ignored_created", fields("ignored", "created")},
	}
}

// Provision implements [store.Store]. The store is ready once it has succeeded.
func (s *Store) Provision(ctx context.Context, create bool) {
	ensure := s.awaitIndexes
	if create {
		ensure = s.createIndexes
	}
	var logged string
	for {
		err := errors.Join(ensure(ctx, Subscriptions), ensure(ctx, WebhookEvents), ensure(ctx, Catalog), ensure(ctx, Identities))
		if err == nil {
			s.indexed.Store(true)
			return
		}
		if text := err.Error(); text != logged && ctx.Err() == nil {
			logged = text
			s.log.Warn("indexes are not ready; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(indexRetry):
		}
	}
}

// createIndexes returns nil once all indexes of a collection can be used. Only the
// server's answer says that: the list of indexes has those that are being built, too.
func (s *Store) createIndexes(ctx context.Context, collection string) error {
	view := s.Collection(collection).Indexes()
	have, err := listIndexes(ctx, view)
	if err != nil {
		return err
	}
	again, err := s.server.ask(ctx)
	if err != nil {
		return fmt.Errorf("creating indexes of %s: %s", collection, diagnose(err).text)
	}
	missing, models := have.models(indexes(collection), again)
	if len(models) == 0 {
		return nil
	}
	if missing > 0 {
		s.log.Info("creating indexes", "collection", collection, "count", missing)
	}
	if _, err := view.CreateMany(ctx, models); err != nil {
		return fmt.Errorf("creating indexes of %s: %s", collection, diagnose(err).text)
	}
	if missing > 0 {
		s.log.Info("created indexes", "collection", collection, "count", missing)
	}
	return nil
}

// models returns the indexes to create, and how many of them are missing. The list is also
// sent to MongoDB for those that exist, which does nothing, or waits until they are built.
// FerretDB ends the connection if it has to create an index again.
func (list listedIndexes) models(wanted []index, again bool) (missing int, models []mongo.IndexModel) {
	for _, want := range wanted {
		name, found := list.find(want)
		if !found {
			missing++
		}
		if !found || again {
			models = append(models, mongo.IndexModel{Keys: want.keys, Options: options.Index().SetName(name)})
		}
	}
	return missing, models
}

// awaitIndexes returns nil if all indexes of a collection can be used. A server refuses
// an index as a hint while it is being built.
func (s *Store) awaitIndexes(ctx context.Context, name string) error {
	collection := s.Collection(name)
	have, err := listIndexes(ctx, collection.Indexes())
	if err != nil {
		return err
	}
	missing := 0
	for _, want := range indexes(name) {
		found, ok := have.find(want)
		if !ok {
			missing++
			continue
		}
		if err := usable(ctx, collection, found); err != nil {
			return fmt.Errorf("the index %s of %s cannot be used yet: %s", found, name, diagnose(err).text)
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d indexes of %s are missing: start one subscriber with PROVISION=create", missing, name)
	}
	return nil
}

func usable(ctx context.Context, collection *mongo.Collection, index string) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	opts := options.FindOne().SetHint(index).SetProjection(fields("_id"))
	if err := collection.FindOne(ctx, bson.D{}, opts).Err(); !errors.Is(err, mongo.ErrNoDocuments) {
		return err
	}
	return nil
}

// listedIndex is an index as a server lists it.
type listedIndex struct {
	Name    string   `bson:"name"`
	Keys    bson.Raw `bson:"key"`
	Sparse  bool     `bson:"sparse"`
	Partial bson.Raw `bson:"partialFilterExpression"`
	// Collation is missing if strings are compared byte by byte.
	Collation bson.Raw `bson:"collation"`
}

type listedIndexes []listedIndex

// listIndexes returns the indexes of a collection, including those that are being built.
// There are none if the collection does not exist.
func listIndexes(ctx context.Context, view mongo.IndexView) (listedIndexes, error) {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	var list listedIndexes
	cursor, err := view.List(ctx)
	if err == nil {
		err = cursor.All(ctx, &list)
	}
	if err != nil && !isNamespaceNotFound(err) {
		return nil, fmt.Errorf("listing indexes: %s", diagnose(err).text)
	}
	return list, nil
}

// find returns the name of the index that serves the same queries, also if an operator created it.
// If there is none, it returns a name that is free.
func (list listedIndexes) find(want index) (name string, found bool) {
	for _, have := range list {
		if have.serves(want) {
			return have.Name, true
		}
	}
	name = want.name
	for slices.ContainsFunc(list, func(have listedIndex) bool { return have.Name == name }) {
		name = "billbus_" + name
	}
	return name, false
}

func (have listedIndex) serves(want index) bool {
	keys, err := have.Keys.Elements()
	return err == nil && !have.Sparse && have.Partial == nil && have.Collation == nil &&
		slices.EqualFunc(keys, want.keys, func(key bson.RawElement, field bson.E) bool {
			order, ok := key.Value().AsFloat64OK() // the shell writes 1 as a double
			return ok && order == 1 && key.Key() == field.Key
		})
}
