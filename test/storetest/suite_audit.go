package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

var auditTests = map[string]func(*testing.T, Backend){
	"insert reports each taken key":                     testInsert,
	"find returns what was inserted first":              testFind,
	"find returns a snapshot":                           testFindSnapshot,
	"find returns links and entitlements":               testFindOthers,
	"the preferred of two readings stays":               testPrefer,
	"one of many concurrent readings stays":             testConcurrentPrefer,
	"nothing is found in an empty database":             testNotFound,
	"a damaged document does not hide the others":       testDamaged,
	"a trail holds the events of one subscription":      testTrail,
	"many messages are found together":                  testMessages,
	"histories hold the events of several":              testTrails,
	"the audit is in the order of the keys":             testAudit,
	"one of many concurrent inserts of a key succeeds":  testConcurrentInserts,
	"expired documents come oldest first and can go":    testExpired,
	"removing what is not there or nothing is no error": testRemoveNothing,
	"one of many takes the turn":                        testTurn,
}

func testInsert(t *testing.T, b Backend) {
	db := b.Connect()
	one, two, three := Entry("sub_1", "evt_1", "created", 1, "active"), Entry("sub_1", "evt_2", "updated", 2, "unpaid"), Entry("sub_2", "evt_3", "updated", 3, "paused")
	equal(t, "first", "written exists", outcomes(db.Insert(t.Context(), []store.Entry{two, Rendered(two)})))
	equal(t, "second", "written exists written", outcomes(db.Insert(t.Context(), []store.Entry{one, two, three})))
	equal(t, "all again", "exists exists exists", outcomes(b.Connect().Insert(t.Context(), []store.Entry{one, two, three})))
	equal(t, "nothing", "", outcomes(db.Insert(t.Context(), nil)))
}

func testFind(t *testing.T, b Backend) {
	db := b.Connect()
	first := Entry("sub_1", "evt_1", "updated", 1, "active")
	first.Data.Previous = &events.Previous{Fields: []string{"status", "ended_at"}, Values: events.Subscription{Status: "unpaid"}}
	db.Insert(t.Context(), []store.Entry{first, Rendered(first)})
	db.Insert(t.Context(), []store.Entry{Rendered(first)})
	got, err := b.Connect().Find(t.Context(), first.Key())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "subscription", first.Data.Subscription, got.Data.Subscription)
	equal(t, "event", string(first.Data.Event), string(got.Data.Event))
	equal(t, "fact", factOf(t, first.Message), factOf(t, got))
}

func testFindSnapshot(t *testing.T, b Backend) {
	db := b.Connect()
	entry := snapshot("sub_1", "snap_1", 5, "past_due")
	db.Insert(t.Context(), []store.Entry{entry})
	got, err := db.Find(t.Context(), entry.Key())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "type", []string{events.SubjectSnapshot, ""}, []string{got.Type, got.StripeType})
	equal(t, "object", string(entry.Data.Object), string(got.Data.Object))
	equal(t, "event", "", string(got.Data.Event))
	equal(t, "fact", factOf(t, entry.Message), factOf(t, got))
}

func testFindOthers(t *testing.T, b Backend) {
	db := b.Connect()
	for i, subject := range []string{
		events.SubjectUserLinked, events.SubjectEntitlementsSnapshot, events.SubjectCustomerSnapshot, events.SubjectProductSnapshot, events.SubjectPriceSnapshot,
	} {
		entry := Entry("sub_1", fmt.Sprintf("id_%d", i), "updated", i, "active")
		entry.Type, entry.StripeType, entry.Data.Subscription = subject, "", nil
		entry.Data.Identity = &events.Identity{UserID: "u1", Source: events.IdentityLink, CustomerID: "cus_1"}
		entry.Data.Entitlements = &events.Entitlements{CustomerID: "cus_1", Truncated: true}
		db.Insert(t.Context(), []store.Entry{entry})
		got, err := db.Find(t.Context(), entry.Key())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "type", []string{subject, ""}, []string{got.Type, got.StripeType})
		equal(t, "identity", entry.Data.Identity, got.Data.Identity)
		equal(t, "entitlements", entry.Data.Entitlements, got.Data.Entitlements)
	}
}

