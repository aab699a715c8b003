package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

var commitTests = map[string]func(*testing.T, Backend){
	"each entry has its effect":                         testEffects,
	"a batch is one write for each subscription":        testBatch,
	"a duplicate restores a missing record":             testDuplicateRestores,
	"the rendering in the newest version counts":        testNewestRendering,
	"an event that ended it, in an older version":       testOlderVersionEnded,
	"a record of an older rule is marked first":         testOlderRuleIsMarked,
	"a damaged document counts if the record knows it":  testRereadWithDamage,
	"a tie is ambiguous in any order":                   testTie,
	"a subscription that ended stays ended":             testTerminal,
	"the time of the first event stays":                 testFirstSeen,
	"another writer is first":                           testAnotherWriter,
	"another writer is first for some of a batch":       testAnotherWriterInBatch,
	"another writer is always first":                    testEndlessCollision,
	"a record of an older rule is decided again":        testOlderRule,
	"a record of a newer rule is left alone":            testNewerRule,
	"a winner that is missing is a transient error":     testMissingWinner,
	"a winner of another subscription is an error":      testMismatchedWinner,
	"a damaged document does not stop a decision":       testDecisionWithDamage,
	"a snapshot is audited and counts":                  testSnapshot,
	"a snapshot counts when a record is decided again":  testSnapshotAgain,
	"a truncated list removes no known item":            testTruncatedItems,
	"the order of commits does not matter":              testAnyOrder,
	"generated histories lead to the oracle's records":  testHistories,
	"a duplicate of a document that is damaged fails":   testDuplicateOfDamaged,
	"events of the other mode or account are only kept": testIgnored,
	"the user is the same in any order":                 testUserInAnyOrder,
	"a claim changes all records of its customer":       testClaimOnMany,
	"a claim that changes nothing writes nothing more":  testClaimWithoutEffect,
	"the preferred reading of a claim counts":           testClaimReadAgain,
}

func testEffects(t *testing.T, b Backend) {
	db := b.Connect()
	effects := commit(t, db,
		Entry("sub_1", "evt_2", "updated", 2, "active"), Entry("sub_1", "evt_1", "updated", 1, "trialing"),
		Entry("sub_1", "evt_3", "updated", 3, "past_due"), Entry("sub_1", "evt_3", "updated", 3, "past_due"), invoice("sub_1", "evt_9", 9))
	equal(t, "effects", []store.Effect{store.Applied, store.Recorded, store.Applied, store.Duplicate, store.Recorded}, effects)
	expect(t, db, "sub_1", "evt_3", "past_due", ordering.Determined)
	// The event that may matter later is written, the duplicate is not.
	equal(t, "revision", int64(3), headOf(t, db, "sub_1").Revision)
	equal(t, "audited", []string{"evt_1", "evt_2", "evt_3", "evt_9"}, auditedIDs(t, db))
}

func testIgnored(t *testing.T, b Backend) {
	db := b.Connect()
	ignored := Entry("sub_1", "evt_8", "updated", 8, "unpaid")
	ignored.Type, ignored.Data.Ignored = "stripe.customer.subscription.updated", events.IgnoredLivemode
	equal(t, "effects", []store.Effect{store.Recorded}, commit(t, db, ignored))
	equal(t, "content", Content{}, content(t, db, kit.Key("sub_1")))
	found, err := db.Search(t.Context(), store.Query{})
	if err != nil || len(found) != 1 || found[0].Subscription != "" {
		t.Errorf("got %+v, %v, want one event that shows no state", found, err)
	}
}

func testBatch(t *testing.T, b Backend) {
	db := b.Connect()
	effects := commitBatch(t, db,
		Entry("sub_1", "evt_2", "updated", 2, "active"), Entry("sub_1", "evt_1", "created", 1, "incomplete"),
		Entry("sub_2", "evt_3", "created", 1, "incomplete"), Entry("sub_1", "evt_2", "updated", 2, "unpaid"))
	equal(t, "effects", []store.Effect{store.Applied, store.Recorded, store.Applied, store.Applied}, effects)
	expect(t, db, "sub_1", "evt_2", "active", ordering.Determined)
	expect(t, db, "sub_2", "evt_3", "incomplete", ordering.Determined)
	equal(t, "revision", int64(1), headOf(t, db, "sub_1").Revision)
}

