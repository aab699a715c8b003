package mongostore

import (
	"context"
	"iter"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/store"
)

// trailBatch bounds what a cursor over the audit trail brings at once: its
// documents can be large.
const trailBatch = 100

// Ping reports whether the database can be reached, for commands that have
// nothing to do without it.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*selectionTimeout)
	defer cancel()
	return explain("MongoDB is not reachable (see MONGODB_URI)", s.client.Ping(ctx, nil))
}

// AuditSize is how many events Audit yields.
func (s *Store) AuditSize(ctx context.Context) (int64, error) {
	n, err := s.db.events.CountDocuments(ctx, tellingState())
	return n, explain("counting the audit trail", err)
}

// Audit yields the events of every subscription, one subscription after the
// other.
func (s *Store) Audit(ctx context.Context) iter.Seq2[store.Audited, error] {
	return s.audited(ctx, tellingState(), bson.D{{Key: "subscription_key", Value: 1}, {Key: "created", Value: 1}})
}

// tellingState finds the events that tell of a subscription's state.
func tellingState() bson.D {
	return bson.D{{Key: "subscription_key", Value: bson.D{{Key: "$gt", Value: ""}}}}
}

// Trail yields the events of one subscription.
func (s *Store) Trail(ctx context.Context, key string) iter.Seq2[store.Audited, error] {
	return s.audited(ctx, bson.D{{Key: "subscription_key", Value: key}}, nil)
}

func (s *Store) audited(ctx context.Context, filter, sort bson.D) iter.Seq2[store.Audited, error] {
	opts := options.Find().SetBatchSize(trailBatch)
	if sort != nil {
		opts.SetSort(sort)
	}
	return func(yield func(store.Audited, error) bool) {
		for doc, err := range each[auditDocument](ctx, s.db.events, "reading the audit trail", filter, opts) {
			if err != nil {
				yield(store.Audited{}, err)
				return
			}
			if !yield(doc.audited(), nil) {
				return
			}
		}
	}
}

// audited keeps a document that does not hold a message from hiding the others.
func (d auditDocument) audited() store.Audited {
	m, err := d.toMessage()
	if err != nil {
		return store.Audited{Subscription: d.SubscriptionKey, Unreadable: d.EventID}
	}
	return store.Audited{Subscription: d.SubscriptionKey, Message: m}
}

// each yields what a query finds.
func each[T any](ctx context.Context, from *mongo.Collection, doing string, filter bson.D, opts *options.FindOptionsBuilder) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		cursor, err := from.Find(ctx, filter, opts)
		if err != nil {
			yield(none, explain(doing, err))
			return
		}
		defer func() { _ = cursor.Close(context.WithoutCancel(ctx)) }()
		for cursor.Next(ctx) {
			var doc T
			if err := cursor.Decode(&doc); err != nil {
				yield(none, explain(doing, err))
				return
			}
			if !yield(doc, nil) {
				return
			}
		}
		if err := cursor.Err(); err != nil {
			yield(none, explain(doing, err))
		}
	}
}