func testPrefer(t *testing.T, b Backend) {
	db := b.Connect()
	admitted := Entry("sub_1", "evt_1", "updated", 1, "active")
	admitted.StreamSequence, admitted.CustomerID = 9, "cus_1"
	ignored := Ignored(admitted)
	newer, again := Rendered(admitted), Rendered(admitted)
	elsewhere, nowhere := Entry("sub_2", "evt_1", "updated", 1, "active"), again
	elsewhere.StripeAPIVersion, nowhere.StripeAPIVersion = "2999-01-01", "2999-01-01"
	nowhere.Data.Subscription = nil
	afterwards := newer
	afterwards.Data.Overlap = true
	again.Data.Normalizer, again.Data.RereadAt = 1, noon()
	_, _, err := db.Prefer(t.Context(), ignored)
	equal(t, "nothing to replace", fault.AuditMissing, fault.ReasonOf(err))
	db.Insert(t.Context(), []store.Entry{ignored})
	equal(t, "trail of an ignored event", 0, len(collect(t, db, kit.Key("sub_1"))))
	for _, step := range []struct {
		name     string
		entry    store.Entry
		replaced bool
		want     store.Entry
	}{
		{"the same", ignored, false, ignored},
		{"admitted", admitted, true, admitted},
		{"admitted again", admitted, false, admitted},
		{"of another subscription", elsewhere, false, admitted},
		{"of no subscription", nowhere, false, admitted},
		{"in a newer version", newer, true, afterwards},
		{"in the newer version again", newer, false, afterwards},
		{"in the older version again", admitted, false, afterwards},
		{"ignored after that", ignored, false, afterwards},
		{"read again", again, true, again},
		{"a webhook after that", admitted, false, again},
	} {
		m, replaced, err := b.Connect().Prefer(t.Context(), step.entry)
		equal(t, step.name+": error", nil, err)
		equal(t, step.name+": replaced", step.replaced, replaced)
		equal(t, step.name, step.want.Data.Subscription, m.Data.Subscription)
		found, err := db.Find(t.Context(), admitted.Key())
		equal(t, step.name+": stored", step.want.Data, found.Data)
		equal(t, step.name+": error", nil, err)
	}
	trail := collect(t, db, kit.Key("sub_1"))
	equal(t, "trail", 1, len(trail))
	equal(t, "references", again.References, trail[0].References)
	equal(t, "position", again.Position, trail[0].Position)
}

func testConcurrentPrefer(t *testing.T, b Backend) {
	if b.OneProcess {
		t.Skip("this database's replacements are not atomic across connections")
	}
	first := Entry("sub_1", "evt_1", "updated", 1, "active")
	b.Connect().Insert(t.Context(), []store.Entry{Ignored(first)})
	const readings = 8
	race(b, readings, func(db Store, client int) error {
		e := first
		if client > 0 {
			e = Rendered(e)
			e.Data.Normalizer, e.Data.RereadAt = 1, noon().Add(time.Duration(client)*time.Second)
		}
		_, _, err := db.Prefer(t.Context(), e)
		return err
	})
	found, err := b.Connect().Find(t.Context(), first.Key())
	equal(t, "the reading that stays", noon().Add((readings-1)*time.Second), found.Data.RereadAt)
	equal(t, "error", nil, err)
}

