package mongostore_test

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/embedded/docdb"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/mongotest"
)

// mongoVariable names the URI of a MongoDB. If it is set, the tests run there, too.
const mongoVariable = "BILLBUS_TEST_MONGODB_URI"

var (
	embedded, embeddedDir string // its URI and folder
	inMemory              string // URI of a server with MongoDB's semantics
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "mongostore")
		if err != nil {
			panic(err)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		srv, err := docdb.Start(docdb.Config{Addr: "127.0.0.1:0", Dir: dir})
		if err != nil {
			panic(err)
		}
		defer srv.Close()
		embedded, embeddedDir = srv.URI(), dir
		memory, err := mongotest.Listen("127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		defer memory.Close()
		inMemory = memory.URI()
		return m.Run()
	}())
}

// now is the time of every test.
func now() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }

// database is the empty database of one test.
type database struct {
	uri string
	*mongo.Database
}

// databases returns the URIs of the embedded database, of a server in memory with MongoDB's
// semantics, and of MongoDB if there is one.
func databases() map[string]string {
	all := map[string]string{"embedded": embedded, "memory": inMemory}
	if uri := os.Getenv(mongoVariable); uri != "" {
		all["mongodb"] = uri
	}
	return all
}

// each runs a test on each database.
func each(t *testing.T, test func(t *testing.T, db database)) {
	t.Helper()
	t.Parallel()
	for name, uri := range databases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newDatabase(t, uri))
		})
	}
}

// atOnce runs subtests at the same time that mostly wait. Of those that call t.Parallel, only
// as many run as there are CPUs.
func atOnce(t *testing.T, tests map[string]func(*testing.T)) {
	t.Helper()
	var work sync.WaitGroup
	for name, test := range tests {
		work.Go(func() { t.Run(name, test) })
	}
	work.Wait()
}

func newDatabase(t *testing.T, uri string) database {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	db := database{uri, client.Database("billbus_test_" + strings.ToLower(rand.Text()))}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := db.Drop(ctx); err != nil {
			t.Errorf("dropping %s: %v", db.Name(), err)
		}
		if err := client.Disconnect(ctx); err != nil {
			t.Error(err)
		}
	})
	return db
}

// open opens a store on the database; clock may be nil.
func (db database) open(t *testing.T, clock func() time.Time) *mongostore.Store {
	t.Helper()
	if clock == nil {
		clock = now
	}
	return openStore(t, mongostore.Config{
		URI: db.uri, Database: db.Name(), MaxBatch: 16, Now: clock, Log: slog.New(slog.DiscardHandler),
	})
}

func openStore(t *testing.T, cfg mongostore.Config) *mongostore.Store {
	t.Helper()
	s, err := mongostore.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

// record returns the document of a subscription; nil if there is none.
func (db database) record(t *testing.T, sub string) bson.M {
	t.Helper()
	return db.find(t, mongostore.Subscriptions, "test:platform:"+sub)
}

func (db database) find(t *testing.T, collection, id string) bson.M {
	t.Helper()
	return decoded(t, db.raw(t, collection, id))
}

func decoded(t *testing.T, raw bson.Raw) bson.M {
	t.Helper()
	if raw == nil {
		return nil
	}
	decoder := bson.NewDecoder(bson.NewDocumentReader(strings.NewReader(string(raw))))
	decoder.DefaultDocumentM()
	var doc bson.M
	if err := decoder.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func (db database) raw(t *testing.T, collection, id string) bson.Raw {
	t.Helper()
	list := db.all(t, collection, bson.D{{Key: "_id", Value: id}})
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func (db database) all(t *testing.T, collection string, filter bson.D) []bson.Raw {
	t.Helper()
	cursor, err := db.Collection(collection).Find(t.Context(), filter)
	if err != nil {
		t.Fatal(err)
	}
	var list []bson.Raw
	if err := cursor.All(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	return list
}

func (db database) set(t *testing.T, collection, id string, fields bson.D) {
	t.Helper()
	res, err := db.Collection(collection).UpdateOne(t.Context(), bson.D{{Key: "_id", Value: id}}, bson.D{{Key: "$set", Value: fields}})
	if err != nil || res.MatchedCount != 1 {
		t.Fatalf("setting fields of %s: %v, %v", id, res, err)
	}
}

func (db database) remove(t *testing.T, collection, id string) {
	t.Helper()
	res, err := db.Collection(collection).DeleteOne(t.Context(), bson.D{{Key: "_id", Value: id}})
	if err != nil || res.DeletedCount != 1 {
		t.Fatalf("deleting %s: %v, %v", id, res, err)
	}
}

// commit commits entries one after the other.
func commit(t *testing.T, s *mongostore.Store, entries ...store.Entry) []store.Effect {
	t.Helper()
	effects := make([]store.Effect, len(entries))
	for i, entry := range entries {
		effect, err := s.Commit(t.Context(), entry)
		if err != nil {
			t.Fatalf("committing %s: %v", entry.ID, err)
		}
		effects[i] = effect
	}
	return effects
}
