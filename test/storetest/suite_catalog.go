package storetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

var catalogTests = map[string]func(*testing.T, Backend){
	"a listing is replaced whole, by the next revision":   testListing,
	"only what is not finished is unswept":                testUnswept,
	"records that refer to a listing come in pages":       testReferring,
	"the newest event of a price counts, in any order":    testNewestListing,
	"a record that is written has the names":              testNamed,
	"a sweep puts new names into records, page by page":   testSweep,
	"a sweep is continued by another process":             testSweepContinued,
	"a record with an unreadable event is left out":       testSweepBroken,
	"a duplicate gives names to a record of before":       testNamesUnknown,
	"a verification compares names only with the catalog": testNamesAreVerified,
}

// priced returns an event of a subscription with an item of a price and a product.
func priced(sub, id string, second int) store.Entry {
	e, one := Entry(sub, id, "updated", second, "active"), int64(1)
	e.Data.Subscription.Items = []events.Item{{
		ID: "si_1", PriceID: "price_1", ProductID: "prod_1", Nickname: "as of the event", LookupKey: "as of the event", Quantity: &one,
	}}
	return e
}

func listingOf(t *testing.T, db store.Listings, kind store.Kind, id string) store.Listing {
	t.Helper()
	key := store.ListingKey(kind, false, "", id)
	found, err := db.Listings(t.Context(), []string{key, "test:platform:product:none"})
	if err != nil {
		t.Fatal(err)
	}
	return found[key]
}

func testListing(t *testing.T, b Backend) {
	db, active := b.Connect(), false
	full := store.Listing{
		Key: store.ListingKey(store.Price, false, "", "price 1"), Revision: 1, Kind: store.Price, ID: "price 1",
		Name: "name", Nickname: "nickname", LookupKey: "key", ProductID: "prod_1", Active: &active, Deleted: true,
		EventID: "evt_1", Created: noon(), APIVersion: "2026-06-24.dahlia", Normalizer: 2, RereadAt: noon().Add(time.Millisecond), Version: 3,
		Sweep: store.Sweep{Unfinished: true, Reached: kit.Key("sub_1"), Holder: "me", Until: noon()},
	}
	empty := store.Listing{Key: full.Key, Revision: 2, Kind: store.Price, ID: "price 1", EventID: "evt_2", Created: noon()}
	for i, step := range []struct {
		listing store.Listing
		want    string
	}{{full, "written"}, {full, "exists"}, {empty, "written"}, {full, "exists"}, {empty, "exists"}} {
		equal(t, fmt.Sprint("step ", i), step.want, outcomes([]error{db.PutListing(t.Context(), step.listing)}))
		want := empty
		if i < 2 {
			want = full
		}
		equal(t, fmt.Sprint("after step ", i), want, listingOf(t, b.Connect(), store.Price, "price 1"))
	}
}

func testUnswept(t *testing.T, b Backend) {
	db := b.Connect()
	for _, id := range []string{"price_2", "price_1", "price_3"} {
		l := store.Listing{Key: store.ListingKey(store.Price, false, "", id), Revision: 1, Kind: store.Price, ID: id, Created: noon()}
		l.Sweep.Unfinished = id != "price_3"
		equal(t, id, "written", outcomes([]error{db.PutListing(t.Context(), l)}))
	}
	var got []string
	unswept, err := db.Unswept(t.Context())
	for _, l := range unswept {
		got = append(got, l.ID)
	}
	equal(t, "unswept", []string{"price_1", "price_2"}, got)
	if err != nil {
		t.Error(err)
	}
}

func testReferring(t *testing.T, b Backend) {
	db := b.Connect()
	other := priced("sub_0", "evt_0", 1)
	other.StripeAccount = "acct_1"
	second := priced("sub_2", "evt_2", 1)
	second.Data.Subscription.Items = append([]events.Item{{ID: "si_0", PriceID: "price_0", Quantity: second.Data.Subscription.Items[0].Quantity}}, second.Data.Subscription.Items...)
	commit(t, db, other, priced("sub_3", "evt_3", 1), second, priced("sub_1", "evt_1", 1), Entry("sub_4", "evt_4", "updated", 1, "active"))
	refers := func(kind store.Kind, account, id, after string, most int) string {
		keys, err := db.Referring(t.Context(), store.Listing{Key: store.ListingKey(kind, false, account, id), Kind: kind, ID: id}, after, most)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(keys, " ")
	}
	for _, kind := range []store.Kind{store.Price, store.Product} {
		id := map[store.Kind]string{store.Price: "price_1", store.Product: "prod_1"}[kind]
		equal(t, "the first page", kit.Key("sub_1")+" "+kit.Key("sub_2"), refers(kind, "", id, "", 2))
		equal(t, "the second page", kit.Key("sub_3"), refers(kind, "", id, kit.Key("sub_2"), 2))
		equal(t, "another account", "test:acct_1:sub_0", refers(kind, "acct_1", id, "", 2))
		equal(t, "another one", "", refers(kind, "", "prod_9", "", 2))
	}
	equal(t, "a second item", kit.Key("sub_2"), refers(store.Price, "", "price_0", "", 2))
}