// A winner that is not there, yet or any more, is looked for again later.
func testNotFound(t *testing.T, b Backend) {
	db := b.Connect()
	_, err := db.Find(t.Context(), kit.Key("evt_1"))
	if err == nil || errors.Is(err, store.ErrExists) || fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.AuditMissing {
		t.Errorf("Find: got %v, want a transient error for audit_missing", err)
	}
	heads, err := db.Heads(t.Context(), []string{kit.Key("sub_1")})
	if err != nil || len(heads) != 0 {
		t.Errorf("Heads: got %v, %v, want none", heads, err)
	}
	for a, err := range db.Trail(t.Context(), kit.Key("sub_1")) {
		t.Errorf("Trail: got %v, %v, want nothing", a.ID, err)
	}
	if found, err := db.Search(t.Context(), store.Query{User: "u_1"}); found != nil || err != nil {
		t.Errorf("Search: got %v, %v, want nothing", found, err)
	}
	if state, found, err := db.State(t.Context(), kit.Key("sub_1")); found || err != nil {
		t.Errorf("State: got %v, %v, want none", state, err)
	}
	record, err := db.Record(t.Context(), kit.Key("sub_1"))
	equal(t, "record", store.StoredRecord{Key: kit.Key("sub_1")}, record)
	equal(t, "error", nil, err)
}

func testDamaged(t *testing.T, b Backend) {
	db := b.Connect()
	one, two := Entry("sub_1", "evt_1", "updated", 1, "active"), Entry("sub_1", "evt_2", "updated", 2, "unpaid")
	db.Insert(t.Context(), []store.Entry{one, two})
	b.DamageAudit(one.Key())
	_, err := db.Find(t.Context(), one.Key())
	if fault.KindOf(err) != fault.Permanent || fault.ReasonOf(err) != fault.AuditUnreadable {
		t.Errorf("Find: got %v, want a permanent error for audit_unreadable", err)
	}
	found, err := db.Search(t.Context(), store.Query{})
	if err != nil || len(found) != 2 {
		t.Fatalf("Search: got %v, %v, want two events", found, err)
	}
	for _, got := range [][]store.Audited{found, collect(t, db, kit.Key("sub_1")), audit(t, db)} {
		damaged := store.Audited{Subscription: kit.Key("sub_1"), Unreadable: true, Entry: store.Entry{
			Message:    events.Message{ID: "evt_1", StripeType: one.StripeType, Time: one.Time},
			References: one.References, Position: one.Position,
		}}
		equal(t, "the damaged one", damaged, got[slices.IndexFunc(got, func(a store.Audited) bool { return a.ID == "evt_1" })])
		equal(t, "the other", two.Data.Subscription, got[slices.IndexFunc(got, func(a store.Audited) bool { return a.ID == "evt_2" })].Data.Subscription)
	}
}

// collect returns the trail of a subscription, by id.
func collect(t *testing.T, db store.Search, key string) []store.Audited {
	t.Helper()
	var found []store.Audited
	for a, err := range db.Trail(t.Context(), key) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, a)
	}
	slices.SortFunc(found, func(a, b store.Audited) int { return a.Time.Compare(b.Time) })
	return found
}

func audit(t *testing.T, db store.Verification) []store.Audited {
	t.Helper()
	var found []store.Audited
	for a, err := range db.Audit(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, a)
	}
	return found
}

func testTrail(t *testing.T, b Backend) {
	db := b.Connect()
	ignored := Entry("sub_1", "evt_4", "updated", 4, "active")
	ignored.Data.Ignored = events.IgnoredLivemode
	first := Entry("sub_1", "evt_1", "created", 1, "active")
	db.Insert(t.Context(), []store.Entry{first, Entry("sub_2", "evt_2", "updated", 2, "active"), Entry("sub_1", "evt_3", "updated", 3, "active"), ignored, invoice("sub_1", "evt_5", 5)})
	found := collect(t, db, kit.Key("sub_1"))
	equal(t, "trail", []string{"evt_1", "evt_3"}, idsOf(found))
	equal(t, "subscription", kit.Key("sub_1"), found[0].Subscription)
	equal(t, "event", string(first.Data.Event), string(found[0].Data.Event))
	equal(t, "received", first.Data.ReceivedAt, found[0].Data.ReceivedAt)
	equal(t, "references", first.References, found[0].References)
	equal(t, "position", first.Position, found[0].Position)
	for _, err := range db.Trail(t.Context(), kit.Key("sub_1")) {
		equal(t, "error of the first", error(nil), err)
		break // a sequence can be left early
	}
}

