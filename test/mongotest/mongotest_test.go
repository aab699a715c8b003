package mongotest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/billbus/billbus/test/mongotest"
)

// newCollection returns a collection with documents, which are Extended JSON.
func newCollection(t *testing.T, docs ...string) *mongo.Collection {
	t.Helper()
	srv, err := mongotest.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	client, err := mongo.Connect(options.Client().ApplyURI(srv.URI() + "?maxPoolSize=1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	c := client.Database("db").Collection("things")
	for _, doc := range docs {
		if _, err := c.InsertOne(t.Context(), parse(t, doc)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func parse(t *testing.T, text string) bson.D {
	t.Helper()
	var doc bson.D
	if err := bson.UnmarshalExtJSON([]byte(text), false, &doc); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return doc
}

// found returns what a query finds, a document a line.
func found(t *testing.T, c *mongo.Collection, query string, opts ...options.Lister[options.FindOptions]) (string, error) {
	t.Helper()
	cursor, err := c.Find(t.Context(), parse(t, query), opts...)
	if err != nil {
		return "", err
	}
	var docs []bson.Raw
	if err := cursor.All(t.Context(), &docs); err != nil {
		return "", err
	}
	var lines []string
	for _, doc := range docs {
		text, err := bson.MarshalExtJSON(doc, false, false)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(text))
	}
	return strings.Join(lines, "\n"), nil
}

func expect(t *testing.T, c *mongo.Collection, query string, want ...string) {
	t.Helper()
	got, err := found(t, c, query)
	if diff := cmp.Diff(strings.Join(want, "\n"), got); diff != "" || err != nil {
		t.Errorf("%s: %v (-want +got):\n%s", query, err, diff)
	}
}

func TestDuplicateKeys(t *testing.T) {
	t.Parallel()
	for ordered, want := range map[bool][]string{
		true:  {`{"_id":"b","n":0}`, `{"_id":"a"}`},
		false: {`{"_id":"b","n":0}`, `{"_id":"a"}`, `{"_id":"c"}`},
	} {
		c := newCollection(t, `{"_id":"b","n":0}`)
		docs := []bson.D{parse(t, `{"_id":"a"}`), parse(t, `{"n":1,"_id":"b"}`), parse(t, `{"_id":"c"}`), parse(t, `{"_id":"a"}`)}
		_, err := c.InsertMany(t.Context(), docs, options.InsertMany().SetOrdered(ordered))
		bulk, ok := errors.AsType[mongo.BulkWriteException](err)
		if wanted := len(docs) - len(want); !ok || ordered && len(bulk.WriteErrors) != 1 || !ordered && len(bulk.WriteErrors) != wanted+1 {
			t.Fatalf("ordered %v: got %v", ordered, err)
		}
		we := bulk.WriteErrors[0]
		got := []any{we.Index, we.Code, we.Message, we.Raw.Lookup("keyPattern").String(), we.Raw.Lookup("keyValue").String()}
		if diff := cmp.Diff([]any{
			1, 11000, `E11000 duplicate key error collection: db.things index: _id_ dup key: { _id: "b" }`,
			`{"_id": {"$numberInt":"1"}}`, `{"_id": "b"}`,
		}, got); diff != "" {
			t.Errorf("ordered %v: the error (-want +got):\n%s", ordered, diff)
		}
		expect(t, c, `{}`, want...)
	}
}

func TestReplacements(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		query, with  string
		upsert       bool
		want         [3]int64 // matched, modified, upserted
		code         int
		wantDocument string
	}{
		"matched":                {`{"_id":1,"v.n":3}`, `{"v":{"n":4}}`, true, [3]int64{1, 1, 0}, 0, `{"_id":1,"v":{"n":4}}`},
		"matched and the same":   {`{"_id":1}`, `{"_id":1,"v":{"n":3}}`, false, [3]int64{1, 0, 0}, 0, `{"_id":1,"v":{"n":3}}`},
		"not matched":            {`{"_id":1,"v.n":2}`, `{"v":{"n":4}}`, false, [3]int64{}, 0, `{"_id":1,"v":{"n":3}}`},
		"collides":               {`{"_id":1,"v.n":2}`, `{"_id":1,"v":{"n":4}}`, true, [3]int64{}, 11000, `{"_id":1,"v":{"n":3}}`},
		"upserted from query":    {`{"_id":2,"v.n":2}`, `{"a":1}`, true, [3]int64{0, 0, 1}, 0, "{\"_id\":1,\"v\":{\"n\":3}}\n{\"_id\":2,\"a\":1}"},
		"upserted from document": {`{"v.n":2}`, `{"a":1,"_id":2}`, true, [3]int64{0, 0, 1}, 0, "{\"_id\":1,\"v\":{\"n\":3}}\n{\"_id\":2,\"a\":1}"},
		"another _id":            {`{"_id":1}`, `{"_id":2}`, true, [3]int64{}, 66, `{"_id":1,"v":{"n":3}}`},
		"a revision or earlier":  {`{"_id":1,"v.n":{"$lte":3}}`, `{}`, true, [3]int64{1, 1, 0}, 0, `{"_id":1}`},
		"a number of any type":   {`{"_id":{"$numberLong":"1"},"v.n":3.0}`, `{}`, true, [3]int64{1, 1, 0}, 0, `{"_id":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCollection(t, `{"_id":1,"v":{"n":3}}`)
			res, err := c.ReplaceOne(t.Context(), parse(t, tt.query), parse(t, tt.with), options.Replace().SetUpsert(tt.upsert))
			checkCode(t, err, tt.code)
			if res != nil && [3]int64{res.MatchedCount, res.ModifiedCount, res.UpsertedCount} != tt.want {
				t.Errorf("got %+v, want %v", res, tt.want)
			}
			expect(t, c, `{}`, tt.wantDocument)
		})
	}
}

// checkCode checks that an error has a code; 0 is for none.
func checkCode(t *testing.T, err error, code int) {
	t.Helper()
	failure, ok := errors.AsType[mongo.ServerError](err)
	if ok != (code != 0) || ok && !failure.HasErrorCode(code) || !ok && err != nil {
		t.Errorf("got %v, want code %d", err, code)
	}
}

func TestUpdates(t *testing.T) {
	t.Parallel()
	const document = `{"_id":1,"v":{"n":3,"m":1},"list":[1],"x":0}`
	for name, tt := range map[string]struct {
		query, change string
		code          int
		want          string
	}{
		"sets inside":               {`{"_id":1}`, `{"$set":{"v.n":4,"z":1,"y.a":1}}`, 0, `{"_id":1,"v":{"n":4,"m":1},"list":[1],"x":0,"y":{"a":1},"z":1}`},
		"removes":                   {`{"_id":1}`, `{"$set":{"v.n":4},"$unset":{"v.m":"","list":1,"none.a":1,"x.a":1}}`, 0, `{"_id":1,"v":{"n":4},"x":0}`},
		"a new revision":            {`{"_id":1,"v.n":3}`, `{"$set":{"v.n":4}}`, 0, `{"_id":1,"v":{"n":4,"m":1},"list":[1],"x":0}`},
		"another revision":          {`{"_id":1,"v.n":2}`, `{"$set":{"v.n":4}}`, 0, document},
		"upsert":                    {`{"_id":2,"a.b":3,"c":{"$gt":1}}`, `{"$set":{"x":1}}`, 0, document + "\n" + `{"_id":2,"a":{"b":3},"x":1}`},
		"upsert collides":           {`{"_id":1,"v.n":2}`, `{"$set":{"x":1}}`, 11000, document},
		"inside of a number":        {`{"_id":1}`, `{"$set":{"x.y":1}}`, 28, document},
		"inside of a list":          {`{"_id":1}`, `{"$set":{"list.y":1}}`, 28, document},
		"the same field twice":      {`{"_id":1}`, `{"$set":{"v":1},"$unset":{"v.n":1}}`, 40, document},
		"a field and a part of it":  {`{"_id":1}`, `{"$set":{"v.n":1},"$unset":{"v":1}}`, 40, document},
		"another _id":               {`{"_id":1}`, `{"$set":{"_id":2}}`, 66, document},
		"an operator not supported": {`{"_id":1}`, `{"$inc":{"x":1}}`, 2, document},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCollection(t, document)
			_, err := c.UpdateOne(t.Context(), parse(t, tt.query), parse(t, tt.change), options.UpdateOne().SetUpsert(strings.HasPrefix(name, "upsert")))
			checkCode(t, err, tt.code)
			expect(t, c, `{}`, tt.want)
		})
	}
}

// A bulk write reports the outcome of each document, and goes on after a failure.
func TestUnorderedReplacements(t *testing.T) {
	t.Parallel()
	c := newCollection(t, `{"_id":"a","n":1}`, `{"_id":"b","n":2}`)
	var models []mongo.WriteModel
	for _, id := range []string{"a", "b", "c"} {
		models = append(models, mongo.NewReplaceOneModel().SetUpsert(true).SetReplacement(bson.D{{Key: "n", Value: 9}}).
			SetFilter(bson.D{{Key: "_id", Value: id}, {Key: "n", Value: 2}}))
	}
	res, err := c.BulkWrite(t.Context(), models, options.BulkWrite().SetOrdered(false))
	bulk, ok := errors.AsType[mongo.BulkWriteException](err)
	if !ok || len(bulk.WriteErrors) != 1 || bulk.WriteErrors[0].Index != 0 || bulk.WriteErrors[0].Code != 11000 {
		t.Errorf("got %v, want that the first one collides", err)
	}
	if res == nil || res.MatchedCount != 1 || res.UpsertedCount != 1 || res.UpsertedIDs[2] != "c" {
		t.Errorf("got %+v", res)
	}
	expect(t, c, `{}`, `{"_id":"a","n":1}`, `{"_id":"b","n":9}`, `{"_id":"c","n":9}`)
}

var people = []string{
	`{"_id":"1","name":"a","n":1,"tags":["x","y"],"items":[{"p":"1"},{"p":"2"}],"at":{"$date":"2026-01-01T00:00:00Z"}}`,
	`{"_id":"2","name":"b","n":{"$numberLong":"2"},"tags":[],"sub":{"a":1,"b":2},"ok":true,"oid":{"$oid":"0123456789abcdef01234567"}}`,
	`{"_id":"3","n":2.5,"tags":"x","name":null,"items":[{"q":"1"}]}`,
}

// An answer that nobody reads would be taken for that to the next command.
func TestUnacknowledgedWrites(t *testing.T) {
	t.Parallel()
	c := newCollection(t)
	silent := c.Clone(options.Collection().SetWriteConcern(writeconcern.Unacknowledged()))
	if _, err := silent.InsertOne(t.Context(), parse(t, people[0])); err != nil {
		t.Fatal(err)
	}
	expect(t, c, `{}`, people[0])
}

// Every query is asked without an index, and with indexes of all fields.
func TestQueries(t *testing.T) {
	t.Parallel()
	plain, indexed := newCollection(t, people...), newCollection(t, people...)
	for _, field := range []string{"name", "n", "tags", "items.p", "at", "sub.a"} {
		if _, err := indexed.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: bson.D{{Key: field, Value: 1}}}); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]string{
		`{}`:                                         "123",
		`{"_id":{"$in":["3","1","3","9"]}}`:          "13",
		`{"_id":{"$gt":"1","$lt":"3"}}`:              "2",
		`{"name":"a"}`:                               "1",
		`{"name":{"$gt":""}}`:                        "12",
		`{"name":{"$lt":"b"}}`:                       "1",
		`{"name":{"$gt":1}}`:                         "",
		`{"name":null}`:                              "3",
		`{"sub.a":null}`:                             "13",
		`{"sub":{"$exists":false}}`:                  "13",
		`{"name":{"$exists":true}}`:                  "123",
		`{"n":1.0}`:                                  "1",
		`{"n":{"$gte":2}}`:                           "23",
		`{"n":{"$lte":{"$numberLong":"2"},"$gt":1}}`: "2",
		`{"ok":true,"oid":{"$oid":"0123456789abcdef01234567"}}`: "2",
		`{"n":"1"}`:                  "",
		`{"tags":"x"}`:               "13",
		`{"tags":{"$in":["y","z"]}}`: "1",
		`{"items.p":"2"}`:            "1",
		`{"items.p":null}`:           "23",
		`{"at":{"$gte":{"$date":"2026-01-01T00:00:00Z"}}}`: "1",
		`{"at":{"$gt":{"$date":"2026-01-01T00:00:00Z"}}}`:  "",
		`{"$or":[{"name":"b"},{"tags":"x"}]}`:              "123",
		`{"$or":[{"name":"b"},{"n":{"$lt":2}}]}`:           "12",
		`{"$and":[{"n":{"$gt":1}},{"tags":"x"}]}`:          "3",
		`{"n":{"$in":[]}}`:                                 "",
	} {
		for name, c := range map[string]*mongo.Collection{"plain": plain, "indexed": indexed} {
			got, err := found(t, c, query, options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}))
			if got = strings.NewReplacer(`{"_id":"`, "", `"}`, "", "\n", "").Replace(got); got != want || err != nil {
				t.Errorf("%s, %s: got %q, %v, want %q", query, name, got, err, want)
			}
		}
	}
}

func TestIndexesFollowChanges(t *testing.T) {
	t.Parallel()
	c := newCollection(t, people...)
	if _, err := c.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: parse(t, `{"tags":1,"n":1}`)}); err != nil {
		t.Fatal(err)
	}
	res, err := c.UpdateMany(t.Context(), parse(t, `{"tags":"x"}`), parse(t, `{"$set":{"tags":["y","z","z"]}}`))
	if err != nil || res.MatchedCount != 2 {
		t.Errorf("got %+v, %v", res, err)
	}
	expect(t, c, `{"tags":"x"}`)
	if deleted, err := c.DeleteOne(t.Context(), parse(t, `{"n":{"$gt":1}}`)); err != nil || deleted.DeletedCount != 1 {
		t.Errorf("got %+v, %v", deleted, err)
	}
	expect(t, c, `{"_id":"2"}`)
	if deleted, err := c.DeleteMany(t.Context(), parse(t, `{"tags":"z"}`)); err != nil || deleted.DeletedCount != 2 {
		t.Errorf("got %+v, %v", deleted, err)
	}
	expect(t, c, `{"tags":{"$in":["y","z"]}}`)
	if n, err := c.CountDocuments(t.Context(), bson.D{}); err != nil || n != 0 {
		t.Errorf("got %d documents, %v, want none", n, err)
	}
}

// Drivers add an _id, and send documents next to the command. A server takes less.
func TestInsertsWhatHasNoKey(t *testing.T) {
	t.Parallel()
	c := newCollection(t)
	checkCode(t, c.Database().RunCommand(t.Context(), parse(t, `{"insert":"things","documents":[{"a":1},{"a":2}]}`)).Err(), 0)
	for skip, want := range []int64{2, 1, 0} {
		if n, err := c.CountDocuments(t.Context(), bson.D{}, options.Count().SetSkip(int64(skip))); err != nil || n != want {
			t.Errorf("behind %d: got %d documents, %v, want %d", skip, n, err, want)
		}
	}
	id, err := c.FindOne(t.Context(), parse(t, `{"a":2}`)).Raw()
	if _, ok := id.Index(0).Value().ObjectIDOK(); err != nil || !ok || id.Index(0).Key() != "_id" {
		t.Errorf("got %s, %v, want an _id first", id, err)
	}
}

func TestProjections(t *testing.T) {
	t.Parallel()
	c := newCollection(t, `{"_id":1,"a":1,"b":{"c":1,"d":2},"l":[{"c":1,"d":2},3]}`)
	for projection, want := range map[string]string{
		`{"_id":1}`:         `{"_id":1}`,
		`{"a":1,"_id":0}`:   `{"a":1}`,
		`{"b":1,"x":1}`:     `{"_id":1,"b":{"c":1,"d":2}}`,
		`{"b":0,"l":false}`: `{"_id":1,"a":1}`,
		`{"_id":0}`:         `{"a":1,"b":{"c":1,"d":2},"l":[{"c":1,"d":2},3]}`,
		`{"b":0,"_id":0}`:   `{"a":1,"l":[{"c":1,"d":2},3]}`,
	} {
		if got, err := found(t, c, `{}`, options.Find().SetProjection(parse(t, projection))); got != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", projection, got, err, want)
		}
	}
}

func TestSortsAndFetchesInBatches(t *testing.T) {
	t.Parallel()
	c := newCollection(t)
	var docs []bson.D
	for i := range 250 {
		docs = append(docs, bson.D{{Key: "_id", Value: i}, {Key: "n", Value: i % 10}, {Key: "at", Value: time.Unix(int64(i), 0)}})
	}
	if _, err := c.InsertMany(t.Context(), docs); err != nil {
		t.Fatal(err)
	}
	opts := options.Find().SetSort(parse(t, `{"n":1,"at":-1}`)).SetProjection(parse(t, `{"_id":1}`)).SetBatchSize(7).SetSkip(1).SetLimit(200)
	got, err := found(t, c, `{}`, opts)
	lines := strings.Split(got, "\n")
	if want := []string{`{"_id":230}`, `{"_id":220}`}; err != nil || len(lines) != 200 || cmp.Diff(want, lines[:2]) != "" {
		t.Errorf("got %d documents from %q, %v, want 200 from %q", len(lines), lines[:2], err, want)
	}
	cursor, err := c.Find(t.Context(), bson.D{})
	if err != nil || cursor.RemainingBatchLength() != 101 {
		t.Fatalf("got %d documents at first, %v, want 101", cursor.RemainingBatchLength(), err)
	}
	id := cursor.ID()
	if err := cursor.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	more := bson.D{{Key: "getMore", Value: id}, {Key: "collection", Value: "things"}}
	checkCode(t, c.Database().RunCommand(t.Context(), more).Err(), 43)
}

func TestIndexesAndCollections(t *testing.T) {
	t.Parallel()
	c := newCollection(t)
	list := bson.D{{Key: "listIndexes", Value: "things"}}
	checkCode(t, c.Database().RunCommand(t.Context(), list).Err(), 26)
	create := func(key, name string) error {
		_, err := c.Indexes().CreateOne(t.Context(), mongo.IndexModel{Keys: parse(t, key), Options: options.Index().SetName(name)})
		return err
	}
	checkCode(t, create(`{"a":1,"b":-1}`, "x"), 0)
	checkCode(t, create(`{"a":1,"b":-1}`, "x"), 0)
	checkCode(t, create(`{"a":1}`, "x"), 86)
	checkCode(t, create(`{"a":1,"b":-1}`, "y"), 85)
	specs, err := c.Indexes().ListSpecifications(t.Context())
	if err != nil || len(specs) != 2 || specs[0].Name != "_id_" || specs[1].Name != "x" {
		t.Errorf("got %v, %v", specs, err)
	}
	_, err = found(t, c, `{}`, options.Find().SetHint("x"))
	checkCode(t, err, 0)
	_, err = found(t, c, `{}`, options.Find().SetHint("y"))
	checkCode(t, err, 2)
	if names, err := c.Database().ListCollectionNames(t.Context(), bson.D{}); err != nil || cmp.Diff([]string{"things"}, names) != "" {
		t.Errorf("got collections %v, %v", names, err)
	}
	if err := errors.Join(c.Drop(t.Context()), c.Drop(t.Context()), c.Database().Drop(t.Context())); err != nil {
		t.Error(err)
	}
	checkCode(t, c.Database().RunCommand(t.Context(), list).Err(), 26)
}

// What this server does not know must not look as if it worked.
func TestRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	c := newCollection(t, people...)
	for command, code := range map[string]int{
		`{"findAndModify":"things"}`:                                                      59,
		`{"find":"things","filter":{},"collation":{"locale":"de"}}`:                       2,
		`{"find":"things","filter":{"n":{"$ne":1}}}`:                                      2,
		`{"find":"things","filter":{"n":{"$gt":1,"$mod":[2,0]}}}`:                         2,
		`{"find":"things","filter":{"$or":[]}}`:                                           2,
		`{"find":"things","filter":{"$or":[{"n":{"$ne":1}}]}}`:                            2,
		`{"find":"things","filter":{"$nor":[{"n":1}]}}`:                                   2,
		`{"find":"things","filter":{"sub":{"a":1}}}`:                                      2,
		`{"find":"things","filter":{"tags":["x"]}}`:                                       2,
		`{"find":"things","filter":{"name":{"$in":[{"$regex":"a"}]}}}`:                    2,
		`{"find":"things","filter":{"items.0.p":"1"}}`:                                    2,
		`{"find":"things","sort":{"tags":1}}`:                                             2,
		`{"find":"things","projection":{"tags":{"$slice":1}}}`:                            2,
		`{"find":"things","projection":{"sub.a":1}}`:                                      2,
		`{"find":"things","projection":{"tags":1,"n":0}}`:                                 2,
		`{"aggregate":"things","cursor":{},"pipeline":[{"$match":{}},{"$sort":{"n":1}}]}`: 2,
		`{"createIndexes":"things","indexes":[{"name":"x","key":{"n":1},"sparse":true}]}`: 2,
		`{"listCollections":1,"filter":{"name":"things"}}`:                                2,
		`{"update":"things","updates":[{"q":{},"u":{"n":1},"multi":true}]}`:               9,
		`{"createIndexes":"things","indexes":[{"name":"x","key":{"n":"text"}}]}`:          2,
	} {
		checkCode(t, c.Database().RunCommand(t.Context(), parse(t, command)).Err(), code)
	}
	pipeline := mongo.Pipeline{parse(t, `{"$set":{"n":1}}`)}
	_, err := c.UpdateOne(t.Context(), bson.D{}, pipeline)
	checkCode(t, err, 2)
	_, err = c.UpdateOne(t.Context(), bson.D{}, parse(t, `{"$set":{"n":1}}`), options.UpdateOne().SetCollation(&options.Collation{Locale: "de"}))
	checkCode(t, err, 2)
	_, err = c.DeleteOne(t.Context(), bson.D{}, options.DeleteOne().SetHint("_id_"))
	checkCode(t, err, 2)
	_, err = c.ReplaceOne(t.Context(), parse(t, `{"$or":[{"_id":"9"}]}`), bson.D{}, options.Replace().SetUpsert(true))
	checkCode(t, err, 2)
	_, err = c.InsertOne(t.Context(), parse(t, `{"_id":{"a":1}}`))
	checkCode(t, err, 2)
	expect(t, c, `{"_id":"1"}`, people[0])
}

// An unordered insert of a batch, as large as the subscriber's are.
func BenchmarkInsert(b *testing.B) {
	srv, err := mongotest.Listen("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	client, err := mongo.Connect(options.Client().ApplyURI(srv.URI()))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = client.Disconnect(context.WithoutCancel(b.Context())) }()
	c, payload, n := client.Database("db").Collection("things"), strings.Repeat("x", 5000), 0
	for b.Loop() {
		docs := make([]any, 128)
		for i := range docs {
			docs[i] = bson.D{{Key: "_id", Value: fmt.Sprint(n)}, {Key: "payload", Value: payload}}
			n++
		}
		if _, err := c.InsertMany(b.Context(), docs, options.InsertMany().SetOrdered(false)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "documents/s")
}