// A crash may come after the audit document and before the record.
func testDuplicateRestores(t *testing.T, b Backend) {
	db := b.Connect()
	entry := Entry("sub_1", "evt_1", "updated", 1, "active")
	commit(t, db, entry)
	before, head := content(t, db, kit.Key("sub_1")), headOf(t, db, "sub_1")
	b.RemoveRecord(kit.Key("sub_1"))
	equal(t, "removed", Content{}, content(t, db, kit.Key("sub_1")))
	equal(t, "effect", []store.Effect{store.Applied}, commit(t, db, entry))
	equal(t, "content", before, content(t, db, kit.Key("sub_1")))
	equal(t, "head", head, headOf(t, db, "sub_1"))
}

func testNewestRendering(t *testing.T, b Backend) {
	db := b.Connect()
	old := Entry("sub_1", "evt_1", "deleted", 9, "canceled")
	newest := Entry("sub_1", "evt_1", "updated", 9, "unpaid")
	newest.StripeAPIVersion, newest.Data.Event = "2026-06-24.dahlia", []byte(`{"id":"evt_1","new":true}`)
	resent := Entry("sub_1", "evt_1", "updated", 1, "active")
	resent.StripeAPIVersion = newest.StripeAPIVersion
	overlaps := 0
	committer := store.NewCommitter(db, noon)
	committer.OnOverlap = func() { overlaps++ }
	for i, batches := range [][][]store.Entry{
		{{old}, {newest}, {resent}}, {{newest}, {old}, {resent}}, {{newest}, {resent}, {old}}, {{old, newest, resent}}, {{newest, old, resent}},
	} {
		overlaps = 0
		for _, batch := range batches {
			for _, result := range committer.Commit(t.Context(), batch) {
				equal(t, "error", nil, result.Err)
			}
		}
		equal(t, fmt.Sprintf("overlaps of sequence %d", i), 1, overlaps)
		expect(t, db, "sub_1", "evt_1", "unpaid", ordering.Determined)
		payload, _, err := db.Payload(t.Context(), "evt_1")
		equal(t, "payload", string(newest.Data.Event), payload)
		equal(t, "error", nil, err)
		b.RemoveRecord(kit.Key("sub_1"))
		removeAudited(t, db, "evt_1")
	}
}

// What an event in an older version had left out counts again.
func testOlderVersionEnded(t *testing.T, b Backend) {
	db := b.Connect()
	ended := Entry("sub_1", "evt_1", "updated", 1, "canceled")
	newer := Entry("sub_1", "evt_1", "updated", 1, "active")
	newer.StripeAPIVersion = "2026-06-24.dahlia"
	other := Entry("sub_1", "evt_2", "updated", 9, "unpaid")
	other.StripeAPIVersion = newer.StripeAPIVersion
	commit(t, db, ended, other)
	expect(t, db, "sub_1", "evt_1", "canceled", ordering.Determined)
	commit(t, db, newer)
	expect(t, db, "sub_1", "evt_2", "unpaid", ordering.Determined)
	effects := commit(t, db, newer, ended, other)
	equal(t, "effects", []store.Effect{store.Duplicate, store.Duplicate, store.Duplicate}, effects)
	expect(t, db, "sub_1", "evt_2", "unpaid", ordering.Determined)
	equal(t, "reread", true, headOf(t, db, "sub_1").Reread)
}

