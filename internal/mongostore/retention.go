package mongostore

import (
	"context"
	"errors"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
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
func (db database) Expired(ctx context.Context, from, before time.Time) iter.Seq2[store.Expired, error] {
	filter := bson.D{equal("created", bson.D{equal("$gte", from), equal("$lt", before)})}
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

// retentionTurn is the _id of the turn in the collection retention.
const retentionTurn = "audit"

type turnDocument struct {
	ID      string    `bson:"_id"`
	Holder  string    `bson:"holder"`
	Until   time.Time `bson:"until"`
	Reached time.Time `bson:"reached"`
	Began   time.Time `bson:"began"`
}

// Turn implements [store.Retention].
func (db database) Turn(ctx context.Context) (store.Turn, error) {
	var doc turnDocument
	err := db.turns.FindOne(ctx, bson.D{equal("_id", retentionTurn)}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return store.Turn{}, nil
	}
	return store.Turn{Holder: doc.Holder, Until: doc.Until.UTC(), Reached: doc.Reached.UTC(), Began: doc.Began.UTC()}, explain("reading whose turn it is", err)
}

// SetTurn implements [store.Retention]. If another turn was set, the upsert collides with it.
func (db database) SetTurn(ctx context.Context, read, next store.Turn) (bool, error) {
	same := bson.D{equal("_id", retentionTurn), equal("holder", read.Holder), equal("until", read.Until), equal("reached", read.Reached)}
	doc := turnDocument{retentionTurn, next.Holder, next.Until, next.Reached, next.Began}
	res, err := db.turns.ReplaceOne(ctx, same, doc, options.Replace().SetUpsert(true))
	err = written("taking a turn", single(replaced(res, err)))
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}
