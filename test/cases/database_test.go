package cases_test

import (
	"context"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// content is what standalone has stored and published, in the types of encoding/json.
type content struct {
	records  map[string][]any // by the id of the subscription
	audit    map[string][]any // by the id of the event
	messages map[string][]any // by the id of the event
}

func (a *alone) content(t *testing.T) content {
	t.Helper()
	db := a.database(t)
	return content{
		records: documents(t, db.Collection("subscriptions"), "subscription_id"),
		audit:   documents(t, db.Collection("webhook_events"), "event_id"), messages: a.messages(t),
	}
}

func (a *alone) database(t *testing.T) *mongo.Database {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(a.mongoURI))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Disconnect(context.WithoutCancel(t.Context())) })
	return client.Database("billbus")
}

// documents returns all documents of a collection by a field.
func documents(t *testing.T, collection *mongo.Collection, field string) map[string][]any {
	t.Helper()
	cursor, err := collection.Find(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	var all []bson.D
	if err := cursor.All(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	index := map[string][]any{}
	for _, doc := range all {
		plain := plain(doc)
		id, _ := lookup(plain, field).(string)
		index[id] = append(index[id], plain)
	}
	return index
}

// plain returns a value of the database in the types of encoding/json.
func plain(value any) any {
	switch v := value.(type) {
	case bson.D:
		fields := make(map[string]any, len(v))
		for _, e := range v {
			fields[e.Key] = plain(e.Value)
		}
		return fields
	case bson.A:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case bson.DateTime:
		return v.Time().UTC().Format(time.RFC3339)
	case int64:
		return float64(v)
	case int32:
		return float64(v)
	}
	return value
}
