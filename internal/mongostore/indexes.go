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

// Index is one index that queries rely on.
type Index struct {
	Collection string
	Name       string
	Keys       bson.D
}

// Indexes are the indexes that queries rely on: subscriptions by user and
// access, by customer, by status and period end; audit by subscription whose
// state an event tells, by subscription it belongs to (as an invoice does), by
// customer, by type, each with time, and by time.
func Indexes() []Index {
	by := func(collection, name string, fields ...string) Index {
		keys := make(bson.D, len(fields))
		for i, field := range fields {
			keys[i] = bson.E{Key: field, Value: 1}
		}
		return Index{Collection: collection, Name: name, Keys: keys}
	}
	return []Index{
		by(Subscriptions, "user_access", "user_id", "access"),
		by(Subscriptions, "customer", "customer_id"),
		by(Subscriptions, "status_period_end", "status", "current_period_end"),
		by(WebhookEvents, "subscription_created", "subscription_key", "created"),
		by(WebhookEvents, "subscription_id_created", "subscription_id", "created"),
		by(WebhookEvents, "customer_created", "customer_id", "created"),
		by(WebhookEvents, "type_created", "type", "created"),
		by(WebhookEvents, "created", "created"),
	}
}

// Provision creates the indexes that are missing, or, where create is false,
// waits until somebody has. It tries until it succeeds or ctx is done; the
// store is not ready before. Entries can be recorded meanwhile.
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
			s.cfg.Log.Warn("indexes are not ready; trying again", "error", err)
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
	view := s.client.Database(s.cfg.Database, strict()).Collection(name).Indexes()
	have, err := indexNames(ctx, view)
	if err != nil {
		return err
	}
	var models []mongo.IndexModel
	for _, index := range Indexes() {
		if index.Collection == name && !have[index.Name] {
			models = append(models, mongo.IndexModel{Keys: index.Keys, Options: options.Index().SetName(index.Name)})
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
	s.cfg.Log.Info("created indexes", "collection", name, "count", len(models))
	return nil
}

// indexNames are the names of the indexes that exist; none if the collection
// does not.
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