// A subscriber of the release before audits an event, and finds that the record covers
// it, while the record is decided by the present rule.
func testOlderRuleIsMarked(t *testing.T, b Backend) {
	db, second := b.Connect(), b.Connect()
	commit(t, db, Entry("sub_1", "evt_1", "updated", 1, "active"))
	older(t, db, "sub_1", "active")
	late := Entry("sub_1", "evt_2", "updated", 9, "unpaid")
	clock := stopAt(func() {
		equal(t, "inserted", "written", outcomes(second.Insert(t.Context(), []store.Entry{late})))
		if head := headOf(t, second, "sub_1"); head.Reread { // then it writes in any case
			record := recordAt(t, "sub_1", head.Revision+1, "active")
			record.Rule, record.Reread = head.Rule, true
			equal(t, "replaced", "written", outcomes(second.Replace(t.Context(), []store.Record{record})))
		}
	})
	result := store.NewCommitter(db, clock).Commit(t.Context(), []store.Entry{Entry("sub_1", "evt_3", "updated", 2, "paused")})[0]
	equal(t, "error", nil, result.Err)
	expect(t, db, "sub_1", "evt_2", "unpaid", ordering.Determined)
	// Now every subscriber has the same rule.
	equal(t, "reread", false, headOf(t, db, "sub_1").Reread)
}

// A document is damaged, and another event is read again: its own event still ends the
// subscription, whether or not the record was marked before.
func testRereadWithDamage(t *testing.T, b Backend) {
	for _, marked := range []bool{false, true} {
		db := b.Connect()
		sub := fmt.Sprintf("sub_%v", marked)
		ended, after := Entry(sub, "evt_1"+sub, "deleted", 1, "canceled"), Entry(sub, "evt_2"+sub, "updated", 2, "canceled")
		commit(t, db, ended, after, Entry(sub, "evt_3"+sub, "updated", 9, "active"))
		b.DamageAudit(ended.Key())
		if marked {
			equal(t, "marked", nil, db.Mark(t.Context(), headOf(t, db, sub)))
		}
		again := after
		again.Data.Normalizer, again.Data.RereadAt = 1, noon()
		canceled := *after.Data.Subscription
		canceled.Description, again.Data.Subscription = "read again", &canceled
		commit(t, db, again)
		expect(t, db, sub, after.ID, "canceled", ordering.Determined)
		equal(t, "description", "read again", content(t, db, kit.Key(sub)).Description)
		again.Data.RereadAt = noon().Add(time.Second)
		canceled.Status = "active"
		err := store.NewCommitter(db, noon).Commit(t.Context(), []store.Entry{again})[0].Err
		equal(t, "only the damaged one ends it", fault.AuditUnreadable, fault.ReasonOf(err))
		expect(t, db, sub, after.ID, "canceled", ordering.Determined)
	}
}

func testTie(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, Entry("sub_1", "evt_1a", "updated", 1, "active"), Entry("sub_1", "evt_1b", "updated", 1, "past_due"))
	expect(t, db, "sub_1", "evt_1b", "past_due", ordering.Ambiguous)
	// Here the winner comes first, and is read from the audit trail again.
	commit(t, db, Entry("sub_2", "evt_2b", "updated", 1, "past_due"), Entry("sub_2", "evt_2a", "updated", 1, "active"))
	expect(t, db, "sub_2", "evt_2b", "past_due", ordering.Ambiguous)
	equal(t, "known facts", 2, len(headOf(t, db, "sub_2").Known))
	commit(t, db, Entry("sub_2", "evt_2c", "updated", 2, "active"))
	expect(t, db, "sub_2", "evt_2c", "active", ordering.Determined)
}

func testTerminal(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, Entry("sub_1", "evt_1", "deleted", 1, "canceled"))
	equal(t, "effect", []store.Effect{store.Recorded}, commit(t, db, Entry("sub_1", "evt_2", "updated", 9, "active")))
	expect(t, db, "sub_1", "evt_1", "canceled", ordering.Determined)
	commit(t, db, Entry("sub_1", "evt_3", "updated", 10, "canceled"))
	expect(t, db, "sub_1", "evt_3", "canceled", ordering.Determined)
	equal(t, "terminal", true, content(t, db, kit.Key("sub_1")).Terminal)
}

