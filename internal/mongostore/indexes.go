package mongostore

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const indexRetry = time.Second

// index is an index that queries need.
type index struct {
	name string
	keys bson.D
}

// indexes returns the indexes of a collection. An event has a subscription_key if it
// shows the state of a subscription, and a subscription_id if it only belongs to one,
// as an invoice does.
func indexes(collection string) []index {
	if collection == Subscriptions {
		return []index{
			{"user_access", fields("user_id", "access")},
			{"customer", fields("customer_id")},
			{"status_period_end", fields("status", "current_period_end")},
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
	}
}

// Provision implements [store.Store]. The store is ready once it has succeeded.
func (s *Store) Provision(ctx context.Context, create bool) {
	var logged string
	for {
		err := s.ensureIndexes(ctx, create)
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

func (s *Store) ensureIndexes(ctx context.Context, create bool) error {
	ctx, cancel := context.WithTimeout(ctx, indexTimeout)
	defer cancel()
	for _, name := range []string{Subscriptions, WebhookEvents} {
		if err := s.ensureCollection(ctx, name, create); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) ensureCollection(ctx context.Context, name string, create bool) error {
	view := s.subscriptions.Database().Collection(name).Indexes()
	have, err := indexNames(ctx, view)
	if err != nil {
		return err
	}
	var models []mongo.IndexModel
	for _, index := range indexes(name) {
		if !have[index.name] {
			models = append(models, mongo.IndexModel{Keys: index.keys, Options: options.Index().SetName(index.name)})
		}
	}
	if len(models) == 0 {
		return nil
	}
	if !create {
		return fmt.Errorf("%d indexes of %s are missing: start one subscriber with PROVISION=create", len(models), name)
	}
	if _, err := view.CreateMany(ctx, models); err != nil {
		return fmt.Errorf("creating indexes of %s: %w", name, describe(err))
	}
	s.log.Info("created indexes", "collection", name, "count", len(models))
	return nil
}

// indexNames returns the names of the indexes that exist. There are none if the
// collection does not exist.
func indexNames(ctx context.Context, view mongo.IndexView) (map[string]bool, error) {
	specs, err := view.ListSpecifications(ctx)
	if err != nil && !isNamespaceNotFound(err) {
		return nil, fmt.Errorf("listing indexes: %w", describe(err))
	}
	names := make(map[string]bool, len(specs))
	for _, spec := range specs {
		names[spec.Name] = true
	}
	return names, nil
}
