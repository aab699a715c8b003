package mongostore_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/embedded/docdb"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

// Otherwise every command on a key would read the whole collection.
func TestTheEmbeddedDatabaseFindsKeysByAnIndex(t *testing.T) {
	t.Parallel()
	db := newDatabase(t, embedded)
	s := db.openMonitored(t, (&traffic{}).monitor())
	file, err := sql.Open("sqlite", "file:"+filepath.Join(embeddedDir, db.Name()+".sqlite")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	for _, what := range []string{"a new collection", "one that was dropped meanwhile"} {
		commit(t, s, storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
		kit.Eventually(t, "a document is searched for by its key in "+what, func() bool { return findsByIndex(t, file, "subscriptions") })
		for _, name := range []string{"webhook_events", "subscriptions"} {
			if err := db.Collection(name).Drop(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func findsByIndex(t *testing.T, file *sql.DB, collection string) bool {
	t.Helper()
	var table, plan string
	var ignored any
	if err := file.QueryRowContext(t.Context(), `SELECT table_name FROM _ferretdb_collections WHERE name = ?`, collection).Scan(&table); err != nil {
		t.Fatal(err)
	}
	query := fmt.Sprintf(`EXPLAIN QUERY PLAN SELECT _ferretdb_sjson FROM %q WHERE _ferretdb_sjson->'$._id' = ?`, table)
	if err := file.QueryRowContext(t.Context(), query, "").Scan(&ignored, &ignored, &ignored, &plan); err != nil {
		t.Fatal(err)
	}
	return strings.Contains(plan, "USING INDEX")
}

// FerretDB creates collections and indexes in several steps. A process that was killed
// between two of them must not leave a database into which nothing can be stored.
func TestTheEmbeddedDatabaseSurvivesAKillAtAnyStep(t *testing.T) {
	t.Parallel()
	const (
		table = `CREATE TABLE "webhook_events_c656be8e" (_ferretdb_sjson TEXT NOT NULL CHECK(_ferretdb_sjson != '')) STRICT`
		entry = `INSERT INTO _ferretdb_collections VALUES ('webhook_events', 'webhook_events_c656be8e', '{}')`
		index = `CREATE INDEX "subscriptions_cbb837a5_customer" ON "subscriptions_cbb837a5" (_ferretdb_sjson->"customer_id")`
	)
	for name, step := range map[string]string{
		"a table that is not listed": table, "a table without the index of keys": table + ";" + entry,
		"an entry without a table": entry, "an index that is not listed": index,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			embeddedIn(t, dir, func(db database) {
				if _, err := db.Collection(mongostore.Subscriptions).InsertOne(t.Context(), bson.D{{Key: "_id", Value: "kept"}}); err != nil {
					t.Fatal(err)
				}
			})
			file, err := sql.Open("sqlite", filepath.Join(dir, "killed.sqlite"))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.ExecContext(t.Context(), step); err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
			embeddedIn(t, dir, func(db database) { checkUsable(t, db) })
		})
	}
}

// embeddedIn runs an embedded database in a folder.
func embeddedIn(t *testing.T, dir string, use func(db database)) {
	t.Helper()
	srv, err := docdb.Start(docdb.Config{Addr: "127.0.0.1:0", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	client, err := mongo.Connect(options.Client().ApplyURI(srv.URI()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Disconnect(t.Context()) }()
	use(database{srv.URI(), client.Database("killed")})
}

func checkUsable(t *testing.T, db database) {
	t.Helper()
	s, err := mongostore.Open(mongostore.Config{URI: db.uri, Database: db.Name(), MaxBatch: 16, Now: now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	s.Provision(ctx, true)
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("it is not ready: %v", err)
	}
	commit(t, s, storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
	commit(t, s, storetest.Entry("sub_1", "evt_1", "updated", 1, "active")) // is a repetition
	for collection, want := range map[string]int64{mongostore.Subscriptions: 2, mongostore.WebhookEvents: 1} {
		if n, err := db.Collection(collection).CountDocuments(t.Context(), bson.D{}); err != nil || n != want {
			t.Errorf("%s: got %d documents, %v, want %d", collection, n, err, want)
		}
	}
}