func testFirstSeen(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, Entry("sub_1", "evt_1", "updated", 1, "active"))
	later := func() time.Time { return noon().Add(time.Hour) }
	store.NewCommitter(db, later).Commit(t.Context(), []store.Entry{Entry("sub_1", "evt_2", "updated", 2, "unpaid")})
	want := store.Head{Key: kit.Key("sub_1"), FirstSeenAt: noon(), UpdatedAt: later(), Revision: 2, Rule: ordering.Rule, Known: headOf(t, db, "sub_1").Known}
	want.Listings, want.Owner = map[string]int64{}, store.Owner{SubscriptionID: "sub_1"}
	equal(t, "head", want, headOf(t, db, "sub_1"))
	expect(t, db, "sub_1", "evt_2", "unpaid", ordering.Determined)
}

// Two writers collide: neither may overwrite what the other has seen.
func testAnotherWriter(t *testing.T, b Backend) {
	const earlier, later = 2, 3
	for i, tt := range []struct {
		exists      bool // whether there is a record before
		mine, other int  // seconds
		effect      store.Effect
		revision    int64
	}{
		{false, later, earlier, store.Applied, 2},
		{false, earlier, later, store.Recorded, 2},
		{false, later, later, store.Applied, 2},
		{true, later, earlier, store.Applied, 3},
		{true, earlier, later, store.Recorded, 3},
		{true, later, later, store.Applied, 3},
	} {
		db, second := b.Connect(), b.Connect()
		sub := fmt.Sprintf("sub_%d", i)
		mine, other := Entry(sub, "evt_mine_"+sub, "updated", tt.mine, "active"), Entry(sub, "evt_other_"+sub, "updated", tt.other, "past_due")
		if tt.exists {
			commit(t, db, Entry(sub, "evt_0_"+sub, "created", 1, "incomplete"))
		}
		clock := stopAt(func() { commit(t, second, other) })
		result := store.NewCommitter(db, clock).Commit(t.Context(), []store.Entry{mine})[0]
		equal(t, sub, store.Result{Effect: tt.effect}, result)
		switch {
		case tt.mine == tt.other:
			expect(t, db, sub, other.ID, "past_due", ordering.Ambiguous)
		case tt.mine > tt.other:
			expect(t, db, sub, mine.ID, "active", ordering.Determined)
		default:
			expect(t, db, sub, other.ID, "past_due", ordering.Determined)
		}
		equal(t, "revision", tt.revision, headOf(t, db, sub).Revision)
	}
}

