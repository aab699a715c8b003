package mongostore

import (
	"context"
	"errors"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/store"
)

// revision is a document as it was read: its key, and the field that every write raises.
type revision struct {
	key, field string
	n          int64
	// orEarlier accepts earlier revisions, too.
	orEarlier bool
}

// filter finds the document if it still has the revision.
func (r revision) filter() bson.D {
	if r.orEarlier {
		return bson.D{equal("_id", r.key), equal(r.field, bson.D{equal("$lte", r.n)})}
	}
	return bson.D{equal("_id", r.key), equal(r.field, r.n)}
}

// of reports whether a document has the revision.
func (r revision) of(doc bson.Raw) bool {
	n, ok := doc.Lookup(strings.Split(r.field, ".")...).AsInt64OK()
	return ok && (n == r.n || r.orEarlier && n < r.n)
}

// narrow returns a filter for a write that must find this revision. The server compares it,
// unless it says that it is the embedded database. That would read the whole collection to do
// so, and then compare and write in two steps as well: so it is compared here, and the filter
// is the key, which it finds at once. found is false if there is no document, and the error
// is [store.ErrExists] if it has another revision.
func (db database) narrow(ctx context.Context, in *mongo.Collection, r revision) (filter bson.D, found bool, err error) {
	if isMongoDB, err := db.server.ask(ctx); isMongoDB || err != nil {
		return r.filter(), true, nil
	}
	byKey := bson.D{equal("_id", r.key)}
	doc, err := in.FindOne(ctx, byKey, options.FindOne().SetProjection(fields(r.field))).Raw()
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return byKey, false, nil
	case err != nil:
		return nil, false, explain("reading a revision", err)
	case !r.of(doc):
		return nil, false, store.ErrExists
	}
	return byKey, true, nil
}

// replaceRevision replaces a document of this revision, or inserts it if there is none. If
// there is another revision, the upsert collides with it, which is a duplicate key.
func (db database) replaceRevision(ctx context.Context, in *mongo.Collection, r revision, replacement bson.Raw, doing string) error {
	filter, found, err := db.narrow(ctx, in, r)
	switch {
	case err != nil:
		return err
	case !found:
		_, err := in.InsertOne(ctx, replacement)
		return written(doing, single(err))
	}
	return replaceIn(ctx, in, filter, replacement, doing)
}

// changeRevision changes fields of a document of this revision.
func (db database) changeRevision(ctx context.Context, in *mongo.Collection, r revision, change bson.D, doing string) error {
	filter, found, err := db.narrow(ctx, in, r)
	switch {
	case err != nil:
		return err
	case !found:
		return store.ErrExists
	}
	res, err := in.UpdateOne(ctx, filter, change)
	if err == nil && res.MatchedCount == 0 {
		return store.ErrExists
	}
	return explain(doing, single(err))
}

// replaceRevisions is replaceRevision for many documents on MongoDB, by as few commands as
// possible.
func replaceRevisions(ctx context.Context, in *mongo.Collection, revisions []revision, replacements []any) []error {
	var failures []error
	for _, part := range bySize(replacements, maxCommand) {
		var models []mongo.WriteModel
		for i := part.from; i < part.to; i++ {
			models = append(models, mongo.NewReplaceOneModel().SetFilter(revisions[i].filter()).SetReplacement(replacements[i]).SetUpsert(true))
		}
		res, err := in.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
		failures = append(failures, allReplaced(res, perDocument(err, len(models)))...)
	}
	return failures
}

// allReplaced returns errors for successes of a bulk write that wrote nothing, see replaced.
// It is not known which ones these are.
func allReplaced(res *mongo.BulkWriteResult, failures []error) []error {
	var successes int64
	for _, failure := range failures {
		if failure == nil {
			successes++
		}
	}
	if successes > 0 && (res == nil || res.MatchedCount+res.UpsertedCount != successes) {
		return allUnknown(errors.New("some were neither replaced nor inserted"), len(failures))
	}
	return failures
}
