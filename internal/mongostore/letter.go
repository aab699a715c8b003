package mongostore

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/store"
)

// DeadLetters is the name of a collection.
const DeadLetters = "dead_letters"

type letterDocument struct {
	ID             string             `bson:"_id"`
	Sequence       uint64             `bson:"letter_sequence"`
	StreamSequence uint64             `bson:"stream_sequence"`
	Action         store.LetterAction `bson:"action"`
	Code           string             `bson:"code"`
	Reason         string             `bson:"reason"`
	Subject        string             `bson:"subject"`
	EventID        string             `bson:"event_id,omitempty"`
	Consumer       string             `bson:"consumer"`
	At             time.Time          `bson:"at"`
	By             string             `bson:"by"`
}

func (db database) letters() *mongo.Collection { return db.events.Database().Collection(DeadLetters) }

// RecordLetter implements [store.Letters].
func (db database) RecordLetter(ctx context.Context, l store.Letter) error {
	_, err := db.letters().InsertOne(ctx, letterDocument(l))
	return written("recording a dead letter", single(err))
}

// RecordedLetter implements [store.Letters].
func (db database) RecordedLetter(ctx context.Context, sequence uint64) (l store.Letter, found bool, err error) {
	opts := options.Find().SetSort(bson.D{{Key: "at", Value: -1}}).SetLimit(1)
	q := query{db.letters(), bson.D{equal("letter_sequence", int64(sequence))}, opts, "reading the record of a dead letter"}
	for doc, err := range each[letterDocument](ctx, q) {
		doc.At = doc.At.UTC()
		return store.Letter(doc), err == nil, err
	}
	return l, false, nil
}
