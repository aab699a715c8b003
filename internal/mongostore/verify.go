package mongostore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/store"
)

// Audit implements [store.Verification].
func (db database) Audit(ctx context.Context) iter.Seq2[store.Audited, error] {
	s := scan[auditDocument]{
		find: func(from string) query {
			filter := bson.D{equal("subscription_key", bson.D{equal("$gt", ""), equal("$gte", from)})}
			return query{db.scanned.events, filter, options.Find().SetSort(fields("subscription_key", "created")), "reading the audit trail"}
		},
		place: func(doc auditDocument) (key, id string) { return doc.SubscriptionKey, doc.Key },
	}
	return convert(s.resumed(ctx), auditDocument.audited)
}

// Records implements [store.Verification].
func (db database) Records(ctx context.Context) iter.Seq2[store.StoredRecord, error] {
	s := scan[bson.Raw]{
		find: func(from string) query {
			filter := bson.D{}
			if from != "" {
				filter = bson.D{equal("_id", bson.D{equal("$gt", from)})}
			}
			return query{db.scanned.subscriptions, filter, options.Find().SetSort(fields("_id")), "reading records"}
		},
		place: func(doc bson.Raw) (key, id string) {
			key, _ = doc.Lookup("_id").StringValueOK()
			return key, doc.Lookup("_id").String()
		},
	}
	return convert(s.resumed(ctx), storedRecord)
}

// Record implements [store.Verification].
func (db database) Record(ctx context.Context, key string) (store.StoredRecord, error) {
	raw, err := db.record(ctx, key)
	if raw == nil || err != nil {
		return store.StoredRecord{Key: key}, err
	}
	return storedRecord(raw), nil
}

// Fields implements [store.Verification].
func (db database) Fields(key string, d store.Decision) (map[string]string, error) {
	raw, err := encodeRecord(store.Head{Key: key}.Next(d, db.now()))
	if err != nil {
		return nil, err
	}
	return texts(raw), nil
}

// Rewrite implements [store.Verification].
func (db database) Rewrite(ctx context.Context, have store.StoredRecord, d store.Decision) (bool, error) {
	raw, err := db.record(ctx, have.Key)
	if err != nil || raw != nil && revisionOf(raw) != have.Revision || (raw != nil) != have.Exists {
		return false, err
	}
	head := readableHead(have.Key, raw)
	head.Reread = true
	record := head.Next(d, db.now())
	db.noteRecord(record)
	replacement, err := encodeRecord(record)
	if err != nil {
		return false, err
	}
	err = replaceIn(ctx, db.subscriptions, sameRevision(have.Key, raw), replacement, "replacing record")
	if errors.Is(err, store.ErrExists) {
		return false, nil
	}
	return err == nil, err
}

// sameRevision finds a document in the revision that was read, even if that is
// damaged.
func sameRevision(key string, raw bson.Raw) bson.D {
	n, err := raw.LookupErr("version", "n")
	switch {
	case raw == nil:
		return bson.D{equal("_id", key), equal("version.n", int64(0))}
	case err != nil:
		return bson.D{equal("_id", key), equal("version.n", bson.D{{Key: "$exists", Value: false}})}
	}
	return bson.D{equal("_id", key), equal("version.n", n)}
}

// readableHead returns what the replacement of a document keeps of it, as far as it
// can be read.
func readableHead(key string, raw bson.Raw) store.Head {
	head := store.Head{Key: key}
	if at, ok := raw.Lookup("first_seen_at").TimeOK(); ok {
		head.FirstSeenAt = at
	}
	if n, ok := raw.Lookup("version", "n").AsInt64OK(); ok {
		head.Revision = max(n, 0)
	}
	head.Reread, _ = raw.Lookup("version", "reread").BooleanOK()
	return head
}

func storedRecord(raw bson.Raw) store.StoredRecord {
	key, _ := raw.Lookup("_id").StringValueOK()
	rule, _ := raw.Lookup("version", "rule").AsInt64OK()
	id, _ := raw.Lookup("version", "event_id").StringValueOK()
	return store.StoredRecord{Key: key, Exists: true, Revision: revisionOf(raw), Rule: int(rule), EventID: id, Fields: texts(raw)}
}

func revisionOf(raw bson.Raw) string { return text(raw.Lookup("version", "n")) }

// notCompared are the key, and the fields that say when, how often and after what a
// document was written.
var notCompared = map[string]bool{
	"_id": true, "first_seen_at": true, "updated_at": true, "version.n": true, "version.reread": true, "version.catalog": true,
}

// texts returns the fields of a record, those of version one by one.
func texts(raw bson.Raw) map[string]string {
	fields := map[string]string{}
	addTexts(fields, "", raw)
	return fields
}

func addTexts(fields map[string]string, prefix string, raw bson.Raw) {
	elements, _ := raw.Elements() // what cannot be read is missing, and therefore differs
	for _, element := range elements {
		name := prefix + element.Key()
		if inner, ok := element.Value().DocumentOK(); ok && name == "version" {
			addTexts(fields, "version.", inner)
		} else if !notCompared[name] {
			fields[name] = text(element.Value())
		}
	}
}

// text returns a value as text, for a person to read and to compare: as JSON, and a
// date as RFC 3339.
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