func testMessages(t *testing.T, b Backend) {
	db := b.Connect()
	var entries []store.Entry
	var keys []string
	for i := range 150 { // more than a reply holds
		e := Entry("sub_1", fmt.Sprintf("evt_%d", i), "updated", i, "active")
		entries, keys = append(entries, e), append(keys, e.Key(), kit.Key(fmt.Sprintf("none_%d", i)))
	}
	db.Insert(t.Context(), entries)
	b.DamageAudit(entries[1].Key())
	found, err := b.Connect().Messages(t.Context(), keys)
	equal(t, "error", nil, err)
	equal(t, "found", len(entries), len(found))
	for i, e := range entries {
		got := found[e.Key()]
		equal(t, e.ID+" is unreadable", i == 1, got.Unreadable)
		equal(t, "id", e.ID, got.ID)
		if i != 1 {
			equal(t, e.ID, factOf(t, e.Message), factOf(t, got.Message))
			equal(t, e.ID+": event", string(e.Data.Event), string(got.Data.Event))
		}
	}
	found, err = db.Messages(t.Context(), keys[:1])
	equal(t, "one", entries[0].ID, found[keys[0]].ID)
	equal(t, "error", nil, err)
	found, err = db.Messages(t.Context(), nil)
	equal(t, "of no keys", 0, len(found))
	equal(t, "error", nil, err)
}

func testTrails(t *testing.T, b Backend) {
	db := b.Connect()
	var entries []store.Entry
	for i := range 250 { // more than a reply holds
		entries = append(entries, Entry(fmt.Sprintf("sub_%d", i%5), fmt.Sprintf("evt_%d", i), "updated", i, "active"))
	}
	db.Insert(t.Context(), append(entries, invoice("sub_1", "evt_i", 9)))
	b.DamageAudit(entries[1].Key())
	facts, damaged := map[string]int{}, 0
	for a, err := range b.Connect().Histories(t.Context(), []string{kit.Key("sub_1"), kit.Key("sub_3"), kit.Key("sub_9")}) {
		equal(t, "error", nil, err)
		if a.Unreadable {
			damaged++
			continue
		}
		equal(t, "subscription", a.SubscriptionKey(), a.Subscription)
		factOf(t, a.Message)
		facts[a.Subscription]++
	}
	equal(t, "facts", map[string]int{kit.Key("sub_1"): 49, kit.Key("sub_3"): 50}, facts)
	equal(t, "damaged", 1, damaged)
	for a, err := range db.Histories(t.Context(), nil) {
		t.Errorf("of no subscriptions: got %v, %v", a.ID, err)
	}
}

func testAudit(t *testing.T, b Backend) {
	db := b.Connect()
	db.Insert(t.Context(), []store.Entry{
		Entry("sub_b", "evt_1", "updated", 1, "active"), Entry("sub_a", "evt_2", "updated", 2, "active"), Entry("sub_B", "evt_3", "updated", 3, "unpaid"),
		Entry("sub_b", "evt_4", "updated", 4, "active"), invoice("sub_a", "evt_9", 9),
	})
	var got []string
	for _, a := range audit(t, db) {
		got = append(got, a.Subscription)
	}
	equal(t, "audit", []string{kit.Key("sub_B"), kit.Key("sub_a"), kit.Key("sub_b"), kit.Key("sub_b")}, got)
	n, err := db.AuditSize(t.Context())
	equal(t, "size", int64(4), n)
	equal(t, "error", nil, err)
}

// race runs do on several connections at the same time, and counts the outcomes.
func race(b Backend, clients int, do func(db Store, client int) error) map[string]int {
	failures := make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		db := b.Connect()
		wg.Go(func() { failures[i] = do(db, i) })
	}
	wg.Wait()
	counts := map[string]int{}
	for _, err := range failures {
		counts[outcomes([]error{err})]++
	}
	return counts
}