func testAnotherWriterInBatch(t *testing.T, b Backend) {
	db, second := b.Connect(), b.Connect()
	clock := stopAt(func() {
		commit(t, second, Entry("sub_1", "evt_other", "updated", 1, "past_due"), Entry("sub_3", "evt_other3", "updated", 1, "past_due"))
	})
	var batch []store.Entry
	for i := range 5 {
		batch = append(batch, Entry(fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_%d", i), "updated", 2, "active"))
	}
	for _, result := range store.NewCommitter(db, clock).Commit(t.Context(), batch) {
		equal(t, "result", store.Result{Effect: store.Applied}, result)
	}
	for i := range 5 {
		expect(t, db, fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_%d", i), "active", ordering.Determined)
	}
}

func testEndlessCollision(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, Entry("sub_1", "evt_1", "updated", 1, "active"))
	attempts := 0
	clock := func() time.Time {
		attempts++
		b.RemoveRecord(kit.Key("sub_1"))
		equal(t, "another writer", "written", outcomes(db.Replace(t.Context(), []store.Record{recordAt(t, "sub_1", int64(100*attempts), "active")})))
		return noon()
	}
	err := store.NewCommitter(db, clock).Commit(t.Context(), []store.Entry{Entry("sub_1", "evt_2", "updated", 2, "paused")})[0].Err
	if fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.DatabaseContention {
		t.Errorf("got %v for %s, want transient for database_contention", err, fault.ReasonOf(err))
	}
	equal(t, "attempts", 20, attempts)
	equal(t, "audited", []string{"evt_1", "evt_2"}, auditedIDs(t, db))
}

// older replaces a record by one that an older rule decided: with another status, and
// with facts that are not in the audit trail.
func older(t *testing.T, db store.Database, sub, status string) {
	t.Helper()
	record := recordAt(t, sub, headOf(t, db, sub).Revision+1, status)
	record.Rule, record.Known[0].EventID, record.Known[0].Terminal = ordering.Rule-1, "evt_unknown", true
	equal(t, "older record", "written", outcomes(db.Replace(t.Context(), []store.Record{record})))
}

func testOlderRule(t *testing.T, b Backend) {
	db := b.Connect()
	first := Entry("sub_1", "evt_1", "updated", 1, "active")
	commit(t, db, first, Entry("sub_1", "evt_2", "updated", 2, "past_due"), Entry("sub_2", "evt_3", "updated", 9, "active"))
	want := content(t, db, kit.Key("sub_1"))
	older(t, db, "sub_1", "active")
	commit(t, db, first)
	equal(t, "content", want, content(t, db, kit.Key("sub_1")))
	equal(t, "revision", int64(5), headOf(t, db, "sub_1").Revision)
	// The facts may be the same, and the state still another one.
	want = content(t, db, kit.Key("sub_2"))
	record := recordAt(t, "sub_2", 2, "unpaid")
	record.Rule, record.Known = ordering.Rule-1, want.Known
	db.Replace(t.Context(), []store.Record{record})
	commit(t, db, Entry("sub_2", "evt_3", "updated", 9, "active"))
	equal(t, "content of one event", want, content(t, db, kit.Key("sub_2")))
}

func testNewerRule(t *testing.T, b Backend) {
	db := b.Connect()
	record := recordAt(t, "sub_1", 1, "active")
	record.Rule = ordering.Rule + 1
	db.Replace(t.Context(), []store.Record{record})
	before, head := content(t, db, kit.Key("sub_1")), headOf(t, db, "sub_1")
	results := store.NewCommitter(db, noon).Commit(t.Context(), []store.Entry{Entry("sub_1", "evt_2", "updated", 2, "past_due"), Entry("sub_2", "evt_3", "updated", 2, "active")})
	if err := results[0].Err; !errors.Is(err, store.ErrNewerRule) || fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.NewerRule {
		t.Errorf("got %v for %s, want a transient ErrNewerRule", err, fault.ReasonOf(err))
	}
	equal(t, "content", before, content(t, db, kit.Key("sub_1")))
	equal(t, "head", head, headOf(t, db, "sub_1"))
	equal(t, "another subscription", store.Result{Effect: store.Applied}, results[1])
	expect(t, db, "sub_2", "evt_3", "active", ordering.Determined)
}

func testTruncatedItems(t *testing.T, b Backend) {
	db := b.Connect()
	item := func(id string, quantity int64) events.Item { return events.Item{ID: id, Quantity: &quantity} }
	complete, later, last := Entry("sub_1", "evt_1", "updated", 1, "active"), Entry("sub_1", "evt_2", "updated", 20, "active"), Entry("sub_1", "evt_3", "updated", 40, "unpaid")
	complete.Data.Subscription.Items = []events.Item{item("a", 1), item("b", 1)}
	later.Data.Subscription.Items, later.Data.Subscription.ItemsTruncated = []events.Item{item("a", 2)}, true
	last.Data.Subscription.Items, last.Data.Subscription.ItemsTruncated = []events.Item{item("a", 3), item("c", 1)}, true
	commit(t, db, complete, later)
	equal(t, "items", "a:2 b:1 …", content(t, db, kit.Key("sub_1")).Items)
	commit(t, db, last)
	equal(t, "items", "a:3 b:1 c:1 …", content(t, db, kit.Key("sub_1")).Items)
	want := content(t, db, kit.Key("sub_1"))
	older(t, db, "sub_1", "active")
	commit(t, db, later)
	equal(t, "decided again", want, content(t, db, kit.Key("sub_1")))
	// Here the complete list arrives last.
	for _, e := range []*store.Entry{&complete, &later, &last} {
		e.Data.Subscription.ID, e.ID = "sub_2", e.ID+"b"
	}
	commit(t, db, last, later, complete)
	equal(t, "items of the other", "a:3 b:1 c:1 …", content(t, db, kit.Key("sub_2")).Items)
}

// A record whose winner is not in the audit trail, or is about another subscription
// there, is left as it is.
func testMissingWinner(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, Entry("sub_1", "evt_2", "updated", 1, "active"))
	removeAudited(t, db, "evt_2")
	testTransient(t, db, fault.AuditMissing)
}

func testMismatchedWinner(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, Entry("sub_1", "evt_2", "updated", 1, "active"))
	removeAudited(t, db, "evt_2")
	commit(t, db, Entry("sub_2", "evt_2", "updated", 1, "active"))
	testTransient(t, db, fault.AuditMismatch)
}

