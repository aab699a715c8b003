package storetest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

var recordTests = map[string]func(*testing.T, Backend){
	"a record keeps all of its facts":                testHeads,
	"a record keeps every field of its subscription": testState,
	"a record is replaced whole":                     testReplacedWhole,
	"only the previous revision is replaced":         testRevision,
	"a record is marked and otherwise stays":         testMark,
	"a collision does not fail other records":        testCollision,
	"one of many concurrent replacements is written": testConcurrentReplacements,
	"records come in the order of their keys":        testRecords,
	"the user of a record is set alone":              testSetUsers,
	"records are found by their customers":           testOwned,
	"identities are found by their owners":           testIdentities,
	"an identity is replaced if it is as it was":     testReplaceIdentity,
}

// recordAt returns a record of a revision that depends on one event.
func recordAt(t *testing.T, sub string, revision int64, status string) store.Record {
	t.Helper()
	winner := Entry(sub, "evt_"+sub, "updated", 1, status).Message
	winner.StripeAPIVersion = "2026-06-24.dahlia"
	winner.Data.Previous = &events.Previous{Fields: []string{"status"}, Values: events.Subscription{Status: "unpaid"}}
	return store.Record{
		Head: store.Head{
			Key: kit.Key(sub), FirstSeenAt: noon(), UpdatedAt: noon(), Revision: revision, Rule: ordering.Rule, Known: []ordering.Fact{factOf(t, winner)},
			Owner: store.OwnerOf(winner.Data.Subscription),
		},
		Winner: winner, Ordering: ordering.Determined, Explanation: "because",
	}
}

