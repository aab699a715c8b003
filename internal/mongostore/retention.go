package mongostore

import (
	"context"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// expiredDocument is the part of an audit document that retention needs.
type expiredDocument struct {
	ID           string    `bson:"_id"`
	Subscription string    `bson:"subscription_key"`
	EventID      string    `bson:"event_id"`
	Created      time.Time `bson:"created"`
	Terminal     bool      `bson:"terminal"`
}

// Expired yields the audit documents of events created before then, the oldest
// first.
func (s *Store) Expired(ctx context.Context, before time.Time) iter.Seq2[store.Expired, error] {
	filter := bson.D{{Key: "created", Value: bson.D{{Key: "$lt", Value: before}}}}
	opts := options.Find().SetSort(bson.D{{Key: "created", Value: 1}}).SetProjection(bson.D{
		{Key: "_id", Value: 1},
		{Key: "subscription_key", Value: 1},
		{Key: "event_id", Value: 1},
		{Key: "created", Value: 1},
		{Key: "terminal", Value: 1},
	})
	return func(yield func(store.Expired, error) bool) {
		for doc, err := range each[expiredDocument](ctx, s.db.events, "reading old audit documents", filter, opts) {
			if !yield(store.Expired(doc), err) {
				return
			}
		}
	}
}

// Known returns what the states of subscriptions rest on, without those that
// today's rules did not decide.
func (s *Store) Known(ctx context.Context, subscriptions []string) (map[string][]ordering.Fact, error) {
	known := make(map[string][]ordering.Fact, len(subscriptions))
	filter := bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: append([]string{}, subscriptions...)}}}}
	opts := options.Find().SetProjection(headProjection())
	for head, err := range each[stateHead](ctx, s.db.subscriptions, "reading states", filter, opts) {
		if err != nil {
			return nil, err
		}
		if head.Version.Rule == ordering.Rule {
			known[head.Key] = head.head().Known
		}
	}
	return known, nil
}

// Forget removes audit documents. That one is gone already is no failure.
func (s *Store) Forget(ctx context.Context, ids []string) error {
	_, err := s.db.events.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}})
	return explain("removing old audit documents", err)
}
