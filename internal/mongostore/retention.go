package mongostore

import (
	"context"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/store"
)

// expiredDocument is the part of an audit document that retention needs.
type expiredDocument struct {
	ID           string    `bson:"_id"`
	Subscription string    `bson:"subscription_key"`
	EventID      string    `bson:"event_id"`
	Created      time.Time `bson:"created"`
	Terminal     bool      `bson:"terminal"`
	// ItemsTruncated is missing in documents of events that list all items.
	ItemsTruncated bool `bson:"items_truncated"`
}

// Expired implements [store.Retention].
func (db database) Expired(ctx context.Context, before time.Time) iter.Seq2[store.Expired, error] {
	filter := bson.D{{Key: "created", Value: bson.D{{Key: "$lt", Value: before}}}}
	opts := options.Find().SetSort(fields("created")).SetProjection(fields("_id", "subscription_key", "event_id", "created", "terminal", "items_truncated"))
	return converted(ctx, query{db.events, filter, opts, "reading old audit documents"}, func(doc expiredDocument) store.Expired {
		doc.Created = doc.Created.UTC()
		return store.Expired(doc)
	})
}

// RemoveExpired implements [store.Retention].
func (db database) RemoveExpired(ctx context.Context, ids []string) error {
	_, err := db.events.DeleteMany(ctx, bson.D{anyOf("_id", ids)})
	return explain("removing old audit documents", err)
}
