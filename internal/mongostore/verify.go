package mongostore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// Records yields every record, in the order of subscriptions' keys.
func (s *Store) Records(ctx context.Context) iter.Seq2[store.StoredRecord, error] {
	opts := options.Find().SetSort(bson.D{{Key: "_id", Value: 1}}).SetBatchSize(trailBatch)
	return func(yield func(store.StoredRecord, error) bool) {
		for raw, err := range each[bson.Raw](ctx, s.db.subscriptions, "reading states", bson.D{}, opts) {
			if err != nil {
				yield(store.StoredRecord{}, err)
				return
			}
			if !yield(storedOf(raw), nil) {
				return
			}
		}
	}
}

// Record is what the database says of one subscription.
func (s *Store) Record(ctx context.Context, key string) (store.StoredRecord, error) {
	raw, err := s.stateRaw(ctx, key)
	if raw == nil || err != nil {
		return store.StoredRecord{Key: key}, err
	}
	return storedOf(raw), nil
}

func (s *Store) stateRaw(ctx context.Context, key string) (bson.Raw, error) {
	raw, err := s.db.subscriptions.FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Raw()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, nil
	}
	return raw, explain("reading a state", err)
}

// Render returns the fields of the state that a verdict makes.
func (s *Store) Render(key string, winner events.Message, verdict ordering.Verdict) (map[string]string, error) {
	raw, err := encodeState(store.Head{Key: key}.Next(winner, verdict, s.cfg.Now()))
	if err != nil {
		return nil, err
	}
	return texts(raw), nil
}

// Rewrite replaces the state that was read by the one that a verdict makes, under
// its revision; false if somebody else has written it since.
func (s *Store) Rewrite(ctx context.Context, have store.StoredRecord, winner events.Message, verdict ordering.Verdict) (bool, error) {
	raw, err := s.stateRaw(ctx, have.Key)
	if err != nil || raw != nil && revisionOf(raw) != have.Revision || (raw != nil) != have.Exists {
		return false, err
	}
	replacement, err := encodeState(headOf(have.Key, raw).Next(winner, verdict, s.cfg.Now()))
	if err != nil {
		return false, err
	}
	res, err := s.db.subscriptions.ReplaceOne(ctx, unmoved(have.Key, raw), replacement, options.Replace().SetUpsert(true))
	failure := single(replaced(res, err))
	if isDuplicate(failure) {
		return false, nil
	}
	return failure == nil, explain("replacing state", failure)
}

// unmoved finds the document in the revision that was read, also where that is
// damaged.
func unmoved(key string, raw bson.Raw) bson.D {
	n, err := raw.LookupErr("version", "n")
	switch {
	case raw == nil:
		return bson.D{{Key: "_id", Value: key}, {Key: "version.n", Value: int64(0)}}
	case err != nil:
		return bson.D{{Key: "_id", Value: key}, {Key: "version.n", Value: bson.D{{Key: "$exists", Value: false}}}}
	}
	return bson.D{{Key: "_id", Value: key}, {Key: "version.n", Value: n}}
}

// headOf takes from a document what outlives its replacement, as far as it can be
// read.
func headOf(key string, raw bson.Raw) store.Head {
	head := store.Head{Key: key}
	if at, ok := raw.Lookup("first_seen_at").TimeOK(); ok {
		head.FirstSeenAt = at
	}
	if n, ok := raw.Lookup("version", "n").AsInt64OK(); ok {
		head.N = max(n, 0)
	}
	return head
}

func storedOf(raw bson.Raw) store.StoredRecord {
	key, _ := raw.Lookup("_id").StringValueOK()
	rule, _ := raw.Lookup("version", "rule").AsInt64OK()
	id, _ := raw.Lookup("version", "event_id").StringValueOK()
	return store.StoredRecord{Key: key, Exists: true, Revision: revisionOf(raw), Rule: int(rule), EventID: id, Fields: texts(raw)}
}

func revisionOf(raw bson.Raw) string { return text(raw.Lookup("version", "n")) }

// notCompared are when and how often a document was written.
var notCompared = map[string]bool{"_id": true, "first_seen_at": true, "updated_at": true, "version.n": true}

// texts returns the fields of a state document, those of version one by one.
func texts(raw bson.Raw) map[string]string {
	fields := map[string]string{}
	addTexts(fields, "", raw)
	return fields
}

func addTexts(fields map[string]string, prefix string, raw bson.Raw) {
	elements, _ := raw.Elements() // what cannot be read is not there, and so differs
	for _, element := range elements {
		name := prefix + element.Key()
		if inner, ok := element.Value().DocumentOK(); ok && name == "version" {
			addTexts(fields, "version.", inner)
		} else if !notCompared[name] {
			fields[name] = text(element.Value())
		}
	}
}

// text is a value for a person to read, and to compare: JSON, a date as a date.
func text(value bson.RawValue) string {
	if at, ok := value.TimeOK(); ok {
		return at.UTC().Format(time.RFC3339Nano)
	}
	if value.Type == 0 {
		return ""
	}
	wrapped, err := bson.MarshalExtJSON(bson.D{{Key: "v", Value: value}}, false, false)
	if err != nil || len(wrapped) < len(`{"v":}`) {
		return fmt.Sprintf("a value of type %s", value.Type)
	}
	return string(wrapped[len(`{"v":`) : len(wrapped)-1])
}
