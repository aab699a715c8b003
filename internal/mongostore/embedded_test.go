package mongostore_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

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
