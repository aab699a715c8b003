package e2e_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/access"
	"github.com/billbus/billbus/internal/gaps"
)

// bucket returns the state entries and the access documents of the state view.
func bucket(t *testing.T, js jetstream.JetStream) (map[string]events.Record, map[string]events.AccessDocument) {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), events.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := kv.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states, documents := map[string]events.Record{}, map[string]events.AccessDocument{}
	for _, key := range keys {
		if key == gaps.Key {
			continue
		}
		entry, err := kv.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		var record events.Record
		var document events.AccessDocument
		into := any(&record)
		if strings.HasPrefix(key, "access.") {
			into = &document
		}
		if err := json.Unmarshal(entry.Value(), into); err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if into == &document {
			documents[strings.ReplaceAll(key, ".", ":")] = document
		} else {
			states[strings.ReplaceAll(key, ".", ":")] = record
		}
	}
	return states, documents
}

// checkView compares the state view with the database.
func checkView(t *testing.T, c *cluster) {
	t.Helper()
	db, js := c.database(t), c.jetStream(t)
	states, documents := bucket(t, js)
	owned := map[string][]access.Record{}
	recorded := records[recordDoc](t, db)
	for _, doc := range recorded {
		state, ok := states[doc.Key]
		if !ok || state.Version.EventID != doc.Version.EventID || state.Version.N != doc.Version.N {
			t.Errorf("%s: the entry has %s in revision %d, the record %s in %d", doc.Key, state.Version.EventID, state.Version.N, doc.Version.EventID, doc.Version.N)
		}
		record := access.Record{Subscription: state.Subscription}
		if state.CustomerID != "" {
			key := strings.ReplaceAll(events.CustomerAccessKey(state.Livemode, state.AccountID, state.CustomerID), ".", ":")
			owned[key] = append(owned[key], record)
		}
		if state.UserID != "" {
			key := strings.ReplaceAll(events.UserAccessKey(state.Livemode, state.AccountID, state.UserID), ".", ":")
			owned[key] = append(owned[key], record)
		}
	}
	if len(states) != len(recorded) || len(recorded) == 0 {
		t.Errorf("got %d entries for %d records", len(states), len(recorded))
	}
	stored := byKey(docs[bson.M](t, db.Collection("access")))
	for key, list := range owned {
		want := access.Of(list, documents[key].Features)
		want.Ambiguous = documents[key].Ambiguous // it does not follow from what records say, but from events
		if !documents[key].SameDocument(want) {
			t.Errorf("%s: got %+v, want %+v", key, documents[key], want)
		}
		if stored[key]["revision"] != documents[key].Revision {
			t.Errorf("%s: the database has revision %v, the bucket %d", key, stored[key]["revision"], documents[key].Revision)
		}
	}
	checkAccessMessages(t, js, documents)
}

// checkAccessMessages checks that the messages of each document follow one another, up to
// what it says now.
func checkAccessMessages(t *testing.T, js jetstream.JetStream, documents map[string]events.AccessDocument) {
	t.Helper()
	last := map[string]events.AccessDocument{}
	for _, m := range accessMessages(t, js) {
		before := last[m.Subject]
		if m.Type != events.AccessSubject(before, *m.Data.Access) || m.Data.PreviousAccess != nil && before.Access != "" && !m.Data.PreviousAccess.SameAnswer(before) && before.Access != events.AccessNone {
			t.Errorf("%s: %s does not follow %+v", m.Subject, m.Type, before)
		}
		last[m.Subject] = *m.Data.Access
	}
	for key, document := range documents {
		got := last[strings.ReplaceAll(key, ":", ".")]
		if document.Access != events.AccessNone && !got.SameAnswer(document) || document.Access == events.AccessNone && got.Access != "" && got.Access != events.AccessNone {
			t.Errorf("%s: the last message says %+v, the document %+v", key, got, document)
		}
	}
}