func testHeads(t *testing.T, b Backend) {
	db := b.Connect()
	record := recordAt(t, "sub_1", 1, "active")
	created := factOf(t, Entry("sub_1", "evt_0", "created", 1, "active").Message)
	created.Request, created.Terminal, created.Moment = "req_1", true, created.Moment.Add(time.Millisecond)
	created.ItemsTruncated = true
	record.Known = append(record.Known, created)
	other := recordAt(t, "sub_2", 1, "paused")
	other.Terminal = true
	equal(t, "replacing", "written written", outcomes(db.Replace(t.Context(), []store.Record{record, other})))
	heads, err := b.Connect().Heads(t.Context(), []string{kit.Key("sub_1"), kit.Key("sub_2"), kit.Key("sub_3")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "heads", map[string]store.Head{kit.Key("sub_1"): record.Head, kit.Key("sub_2"): other.Head}, heads)
	equal(t, "content", ContentOf(other), content(t, db, kit.Key("sub_2")))
}

// FullMessage returns the message in the tests of package events that has a value in
// every field, with metadata whose keys are no good names for fields. Tests that call it
// run two folders below the module.
func FullMessage(t *testing.T) events.Message {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "events", "testdata", "message.golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := events.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	m.Data.Ignored, m.Data.EventOmitted = "", ""
	m.Data.Subscription.Metadata = map[string]string{
		"user_id": "user 7", "a.b": "dot", "$set": "dollar", "": "empty key", "NUL\x00key": "NUL\x00value", "😀": "💶", "empty": "",
	}
	return m
}

func testState(t *testing.T, b Backend) {
	db := b.Connect()
	full := recordAt(t, "sub_1", 1, "active")
	full.Winner = FullMessage(t)
	full.Owner = store.OwnerOf(full.Winner.Data.Subscription)
	full.User = ordering.User{ID: full.Owner.UserID, Source: events.IdentitySubscriptionMetadata, Conflict: true}
	db.Replace(t.Context(), []store.Record{full, recordAt(t, "sub_2", 1, "paused")})
	for sub, want := range map[string]*events.Subscription{"sub_1": full.Winner.Data.Subscription, "sub_2": recordAt(t, "sub_2", 1, "paused").Winner.Data.Subscription} {
		state, found, err := db.State(t.Context(), kit.Key(sub))
		if !found || err != nil {
			t.Fatalf("%s: got %v, %v", sub, found, err)
		}
		equal(t, sub, *want, state.Subscription)
		equal(t, "ordering", ordering.Determined, state.Ordering)
		equal(t, "explanation", "because", state.Explanation)
		equal(t, "user", state.Subscription.UserID, state.User.ID)
	}
	equal(t, "head", full.Head, headOf(t, db, "sub_1"))
}

// What a later event withdrew does not remain from an earlier one.
func testReplacedWhole(t *testing.T, b Backend) {
	db := b.Connect()
	scheduled := Entry("sub_1", "evt_1", "updated", 1, "active")
	scheduled.Data.Subscription.CancelAt = noon().AddDate(0, 1, 0)
	scheduled.Data.Subscription.UserID = "7"
	scheduled.Data.Subscription.Metadata = map[string]string{"user_id": "7"}
	later := Entry("sub_1", "evt_2", "updated", 2, "active")
	commit(t, db, scheduled, later)
	state, _, err := db.State(t.Context(), kit.Key("sub_1"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "state", *later.Data.Subscription, state.Subscription)
	if found, err := db.Search(t.Context(), store.Query{User: "7"}); len(found) != 0 || err != nil {
		t.Errorf("searching for the user: got %v, %v, want nothing", idsOf(found), err)
	}
}

func testRevision(t *testing.T, b Backend) {
	db := b.Connect()
	for i, step := range []struct {
		revision int64
		status   string
		want     string
	}{
		{1, "active", "written"},
		{1, "unpaid", "exists"},
		{3, "unpaid", "exists"},
		{2, "paused", "written"},
		{2, "unpaid", "exists"},
		{1, "unpaid", "exists"},
		{3, "past_due", "written"},
	} {
		failures := db.Replace(t.Context(), []store.Record{recordAt(t, "sub_1", step.revision, step.status)})
		equal(t, fmt.Sprintf("step %d", i), step.want, outcomes(failures))
		if step.want == "written" {
			equal(t, fmt.Sprintf("status after step %d", i), step.status, content(t, db, kit.Key("sub_1")).Status)
		}
	}
	equal(t, "status in the end", "past_due", content(t, db, kit.Key("sub_1")).Status)
	// The record was removed meanwhile: there is nothing that could be lost.
	equal(t, "a later revision of a record that is missing", "written", outcomes(db.Replace(t.Context(), []store.Record{recordAt(t, "sub_2", 7, "active")})))
}

func testMark(t *testing.T, b Backend) {
	db := b.Connect()
	equal(t, "marking no record", "exists", outcomes([]error{db.Mark(t.Context(), store.Head{Key: kit.Key("sub_1")})}))
	record := recordAt(t, "sub_1", 1, "active")
	record.Rule = ordering.Rule - 1
	db.Replace(t.Context(), []store.Record{record})
	before, head := content(t, db, kit.Key("sub_1")), headOf(t, db, "sub_1")
	fieldsBefore := storedRecord(t, db).Fields
	equal(t, "marking it", nil, db.Mark(t.Context(), head))
	equal(t, "another revision", "exists", outcomes([]error{db.Mark(t.Context(), head)}))
	head.Revision, head.Reread = 2, true
	equal(t, "head", head, headOf(t, db, "sub_1"))
	equal(t, "content", before, content(t, db, kit.Key("sub_1")))
	equal(t, "fields", fieldsBefore, storedRecord(t, db).Fields)
	equal(t, "the next revision", "written", outcomes(db.Replace(t.Context(), []store.Record{recordAt(t, "sub_1", 3, "paused")})))
}

func testCollision(t *testing.T, b Backend) {
	db := b.Connect()
	db.Replace(t.Context(), []store.Record{recordAt(t, "sub_1", 1, "active"), recordAt(t, "sub_3", 1, "active")})
	failures := db.Replace(t.Context(), []store.Record{
		recordAt(t, "sub_0", 1, "unpaid"), recordAt(t, "sub_1", 1, "unpaid"), recordAt(t, "sub_2", 1, "unpaid"),
		recordAt(t, "sub_3", 2, "unpaid"), recordAt(t, "sub_4", 1, "unpaid"),
	})
	equal(t, "outcomes", "written exists written written written", outcomes(failures))
	var statuses []string
	for i := range 5 {
		statuses = append(statuses, content(t, db, kit.Key(fmt.Sprintf("sub_%d", i))).Status)
	}
	equal(t, "statuses", []string{"unpaid", "active", "unpaid", "unpaid", "unpaid"}, statuses)
}

func testConcurrentReplacements(t *testing.T, b Backend) {
	if b.OneProcess {
		t.Skip("this database's replacements are not atomic across connections")
	}
	for n := range int64(20) {
		got := race(b, 4, func(db Store, _ int) error {
			return db.Replace(t.Context(), []store.Record{recordAt(t, "sub_1", n+1, "active")})[0]
		})
		equal(t, "outcomes", map[string]int{"written": 1, "exists": 3}, got)
	}
}

func testRecords(t *testing.T, b Backend) {
	db := b.Connect()
	db.Replace(t.Context(), []store.Record{recordAt(t, "sub_b", 1, "active"), recordAt(t, "sub_a", 1, "active"), recordAt(t, "sub_B", 1, "active")})
	var keys, eventIDs []string
	for record, err := range db.Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys, eventIDs = append(keys, record.Key), append(eventIDs, record.EventID)
		one, err := db.Record(t.Context(), record.Key)
		equal(t, record.Key, one, record)
		equal(t, "error", nil, err)
	}
	equal(t, "keys", []string{kit.Key("sub_B"), kit.Key("sub_a"), kit.Key("sub_b")}, keys)
	equal(t, "events", []string{"evt_sub_B", "evt_sub_a", "evt_sub_b"}, eventIDs)
}