func testTransient(t *testing.T, db Store, reason fault.Reason) {
	t.Helper()
	before, head := content(t, db, kit.Key("sub_1")), headOf(t, db, "sub_1")
	err := store.NewCommitter(db, noon).Commit(t.Context(), []store.Entry{Entry("sub_1", "evt_1", "updated", 1, "past_due")})[0].Err
	if err == nil || fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != reason {
		t.Errorf("got %v of kind %v for %s, want transient for %s", err, fault.KindOf(err), fault.ReasonOf(err), reason)
	}
	equal(t, "content", before, content(t, db, kit.Key("sub_1")))
	equal(t, "head", head, headOf(t, db, "sub_1"))
}

func testDuplicateOfDamaged(t *testing.T, b Backend) {
	db := b.Connect()
	entry := Entry("sub_1", "evt_1", "updated", 1, "active")
	db.Insert(t.Context(), []store.Entry{entry})
	b.DamageAudit(entry.Key())
	err := store.NewCommitter(db, noon).Commit(t.Context(), []store.Entry{entry})[0].Err
	if fault.KindOf(err) != fault.Permanent || fault.ReasonOf(err) != fault.AuditUnreadable {
		t.Errorf("got %v for %s, want permanent for audit_unreadable", err, fault.ReasonOf(err))
	}
	equal(t, "content", Content{}, content(t, db, kit.Key("sub_1")))
}

func testDecisionWithDamage(t *testing.T, b Backend) {
	db := b.Connect()
	damaged := Entry("sub_1", "evt_3", "updated", 3, "unpaid")
	commit(t, db, Entry("sub_1", "evt_1", "updated", 1, "active"), Entry("sub_1", "evt_2", "updated", 2, "past_due"), damaged)
	b.DamageAudit(damaged.Key())
	older(t, db, "sub_1", "active")
	commit(t, db, Entry("sub_1", "evt_1", "updated", 1, "active"))
	expect(t, db, "sub_1", "evt_2", "past_due", ordering.Determined)
}

func testSnapshot(t *testing.T, b Backend) {
	db := b.Connect()
	effects := commit(t, db, Entry("sub_1", "evt_1", "updated", 1, "active"), snapshot("sub_1", "snap_1", 5, "past_due"), Entry("sub_1", "evt_2", "updated", 2, "active"))
	equal(t, "effects", []store.Effect{store.Applied, store.Applied, store.Recorded}, effects)
	expect(t, db, "sub_1", "snap_1", "past_due", ordering.Determined)
	found, err := db.Search(t.Context(), store.Query{Type: "subscription.snapshot"})
	if err != nil || len(found) != 1 || found[0].Subscription != kit.Key("sub_1") || found[0].Data.Reason != events.ReasonThin || found[0].Data.Object != nil {
		t.Errorf("got %+v, %v, want the snapshot without its object", found, err)
	}
}

func testSnapshotAgain(t *testing.T, b Backend) {
	db := b.Connect()
	first := Entry("sub_1", "evt_1", "updated", 1, "active")
	commit(t, db, first, snapshot("sub_1", "snap_1", 5, "past_due"))
	want := content(t, db, kit.Key("sub_1"))
	older(t, db, "sub_1", "active")
	commit(t, db, first)
	equal(t, "content", want, content(t, db, kit.Key("sub_1")))
}

