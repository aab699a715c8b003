package mongostore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

func keys(doc bson.M) []string { return slices.Sorted(maps.Keys(doc)) }

func version(doc bson.M) bson.M {
	v, _ := doc["version"].(bson.M)
	return v
}

// expect compares the winner of a record and its status.
func expect(t *testing.T, record bson.M, eventID, status, ordering string) {
	t.Helper()
	got := []any{version(record)["event_id"], record["status"], record["ordering"]}
	if diff := cmp.Diff([]any{eventID, status, ordering}, got); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestDocumentsOfEvents(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		ignored := storetest.Entry("sub_1", "evt_8", "updated", 8, "unpaid")
		ignored.Type, ignored.Data.Ignored = "stripe.customer.subscription.updated", events.IgnoredLivemode
		commit(t, s, storetest.Entry("sub_1", "evt_1", "updated", 1, "active"), storetest.Entry("sub_1", "evt_2", "deleted", 2, "canceled"), ignored)
		if got := version(db.record(t, "sub_1"))["terminal"]; got != true {
			t.Errorf("version.terminal: got %v", got)
		}
		for id, want := range map[string][]any{
			"evt_1": {"test:platform:sub_1", false, `{"id":"evt_1"}`},
			"evt_2": {"test:platform:sub_1", true, `{"id":"evt_2"}`},
			"evt_8": {nil, false, `{"id":"evt_8"}`},
		} {
			doc := db.find(t, mongostore.WebhookEvents, kit.Key(id))
			if diff := cmp.Diff(want, []any{doc["subscription_key"], doc["terminal"], doc["payload"]}); diff != "" {
				t.Errorf("%s: subscription_key, terminal, payload (-want +got):\n%s", id, diff)
			}
		}
	})
}

func TestDocumentsOfASnapshot(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		snapshot := storetest.Entry("sub_1", "snap_1", "updated", 5, "past_due")
		snapshot.Type, snapshot.StripeType, snapshot.Data.Event = events.SubjectSnapshot, "", nil
		snapshot.Data.Origin, snapshot.Data.Reason, snapshot.Data.ReadAt = events.OriginThin, events.ReasonThin, snapshot.Time
		snapshot.Data.Object = []byte(`{"id":"sub_1"}`)
		commit(t, db.open(t, nil), snapshot)
		record := db.record(t, "sub_1")
		expect(t, record, "snap_1", "past_due", "determined")
		if got := version(record)["event_type"]; got != "subscription.snapshot" {
			t.Errorf("version.event_type: got %v", got)
		}
		audit := db.find(t, mongostore.WebhookEvents, "test:platform:snap_1")
		if audit["type"] != "subscription.snapshot" || audit["payload"] != `{"id":"sub_1"}` || audit["subscription_key"] != "test:platform:sub_1" {
			t.Errorf("got audit document %v", audit)
		}
		if message, _ := audit["message"].(string); strings.Contains(message, `"object"`) || !strings.Contains(message, `"reason":"thin"`) {
			t.Errorf("got message %v, want one without the object", audit["message"])
		}
	})
}

func TestRecordIsReplacedWhole(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		clock := now()
		s := db.open(t, func() time.Time { return clock })
		scheduled := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
		scheduled.Data.Subscription.CancelAt = now().AddDate(0, 1, 0)
		scheduled.Data.Subscription.UserID = "7"
		scheduled.Data.Subscription.Metadata = map[string]string{"user_id": "7"}
		commit(t, s, scheduled)
		has(t, db.raw(t, mongostore.Subscriptions, "test:platform:sub_1"), "cancel_at", "user_id", "user_id_source", "metadata")
		db.set(t, mongostore.Subscriptions, kit.Key("sub_1"), bson.D{{Key: "unknown", Value: 1}})
		clock = clock.Add(time.Hour)
		commit(t, s, storetest.Entry("sub_1", "evt_2", "updated", 2, "active"))
		want := []string{
			"_id", "access", "explanation", "first_seen_at", "livemode", "ordering", "status", "subscription_id", "updated_at", "version",
		}
		record := db.record(t, "sub_1")
		if diff := cmp.Diff(want, keys(record)); diff != "" {
			t.Errorf("fields after the withdrawal (-want +got):\n%s", diff)
		}
		times := []any{record["first_seen_at"], record["updated_at"]}
		if diff := cmp.Diff([]any{bson.NewDateTimeFromTime(now()), bson.NewDateTimeFromTime(clock)}, times); diff != "" {
			t.Errorf("first_seen_at, updated_at (-want +got):\n%s", diff)
		}
	})
}

