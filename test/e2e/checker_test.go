package e2e_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const durable = "billbus-subscriber"

func jetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func database(t *testing.T, uri string) *mongo.Database {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	return client.Database("billbus")
}

// drained waits until the subscriber has settled every message of the stream,
// for as long as it gets on: the embedded database is not a fast one.
func drained(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	const patience = 90 * time.Second
	least, moved := uint64(math.MaxUint64), time.Now()
	for {
		left, err := unsettled(t, js)
		if err == nil && left == 0 {
			return
		}
		if err == nil && left < least {
			least, moved = left, time.Now()
		}
		if time.Since(moved) > patience {
			t.Fatalf("%d messages are left, and nothing was settled for %v", left, patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// unsettled goes by the stream's own count: a consumer learns of a new message a
// moment after the publisher did.
func unsettled(t *testing.T, js jetstream.JetStream) (uint64, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	c, err := js.Consumer(ctx, "BILLBUS", durable)
	if err != nil {
		return 0, err
	}
	stream, err := js.Stream(ctx, "BILLBUS")
	if err != nil {
		return 0, err
	}
	return stream.CachedInfo().State.LastSeq - c.CachedInfo().AckFloor.Stream, nil
}

func count(t *testing.T, js jetstream.JetStream, stream string) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

type auditRow struct {
	Key     string    `bson:"_id"`
	EventID string    `bson:"event_id"`
	SubKey  string    `bson:"subscription_key"`
	Created time.Time `bson:"created"`
}

type stateRow struct {
	Key     string `bson:"_id"`
	Version struct {
		EventID string `bson:"event_id"`
		N       int64  `bson:"n"`
	} `bson:"version"`
}

func rows[T any](t *testing.T, collection *mongo.Collection) []T {
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

// check is the verdict after every fault: what was answered 200 is audited,
// each event once, nothing is in the dead letters, and each state is that of
// the latest audited event of its subscription.
func (c *cluster) check(t *testing.T, accepted map[string]bool) {
	t.Helper()
	js := jetStream(t, c.natsURL)
	drained(t, js)
	db := database(t, c.mongoURI)
	latest := checkAudit(t, rows[auditRow](t, db.Collection("webhook_events")), accepted)
	states := rows[stateRow](t, db.Collection("subscriptions"))
	if len(states) != len(latest) {
		t.Errorf("got %d states for %d subscriptions", len(states), len(latest))
	}
	for _, s := range states {
		if want := latest[s.Key]; s.Version.EventID != want.EventID {
			t.Errorf("%s: state is of %s, the latest event is %s", s.Key, s.Version.EventID, want.EventID)
		}
	}
	if n := count(t, js, "BILLBUS_DLQ"); n != 0 {
		t.Errorf("got %d dead letters, want none", n)
	}
	t.Logf("%d events accepted, all audited once; %d states", len(accepted), len(states))
}

// checkAudit returns the latest event of each subscription. Two events of one
// moment are told apart by their ids, as the ordering rule does.
func checkAudit(t *testing.T, audit []auditRow, accepted map[string]bool) map[string]auditRow {
	t.Helper()
	seen := map[string]bool{}
	latest := map[string]auditRow{}
	for _, row := range audit {
		if seen[row.EventID] {
			t.Errorf("%s is audited twice", row.EventID)
		}
		seen[row.EventID] = true
		best, ok := latest[row.SubKey]
		if !ok || row.Created.After(best.Created) || row.Created.Equal(best.Created) && row.EventID > best.EventID {
			latest[row.SubKey] = row
		}
	}
	lost := 0
	for id := range accepted {
		if !seen[id] {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d events that were answered 200 are not audited", lost, len(accepted))
	}
	return latest
}
