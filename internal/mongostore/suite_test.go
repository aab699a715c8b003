package mongostore_test

import (
	"os"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/internal/mongostore"
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

func TestSuiteInMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) storetest.Backend { return newBackend(t, newDatabase(t, inMemory), 100) })
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
		Connect: func() storetest.Store { return db.open(t, nil) },
		DamageAudit: func(key string) {
			db.set(t, mongostore.WebhookEvents, key, bson.D{{Key: "message", Value: "{"}})
		},
		DamageRecord: func(key string) {
			res, err := db.Collection(mongostore.Subscriptions).ReplaceOne(t.Context(), bson.D{{Key: "_id", Value: key}}, bson.D{})
			if err != nil || res.MatchedCount != 1 {
				t.Fatalf("damaging %s: %v, %v", key, res, err)
			}
		},
		RemoveRecord: func(key string) { db.remove(t, mongostore.Subscriptions, key) },
		Histories:    histories,
	}
}