// Every pair of events is committed in both orders.
func testNewestListing(t *testing.T, b Backend) {
	rendered := PriceEntry("price_1", "evt_2", "updated", 1)
	rendered.StripeAPIVersion, rendered.Data.Price.Nickname = "2026-06-24.dahlia", "newer rendering"
	ignored := PriceEntry("price_1", "evt_9", "updated", 9)
	ignored.Data.Ignored = events.IgnoredAccount
	plan := PriceEntry("price_1", "evt_9", "updated", 9)
	plan.StripeType = "plan.updated"
	imported := PriceEntry("price_1", "snap_1", "updated", 2)
	imported.Type, imported.StripeType, imported.Data.Event = events.SubjectPriceSnapshot, "", nil
	imported.Data.Origin, imported.Data.ReadAt, imported.Data.Object = events.OriginImport, imported.Time, []byte(`{"id":"price_1"}`)
	for name, tt := range map[string]struct {
		events [2]store.Entry
		want   string
	}{
		"the later one":                  {[2]store.Entry{PriceEntry("price_1", "evt_2", "created", 1), PriceEntry("price_1", "evt_1", "updated", 2)}, "nickname of evt_1"},
		"the greater id of one second":   {[2]store.Entry{PriceEntry("price_1", "evt_1", "updated", 1), PriceEntry("price_1", "evt_2", "updated", 1)}, "nickname of evt_2"},
		"nothing comes after a deletion": {[2]store.Entry{PriceEntry("price_1", "evt_1", "deleted", 1), PriceEntry("price_1", "evt_2", "updated", 2)}, "nickname of evt_1"},
		"the rendering of the audit":     {[2]store.Entry{PriceEntry("price_1", "evt_2", "updated", 1), rendered}, "newer rendering"},
		"not one that is ignored":        {[2]store.Entry{PriceEntry("price_1", "evt_1", "updated", 1), ignored}, "nickname of evt_1"},
		"a snapshot of an import":        {[2]store.Entry{PriceEntry("price_1", "evt_1", "updated", 1), imported}, "nickname of snap_1"},
		"a snapshot, of one second":      {[2]store.Entry{PriceEntry("price_1", "evt_1", "updated", 2), imported}, "nickname of snap_1"},
		"an event after a snapshot":      {[2]store.Entry{PriceEntry("price_1", "evt_1", "updated", 3), imported}, "nickname of evt_1"},
		"not one of the plan":            {[2]store.Entry{PriceEntry("price_1", "evt_1", "updated", 1), plan}, "nickname of evt_1"},
	} {
		for order := range tt.events {
			account := fmt.Sprintf("acct_%x_%d", name, order)
			db := b.Connect()
			for i := range tt.events {
				e := tt.events[i^order]
				e.StripeAccount = account
				commit(t, db, e)
			}
			key := store.ListingKey(store.Price, false, account, "price_1")
			found, err := db.Listings(t.Context(), []string{key})
			if got := found[key]; got.Nickname != tt.want || err != nil {
				t.Errorf("%s, order %d: got %+v, %v, want %q", name, order, got, err, tt.want)
			}
		}
	}
}

const asOfTheEvent = "si_1:1 (, as of the event, as of the event)"

func testNamed(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, priced("sub_1", "evt_1", 1))
	equal(t, "before the catalog has them", asOfTheEvent, content(t, db, kit.Key("sub_1")).Items)
	bare := PriceEntry("price_1", "evt_2", "updated", 2)
	bare.Data.Price.LookupKey = ""
	commit(t, db, bare, ProductEntry("prod_1", "evt_3", "created", 2), priced("sub_1", "evt_4", 3), priced("sub_2", "evt_5", 3))
	for _, sub := range []string{"sub_1", "sub_2"} {
		equal(t, sub, "si_1:1 (name of evt_3, nickname of evt_2, )", content(t, db, kit.Key(sub)).Items)
	}
	version := noon().UnixMilli()
	equal(t, "versions", map[string]int64{"test:platform:price:price_1": version, "test:platform:product:prod_1": version}, headOf(t, db, "sub_1").Listings)
}

