package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

var entitlementTests = map[string]func(*testing.T, Backend){
	"a document about entitlements is replaced by the next revision": testEntitled,
	"the events about the entitlements of customers":                 testEntitlementEvents,
	"the newest list counts, in any order":                           testEntitlementsOrder,
	"a list that was read again counts":                              testEntitlementsReread,
	"a list whose audit document is damaged counts":                  testEntitlementsDamaged,
}

func entitledOf(t *testing.T, db Store, customer string) store.Entitled {
	t.Helper()
	key := kit.Key(customer)
	found, err := db.Entitlements(t.Context(), []string{key, kit.Key("nobody")})
	if err != nil || len(found) > 1 {
		t.Fatalf("got %v, %v", found, err)
	}
	return found[key]
}

func testEntitled(t *testing.T, b Backend) {
	db := b.Connect()
	features := []events.Feature{{FeatureID: "feat_a", LookupKey: "a"}, {FeatureID: "feat_b"}}
	full := store.Entitled{
		Key: kit.Key("cus_1"), CustomerID: "cus_1", Revision: 1, FirstSeenAt: noon(), UpdatedAt: noon().Add(time.Millisecond), Reread: true,
		CustomerEntitlements: ordering.CustomerEntitlements{
			Features: features, Truncated: true, EventID: "evt_1", Ambiguous: true,
			Known: []ordering.EntitlementsFact{
				{Entitlements: events.Entitlements{CustomerID: "cus_1", Features: features, Truncated: true}, EventID: "evt_1", Moment: noon(), Read: true},
				{Entitlements: events.Entitlements{CustomerID: "cus_1"}, EventID: "evt_2", Moment: noon()},
			},
		},
	}
	empty := store.Entitled{Key: full.Key, CustomerID: "cus_1", Revision: 2, FirstSeenAt: noon(), UpdatedAt: noon()}
	empty.EventID, empty.Known = "evt_3", full.Known[1:]
	for _, step := range []struct{ put, want store.Entitled }{{full, full}, {full, full}, {empty, empty}, {full, empty}, {empty, empty}} {
		if err := db.PutEntitlements(t.Context(), step.put); err != nil && !errors.Is(err, store.ErrExists) {
			t.Fatal(err)
		}
		equal(t, "document", step.want, entitledOf(t, b.Connect(), "cus_1"))
	}
	equal(t, "a revision that is left out", "exists", outcomes([]error{db.PutEntitlements(t.Context(), full)}))
	var keys []string
	for key, err := range db.EntitlementKeys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	equal(t, "keys", []string{full.Key}, keys)
}

func testEntitlementEvents(t *testing.T, b Backend) {
	db := b.Connect()
	invoiced := invoice("sub_1", "evt_5", 1)
	invoiced.CustomerID = "cus_1"
	commit(t, db,
		EntitlementsEntry("cus_1", "evt_1", 1, "a"), EntitlementsSnapshot("cus_1", "snap_1", 2, "a", "b"),
		EntitlementsEntry("cus_2", "evt_2", 1), EntitlementsEntry("cus_3", "evt_3", 1), invoiced)
	var ids []string
	for a, err := range db.EntitlementEvents(t.Context(), []string{"cus_1", "cus_3"}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, a.ID)
		equal(t, "whether the message has the list", true, a.Data.Entitlements != nil)
	}
	slices.Sort(ids)
	equal(t, "events", []string{"evt_1", "evt_3", "snap_1"}, ids)
}

func features(e store.Entitled) (words []string) {
	for _, f := range e.Features {
		words = append(words, f.LookupKey)
	}
	return words
}

// Of fourteen features an event lists ten.
func testEntitlementsOrder(t *testing.T, b Backend) {
	all := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"}
	lists := []store.Entry{
		EntitlementsEntry("cus_1", "evt_1", 1, "a", "x"),
		EntitlementsEntry("cus_1", "evt_2", 2, append(slices.Clone(all[:10]), "…")...),
		EntitlementsSnapshot("cus_1", "snap_1", 2, all...),
	}
	db := b.Connect()
	for order, at := range [][]int{{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}} {
		account := "acct_" + string(rune('a'+order))
		for _, i := range at {
			e := lists[i]
			e.StripeAccount = account
			commit(t, db, e, e)
		}
		key := events.Key(false, account, "cus_1")
		found, err := db.Entitlements(t.Context(), []string{key})
		if err != nil {
			t.Fatal(err)
		}
		got := found[key]
		equal(t, account, all, features(got))
		equal(t, "winner", "snap_1", got.EventID)
		equal(t, "customer", "cus_1", got.CustomerID)
		before := got.Revision
		commit(t, db, entryOf(lists[0], account))
		found, _ = db.Entitlements(t.Context(), []string{key})
		equal(t, "revision after a duplicate", before, found[key].Revision)
	}
}

func entryOf(e store.Entry, account string) store.Entry {
	e.StripeAccount = account
	return e
}

// The later reading says that the list was cut off, so an earlier list counts again.
func testEntitlementsReread(t *testing.T, b Backend) {
	db := b.Connect()
	first, second := EntitlementsEntry("cus_1", "evt_1", 1, "a", "b"), EntitlementsEntry("cus_1", "evt_2", 2, "c")
	commit(t, db, first, second)
	equal(t, "before", []string{"c"}, features(entitledOf(t, db, "cus_1")))
	again := EntitlementsEntry("cus_1", "evt_2", 2, "c", "…")
	again.Data.Normalizer, again.Data.RereadAt = 2, noon()
	commit(t, db, again)
	got := entitledOf(t, db, "cus_1")
	equal(t, "after", []string{"a", "b", "c"}, features(got))
	equal(t, "reread", true, got.Reread)
	commit(t, db, second, EntitlementsEntry("cus_1", "evt_3", 3, "d", "…"))
	equal(t, "later", []string{"a", "b", "c", "d"}, features(entitledOf(t, db, "cus_1")))
}

func testEntitlementsDamaged(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, EntitlementsEntry("cus_1", "evt_1", 1, "a"), EntitlementsEntry("cus_1", "evt_2", 2, "b", "…"))
	b.DamageAudit(kit.Key("evt_1"))
	again := EntitlementsEntry("cus_1", "evt_2", 2, "b", "c", "…")
	again.Data.Normalizer, again.Data.RereadAt = 2, noon()
	commit(t, db, again)
	equal(t, "features", []string{"a", "b", "c"}, features(entitledOf(t, db, "cus_1")))
}

// canceledEntitlements are the calls that a canceled context ends.
func canceledEntitlements(ctx context.Context, db Store) map[string]func() error {
	return map[string]func() error{
		"Entitlements": func() error { _, err := db.Entitlements(ctx, []string{kit.Key("cus_1")}); return err },
		"PutEntitlements": func() error {
			return db.PutEntitlements(ctx, store.Entitled{Key: kit.Key("cus_1"), Revision: 1})
		},
		"EntitlementEvents": func() error { return last(db.EntitlementEvents(ctx, []string{"cus_1"})) },
		"EntitlementKeys":   func() error { return last(db.EntitlementKeys(ctx)) },
	}
}
