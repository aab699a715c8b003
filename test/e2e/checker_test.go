package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/chaos/verdict"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

const durable = "billbus-subscriber"

func database(t *testing.T, uri, name string) *mongo.Database {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	return client.Database(name)
}

func drop(t *testing.T, db *mongo.Database) {
	t.Helper()
	for _, name := range []string{"subscriptions", "webhook_events"} {
		if err := db.Collection(name).Drop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}
}

// drained waits until the subscriber has acknowledged every message, for as long as it
// makes progress: the embedded database is slow.
func drained(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	kit.Drained(t, "the subscriber has acknowledged every message", func() (uint64, error) {
		return natstest.Unsettled(t, js, "BILLBUS", durable)
	})
}

type auditDoc struct {
	Key     string    `bson:"_id"`
	EventID string    `bson:"event_id"`
	SubKey  string    `bson:"subscription_key"`
	Created time.Time `bson:"created"`
}

type recordDoc struct {
	Key     string `bson:"_id"`
	Version struct {
		EventID string `bson:"event_id"`
		N       int64  `bson:"n"`
	} `bson:"version"`
}

func audit[T any](t *testing.T, db *mongo.Database) []T {
	t.Helper()
	return docs[T](t, db.Collection("webhook_events"))
}

func records[T any](t *testing.T, db *mongo.Database) []T {
	t.Helper()
	return docs[T](t, db.Collection("subscriptions"))
}

func docs[T any](t *testing.T, collection *mongo.Collection) []T {
	t.Helper()
	cursor, err := collection.Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var all []T
	if err := cursor.All(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// check checks the result after a failure: each event that was answered 200 is in the
// audit trail once, nothing is in the dead letters, and each record shows the latest
// event of its subscription.
func (c *cluster) check(t *testing.T, accepted map[string]bool) {
	t.Helper()
	c.drained(t)
	db := c.database(t)
	latest := checkAudit(t, audit[auditDoc](t, db), accepted)
	all := records[recordDoc](t, db)
	if len(all) != len(latest) {
		t.Errorf("got %d records for %d subscriptions", len(all), len(latest))
	}
	for _, r := range all {
		if want := latest[r.Key]; r.Version.EventID != want.EventID {
			t.Errorf("%s: the record shows %s, and the latest event is %s", r.Key, r.Version.EventID, want.EventID)
		}
	}
	if n := natstest.Count(t, c.jetStream(t), "BILLBUS_DLQ"); n != 0 {
		t.Errorf("got %d dead letters, want none", n)
	}
	t.Logf("%d events accepted, each in the audit trail once; %d records", len(accepted), len(all))
}

// judge checks everything that histories led to, once all their events were sent.
func (c *cluster) judge(t *testing.T, truth map[string]stripesim.Truth) {
	t.Helper()
	run := verdict.Run{
		Accepted: map[string]time.Time{}, History: stripesim.History{Truth: truth}, DB: c.database(t), JS: c.jetStream(t), Stream: "BILLBUS",
	}
	for _, history := range truth {
		for _, e := range history.Events {
			run.Accepted[e.ID] = time.Now()
		}
	}
	result, err := verdict.Examine(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range result.Findings {
		t.Error(finding)
	}
	t.Log(result.Figures)
}

// checkAudit returns the latest event of each subscription. Of two events of one
// second, the one with the greater id is later, as in the ordering rule.
func checkAudit(t *testing.T, audit []auditDoc, accepted map[string]bool) map[string]auditDoc {
	t.Helper()
	seen := map[string]bool{}
	latest := map[string]auditDoc{}
	for _, doc := range audit {
		if seen[doc.EventID] {
			t.Errorf("%s is in the audit trail twice", doc.EventID)
		}
		seen[doc.EventID] = true
		best, ok := latest[doc.SubKey]
		if !ok || doc.Created.After(best.Created) || doc.Created.Equal(best.Created) && doc.EventID > best.EventID {
			latest[doc.SubKey] = doc
		}
	}
	lost := 0
	for id := range accepted {
		if !seen[id] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d events that were answered 200 are not in the audit trail", lost, len(accepted))
	}
	return latest
}