// testAnyOrder commits histories with ties and ends from eight goroutines at the same
// time, then removes the records and commits everything again in another order.
func testAnyOrder(t *testing.T, b Backend) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	db, queues := b.Connect(), connect(t, b)
	for round := range max(b.Histories/5, 4) {
		subs := []string{fmt.Sprintf("sub_%da", round), fmt.Sprintf("sub_%db", round)}
		entries := slices.Concat(tiedHistory(subs[0], random), tiedHistory(subs[1], random))
		if err := commitAll(t.Context(), queues, repeated(random, entries)); err != nil {
			t.Fatal(err)
		}
		compare(t, db, entries)
		for _, sub := range subs {
			want := content(t, db, kit.Key(sub))
			b.RemoveRecord(kit.Key(sub))
			if err := commitAll(t.Context(), queues, repeated(random, entries)); err != nil {
				t.Fatal(err)
			}
			equal(t, sub+" in another order", want, content(t, db, kit.Key(sub)))
		}
		if got := len(auditedIDs(t, db)); got < len(entries) {
			t.Errorf("got %d audit documents, want at least %d", got, len(entries))
		}
	}
}

// tiedHistory returns a history of four events a second that may end in between.
func tiedHistory(sub string, random *rand.Rand) []store.Entry {
	statuses := []string{"trialing", "active", "past_due", "unpaid"}
	var list []store.Entry
	for i := range 12 {
		word := "updated"
		if i == 0 {
			word = "created"
		}
		id := fmt.Sprintf("evt_%s_%02d", sub, random.IntN(90)*100+i)
		list = append(list, Entry(sub, id, word, i/4, statuses[random.IntN(len(statuses))]))
	}
	if random.IntN(2) == 0 {
		list = append(list, Entry(sub, "evt_"+sub+"_end", "deleted", 1, "canceled"), Entry(sub, "evt_"+sub+"_after", "updated", 1, "canceled"))
	}
	return list
}

// testHistories commits generated histories from eight goroutines at the same time, some
// events twice and some in two renderings, and compares the records with the oracle.
func testHistories(t *testing.T, b Backend) {
	random := rand.New(rand.NewPCG(uint64(b.Histories), 0))
	db, queues := b.Connect(), connect(t, b)
	for i := range b.Histories {
		entries := slices.Concat(Generate(random, fmt.Sprintf("sub_%da", i), 10), Generate(random, fmt.Sprintf("sub_%db", i), 10))
		if err := commitAll(t.Context(), queues, repeated(random, entries)); err != nil {
			t.Fatal(err)
		}
		compare(t, db, entries)
	}
}

func connect(t *testing.T, b Backend) []*store.Queue {
	t.Helper()
	processes := 3
	if b.OneProcess {
		processes = 1
	}
	queues := make([]*store.Queue, processes)
	for i := range queues {
		queues[i] = store.NewQueue(store.NewCommitter(b.Connect(), noon), 4)
		t.Cleanup(queues[i].Close)
	}
	return queues
}

// repeated returns the entries in any order, each at least once.
func repeated(random *rand.Rand, entries []store.Entry) []store.Entry {
	list := slices.Clone(entries)
	for _, e := range entries[:len(entries)/3] {
		list = append(list, e, Rendered(e))
	}
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func commitAll(ctx context.Context, queues []*store.Queue, list []store.Entry) error {
	const workers = 8
	failures := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(list); i += workers {
				_, err := queues[i%len(queues)].Commit(ctx, list[i])
				failures[w] = cmp.Or(failures[w], err)
			}
		})
	}
	wg.Wait()
	return errors.Join(failures...)
}

// compare compares the records of the entries' subscriptions with what is audited.
func compare(t *testing.T, db Store, entries []store.Entry) {
	t.Helper()
	audited := map[string]events.Message{}
	for _, e := range entries {
		m, err := db.Find(t.Context(), e.Key())
		if err != nil {
			t.Fatalf("%s was committed: %v", e.ID, err)
		}
		audited[e.Key()] = m
	}
	for key, want := range Oracle(slices.Collect(maps.Values(audited))) {
		equal(t, key, want, content(t, db, key))
	}
}
