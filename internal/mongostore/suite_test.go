package mongostore_test

import (
	"os"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

func TestSuiteOnEmbedded(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Backend {
		backend := newBackend(t, newDatabase(t, embedded), 4)
		backend.OneProcess = true
		return backend
	})
}

func TestSuiteOnMongoDB(t *testing.T) {
	t.Parallel()
	uri := os.Getenv(mongoVariable)
	if uri == "" {
		t.Skipf("set %s to run this on a MongoDB", mongoVariable)
	}
	storetest.Run(t, func(t *testing.T) storetest.Backend { return newBackend(t, newDatabase(t, uri), 100) })
}

func newBackend(t *testing.T, db database, histories int) storetest.Backend {
	t.Helper()
	return storetest.Backend{
		Connect:   func() store.Database { return db.open(t, nil).Documents() },
		Record:    func(key string) storetest.Record { return db.record(t, key) },
		Histories: histories,
	}
}

// record is what a state says, read from its document.
func (db database) record(t *testing.T, key string) storetest.Record {
	t.Helper()
	raw := db.raw(t, mongostore.Subscriptions, key)
	if raw == nil {
		return storetest.Record{}
	}
	var doc struct {
		Status, Description, Ordering, Explanation string
		Version                                    struct {
			EventID  string `bson:"event_id"`
			Terminal bool
			Rule     int
		}
	}
	if err := bson.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	heads, err := db.open(t, nil).Documents().Heads(t.Context(), []string{key})
	if err != nil {
		t.Fatal(err)
	}
	return storetest.Record{
		EventID: doc.Version.EventID, Status: doc.Status, Description: doc.Description, Terminal: doc.Version.Terminal,
		Ordering: ordering.Certainty(doc.Ordering), Explanation: doc.Explanation, Rule: doc.Version.Rule, Known: heads[key].Known,
	}
}