// content returns a record without when and how often it was written.
func content(record bson.M) bson.M {
	doc := maps.Clone(record)
	delete(doc, "first_seen_at")
	delete(doc, "updated_at")
	delete(version(doc), "n")
	return doc
}

// A record of an older rule lacks fields, and its numbers may be of another type.
func TestRecordOfAnOlderRuleIsDecidedAgain(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		commit(t, s, storetest.Entry("sub_1", "evt_1", "updated", 1, "active"), storetest.Entry("sub_1", "evt_2", "updated", 2, "past_due"),
			storetest.Entry("sub_2", "evt_3", "updated", 9, "active"))
		want := content(db.record(t, "sub_1"))
		// By the older rule the first event won, and no other one was kept.
		db.set(t, mongostore.Subscriptions, kit.Key("sub_1"), bson.D{
			{Key: "version.rule", Value: int32(ordering.Rule - 1)},
			{Key: "version.event_id", Value: "evt_1"},
			{Key: "status", Value: "active"},
			{Key: "version.known", Value: bson.A{bson.D{
				{Key: "event_id", Value: "evt_9"}, {Key: "type", Value: "x"}, {Key: "moment", Value: now()}, {Key: "terminal", Value: true},
			}}},
		})
		commit(t, s, storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
		if diff := cmp.Diff(want, content(db.record(t, "sub_1"))); diff != "" {
			t.Errorf("record (-want +got):\n%s", diff)
		}
		if got := version(db.record(t, "sub_1"))["n"]; got != int64(4) { // it is marked first
			t.Errorf("version.n: got %v, want 4", got)
		}
		want = content(db.record(t, "sub_2"))
		db.set(t, mongostore.Subscriptions, kit.Key("sub_2"), bson.D{{Key: "version.rule", Value: int32(ordering.Rule - 1)}, {Key: "status", Value: "unpaid"}})
		commit(t, s, storetest.Entry("sub_2", "evt_3", "updated", 9, "active"))
		if diff := cmp.Diff(want, content(db.record(t, "sub_2"))); diff != "" {
			t.Errorf("record of one event (-want +got):\n%s", diff)
		}
	})
}

func TestStateIsWhatTheDocumentSays(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		entry := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
		commit(t, s, entry)
		db.set(t, mongostore.Subscriptions, kit.Key("sub_1"), bson.D{{Key: "cancel_at", Value: now()}, {Key: "status", Value: "paused"}, {Key: "unknown", Value: 1}})
		state, found, err := s.State(t.Context(), kit.Key("sub_1"))
		if !found || err != nil {
			t.Fatalf("got %v, %v", found, err)
		}
		if diff := cmp.Diff([]string{"status", "cancel_at"}, events.Diff(entry.Data.Subscription, &state.Subscription).Fields); diff != "" {
			t.Errorf("differing fields (-want +got):\n%s", diff)
		}
		db.set(t, mongostore.Subscriptions, kit.Key("sub_1"), bson.D{{Key: "cancel_at", Value: "soon"}})
		if state, _, err := s.State(t.Context(), kit.Key("sub_1")); err == nil {
			t.Errorf("a date that is not one: got %+v", state)
		}
	})
}

