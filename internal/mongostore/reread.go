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

// Everything implements [store.Rereading].
func (db database) Everything(ctx context.Context, from time.Time) iter.Seq2[store.Audited, error] {
	s := scan[auditDocument]{
		find: func(reached string) query {
			since := from
			if at, err := time.Parse(time.RFC3339Nano, reached); err == nil {
				since = at
			}
			return query{db.scanned.events, createdFrom(since), options.Find().SetSort(fields("created")), "reading the audit trail"}
		},
		place: func(doc auditDocument) (key, id string) { return doc.Created.UTC().Format(time.RFC3339Nano), doc.Key },
	}
	return convert(s.resumed(ctx), auditDocument.audited)
}

func createdFrom(at time.Time) bson.D { return bson.D{equal("created", bson.D{equal("$gte", at)})} }

// EverythingSize implements [store.Rereading].
func (db database) EverythingSize(ctx context.Context, from time.Time) (int64, error) {
	n, err := db.scanned.events.CountDocuments(ctx, createdFrom(from))
	return n, explain("counting the audit trail", err)
}

// rereading is the _id of the progress in the collection state_view.
const rereading = "replay"

type progressDocument struct {
	ID      string    `bson:"_id"`
	What    string    `bson:"what"`
	Reached time.Time `bson:"reached"`
}

// Progress implements [store.Rereading].
func (db database) Progress(ctx context.Context) (store.Progress, error) {
	var doc progressDocument
	err := db.views.FindOne(ctx, bson.D{equal("_id", rereading)}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return store.Progress{}, nil
	}
	return store.Progress{What: doc.What, Reached: doc.Reached.UTC()}, explain("reading the progress of a replay", err)
}

// SetProgress implements [store.Rereading].
func (db database) SetProgress(ctx context.Context, p store.Progress) error {
	same := bson.D{equal("_id", rereading)}
	if p == (store.Progress{}) {
		_, err := db.views.DeleteOne(ctx, same)
		return explain("removing the progress of a replay", err)
	}
	replacement, err := marshal(progressDocument{rereading, p.What, p.Reached})
	if err != nil {
		return err
	}
	return replaceIn(ctx, db.views, same, replacement, "writing the progress of a replay")
}