// sweep sweeps until there is nothing left to do, and returns how many records each step
// wrote.
func sweep(t *testing.T, db store.Database, holder string, now func() time.Time) (pages []int) {
	t.Helper()
	committer := store.NewCommitter(db, now)
	for {
		swept, err := committer.SweepPage(t.Context(), holder, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !swept.More {
			return pages
		}
		pages = append(pages, swept.Written)
	}
}

func testSweep(t *testing.T, b Backend) {
	db := b.Connect()
	var entries []store.Entry
	for i := range 51 {
		entries = append(entries, priced(fmt.Sprintf("sub_%03d", i), fmt.Sprintf("evt_%03d", i), 1))
	}
	commitBatch(t, db, entries...)
	commit(t, db, ProductEntry("prod_1", "evt_p1", "created", 1))
	equal(t, "pages", []int{50, 1}, sweep(t, db, "a", noon))
	for _, sub := range []string{"sub_000", "sub_049", "sub_050"} {
		equal(t, sub, "si_1:1 (name of evt_p1, as of the event, as of the event)", content(t, db, kit.Key(sub)).Items)
		equal(t, "revision", int64(2), headOf(t, db, sub).Revision)
	}
	same := ProductEntry("prod_1", "evt_p2", "updated", 2)
	same.Data.Product.Name = "name of evt_p1"
	commit(t, db, same)
	equal(t, "pages if the names are the same", []int(nil), sweep(t, db, "a", noon))
	equal(t, "event", "evt_p2", listingOf(t, db, store.Product, "prod_1").EventID)
}

// The first process dies after a page. Another one waits for its turn, and goes on there.
func testSweepContinued(t *testing.T, b Backend) {
	db := b.Connect()
	var entries []store.Entry
	for i := range 51 {
		entries = append(entries, priced(fmt.Sprintf("sub_%03d", i), fmt.Sprintf("evt_%03d", i), 1))
	}
	commitBatch(t, db, entries...)
	commit(t, db, ProductEntry("prod_1", "evt_p1", "created", 1))
	if swept, err := store.NewCommitter(db, noon).SweepPage(t.Context(), "a", nil); swept.Written != 50 || !swept.More || err != nil {
		t.Fatalf("the first page: got %+v, %v", swept, err)
	}
	equal(t, "while it is the turn of another", []int(nil), sweep(t, db, "b", noon))
	equal(t, "reached", kit.Key("sub_049"), listingOf(t, db, store.Product, "prod_1").Sweep.Reached)
	later := func() time.Time { return noon().Add(3 * time.Minute) }
	equal(t, "pages", []int{1}, sweep(t, db, "b", later))
	equal(t, "sweep", store.Sweep{}, listingOf(t, db, store.Product, "prod_1").Sweep)
	commit(t, db, ProductEntry("prod_1", "evt_p2", "updated", 2))
	equal(t, "pages of the next change", []int{50, 1}, sweep(t, db, "b", later))
}

func testSweepBroken(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, priced("sub_1", "evt_1", 1), priced("sub_2", "evt_2", 1), PriceEntry("price_1", "evt_3", "created", 1))
	b.DamageAudit(kit.Key("evt_1"))
	equal(t, "pages", []int{1}, sweep(t, db, "a", noon))
	equal(t, "the other one", "si_1:1 (, nickname of evt_3, key of evt_3)", content(t, db, kit.Key("sub_2")).Items)
}

// A release without a catalog has written the record.
func testNamesUnknown(t *testing.T, b Backend) {
	db := b.Connect()
	entry := priced("sub_1", "evt_1", 1)
	commit(t, db, ProductEntry("prod_1", "evt_2", "created", 1), entry)
	old := recordAt(t, "sub_1", 2, "active")
	old.Winner, old.Known = entry.Message, headOf(t, db, "sub_1").Known
	equal(t, "an older release", "written", outcomes(db.Replace(t.Context(), []store.Record{old})))
	equal(t, "effect", []store.Effect{store.Duplicate}, commit(t, db, entry))
	equal(t, "items", "si_1:1 (name of evt_2, as of the event, as of the event)", content(t, db, kit.Key("sub_1")).Items)
	commit(t, db, entry)
	equal(t, "revision", int64(3), headOf(t, db, "sub_1").Revision)
}

func testNamesAreVerified(t *testing.T, b Backend) {
	db := b.Connect()
	entry := priced("sub_1", "evt_1", 1)
	commit(t, db, PriceEntry("price_1", "evt_2", "created", 1), entry)
	have := storedRecord(t, db)
	verdict := store.Decide(headOf(t, db, "sub_1").Known).Verdict
	named, err := store.NewNames(db).Named(t.Context(), entry.Message, false)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "with the names", []string{}, differing(have.Fields, fields(t, db, named, verdict)))
	equal(t, "without", []string{"items"}, differing(have.Fields, fields(t, db, entry.Message, verdict)))
	rewrite(t, db, have, named, verdict, true)
}

// canceledCatalog are the calls that a canceled context ends.
func canceledCatalog(ctx context.Context, db Store) map[string]func() error {
	return map[string]func() error{
		"Listings": func() error { _, err := db.Listings(ctx, []string{"test:platform:price:price_1"}); return err },
		"PutListing": func() error {
			return db.PutListing(ctx, store.Listing{Key: "test:platform:price:price_1", Revision: 1})
		},
		"Unswept": func() error { _, err := db.Unswept(ctx); return err },
		"Referring": func() error {
			_, err := db.Referring(ctx, store.Listing{Key: "test:platform:price:price_1"}, "", 1)
			return err
		},
	}
}