// With unacknowledged writes, every failure would look like success.
func TestOptionsInTheURIDoNotWeaken(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		separator := "?"
		if strings.Contains(db.uri, "?") {
			separator = "&"
		}
		db.uri += separator + "w=0&readPreference=secondary"
		s := db.open(t, nil)
		entry := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
		effects := commit(t, s, entry, entry, storetest.Entry("sub_1", "evt_2", "updated", 2, "past_due"))
		if diff := cmp.Diff([]store.Effect{store.Applied, store.Duplicate, store.Applied}, effects); diff != "" {
			t.Errorf("effects (-want +got):\n%s", diff)
		}
	})
}

func TestTooLargeFailsAlone(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		large := storetest.Entry("sub_2", "evt_2", "updated", 1, "active")
		large.Data.Event = []byte(`"` + strings.Repeat("x", 16<<20) + `"`)
		effects, errs := s.CommitBatch(t.Context(), storetest.Entry("sub_1", "evt_1", "updated", 1, "active"), large, storetest.Entry("sub_3", "evt_3", "updated", 1, "active"))
		if fault.KindOf(errs[1]) != fault.Permanent || fault.ReasonOf(errs[1]) != fault.TooLarge {
			t.Errorf("got %v for %s, want permanent for too_large", errs[1], fault.ReasonOf(errs[1]))
		}
		if errs[0] != nil || errs[2] != nil {
			t.Errorf("the others failed: %v, %v", errs[0], errs[2])
		}
		if effects[0] != store.Applied || effects[2] != store.Applied {
			t.Errorf("effects of the others: got %v", effects)
		}
		expect(t, db.record(t, "sub_1"), "evt_1", "active", "determined")
		expect(t, db.record(t, "sub_3"), "evt_3", "active", "determined")
		if db.record(t, "sub_2") != nil {
			t.Error("there is a record without an audit document")
		}
		if got := len(db.all(t, mongostore.WebhookEvents, bson.D{})); got != 2 {
			t.Errorf("got %d audit documents, want 2", got)
		}
	})
}

// A batch may be larger than one command of the wire protocol.
func TestBatchLargerThanOneCommand(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		var entries []store.Entry
		for i := range 5 {
			e := storetest.Entry(fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_%d", i), "updated", 1, "active")
			e.Data.Event = []byte(`"` + strings.Repeat("x", 12_000_000) + `"`)
			entries = append(entries, e)
		}
		commit(t, s, storetest.Entry("sub_9", "evt_4", "updated", 1, "past_due")) // one of the last command is a duplicate
		_, errs := s.CommitBatch(t.Context(), entries...)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			expect(t, db.record(t, fmt.Sprintf("sub_%d", i)), fmt.Sprintf("evt_%d", i), "active", "determined")
		}
		expect(t, db.record(t, "sub_9"), "evt_4", "past_due", "determined")
		if db.record(t, "sub_4") != nil {
			t.Error("the message of a duplicate became a record")
		}
	})
}

// The state view goes by what a commit says, and by what is read if that says nothing.
func TestACommitSaysWhatIsRead(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, func() time.Time { return now().Add(123456789 * time.Nanosecond) })
		entries := []store.Entry{fullEntry(t)}
		entries[0].Time = entries[0].Time.Add(987654 * time.Nanosecond)
		for seed := range uint64(10) {
			random := rand.New(rand.NewPCG(seed, 0))
			generated := storetest.Generate(random, fmt.Sprintf("sub_%d", seed), 8)
			storetest.Own(random, generated)
			entries = append(entries, generated...)
		}
		said := 0
		for _, e := range entries {
			var state *store.State
			e.Committed = func(changed []store.Changed) {
				if len(changed) == 1 {
					state = changed[0].State
				}
			}
			commit(t, s, e)
			if state == nil {
				continue
			}
			said++
			read, found, err := s.State(t.Context(), e.SubscriptionKey())
			if err != nil || !found {
				t.Fatalf("reading the record after %s: %v, %v", e.ID, found, err)
			}
			if diff := cmp.Diff(asJSON(t, read), asJSON(t, *state)); diff != "" {
				t.Errorf("after %s (-read +said):\n%s", e.ID, diff)
			}
		}
		if said < 20 {
			t.Errorf("%d commits said what they wrote", said)
		}
	})
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