func testConcurrentInserts(t *testing.T, b Backend) {
	for round := range 5 {
		got := race(b, 4, func(db Store, client int) error {
			return db.Insert(t.Context(), []store.Entry{Entry(fmt.Sprintf("sub_%d", client), fmt.Sprintf("evt_%d", round), "updated", 1, "active")})[0]
		})
		equal(t, "outcomes", map[string]int{"written": 1, "exists": 3}, got)
	}
}

func testExpired(t *testing.T, b Backend) {
	db := b.Connect()
	end := Entry("sub_1", "evt_2", "deleted", 20, "canceled")
	partial := Entry("sub_2", "evt_1", "created", 10, "active")
	partial.Data.Subscription.ItemsTruncated = true
	db.Insert(t.Context(), []store.Entry{Entry("sub_1", "evt_3", "updated", 30, "active"), end, partial, invoice("sub_2", "evt_4", 25), Entry("sub_3", "evt_0", "updated", 9, "active")})
	var got []store.Expired
	for expired, err := range db.Expired(t.Context(), kit.At(10), kit.At(30)) {
		if err != nil {
			t.Fatal(err)
		}
		if expired.ID == "" {
			t.Errorf("%s has no id", expired.EventID)
		}
		expired.ID = ""
		got = append(got, expired)
	}
	equal(t, "expired", []store.Expired{
		{Subscription: kit.Key("sub_2"), EventID: "evt_1", Created: kit.At(10), ItemsTruncated: true},
		{Subscription: kit.Key("sub_1"), EventID: "evt_2", Created: kit.At(20), Terminal: true},
		{EventID: "evt_4", Created: kit.At(25)},
	}, got)
	removeAudited(t, db, "evt_2")
	equal(t, "after removing one", []string{"evt_0", "evt_1", "evt_4", "evt_3"}, auditedIDs(t, db))
	equal(t, "inserting it again", "written", outcomes(db.Insert(t.Context(), []store.Entry{end})))
}

func testRemoveNothing(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, Entry("sub_1", "evt_1", "updated", 1, "active"))
	equal(t, "unknown id", nil, db.RemoveExpired(t.Context(), []string{kit.Key("evt_9")}))
	equal(t, "no ids", nil, db.RemoveExpired(t.Context(), nil))
	equal(t, "audited", []string{"evt_1"}, auditedIDs(t, db))
	heads, err := db.Heads(t.Context(), nil)
	equal(t, "heads of no keys", 0, len(heads))
	equal(t, "error", nil, err)
	expect(t, db, "sub_1", "evt_1", "active", ordering.Determined)
}

func testTurn(t *testing.T, b Backend) {
	clients, want := 4, map[string]int{"written": 1, "exists": 3}
	if b.OneProcess {
		clients, want = 1, map[string]int{"written": 1}
	}
	was := turnOf(t, b)
	equal(t, "before", store.Turn{}, was)
	for round := range 3 {
		next := func(client int) store.Turn {
			return store.Turn{Holder: strconv.Itoa(client), Until: kit.At(10 * (round + 1)), Reached: kit.At(round), Began: kit.At(0)}
		}
		got := race(b, clients, func(db Store, client int) error {
			set, err := db.SetTurn(t.Context(), was, next(client))
			if err == nil && !set {
				return store.ErrExists
			}
			return err
		})
		equal(t, "outcomes", want, got)
		is := turnOf(t, b)
		client, _ := strconv.Atoi(is.Holder)
		equal(t, "turn", next(client), is)
		set, err := b.Connect().SetTurn(t.Context(), was, next(9))
		equal(t, "set after another", []any{false, nil}, []any{set, err})
		was = is
	}
}

func turnOf(t *testing.T, b Backend) store.Turn {
	t.Helper()
	turn, err := b.Connect().Turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return turn
}
