package mongostore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/store"
)

// Search implements [store.Search].
func (db database) Search(ctx context.Context, q store.Query) ([]store.Audited, error) {
	filter, err := db.filter(ctx, q)
	if err != nil {
		return nil, err
	}
	newestFirst := bson.D{{Key: "created", Value: -1}}
	opts := options.Find().SetProjection(bson.D{{Key: "payload", Value: 0}}).SetSort(newestFirst).SetLimit(int64(q.Limit))
	var found []store.Audited
	for audited, err := range db.audited(ctx, filter, opts) {
		if err != nil {
			return nil, err
		}
		found = append(found, audited)
	}
	slices.SortStableFunc(found, func(a, b store.Audited) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.StreamSequence, b.StreamSequence))
	})
	return found, nil
}

func (db database) filter(ctx context.Context, q store.Query) (bson.D, error) {
	filter := between(q.Since, q.Until)
	if q.Type != "" {
		filter = append(filter, equal("type", q.Type))
	}
	if q.Ignored {
		filter = append(filter, isSet("ignored"))
	}
	if q.Event != "" {
		filter = append(filter, ofEvent(q.Event))
	}
	owners, err := db.owners(ctx, q)
	if err != nil || len(owners) == 0 {
		return filter, err
	}
	var belongs bson.A
	for _, owner := range owners {
		condition, err := db.ofOwner(ctx, owner)
		if err != nil {
			return nil, err
		}
		belongs = append(belongs, condition)
	}
	return append(filter, equal("$and", belongs)), nil
}

func between(since, until time.Time) bson.D {
	var limits bson.D
	if !since.IsZero() {
		limits = append(limits, equal("$gte", since))
	}
	if !until.IsZero() {
		limits = append(limits, equal("$lte", until))
	}
	if limits == nil {
		return bson.D{}
	}
	return bson.D{equal("created", limits)}
}

// ofEvent accepts an id, which may be in several accounts, or a key.
func ofEvent(id string) bson.E {
	return equal("$or", bson.A{bson.D{equal("_id", id)}, bson.D{equal("event_id", id)}})
}

// Payload implements [store.Search].
func (db database) Payload(ctx context.Context, event string) (payload string, found bool, err error) {
	opts := options.Find().SetLimit(1)
	for doc, err := range each[auditDocument](ctx, query{db.events, bson.D{ofEvent(event)}, opts, "reading a payload"}) {
		return doc.Payload, err == nil, err
	}
	return "", false, nil
}
