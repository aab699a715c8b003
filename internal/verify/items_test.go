package verify_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/verify"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

// A record has items that its winner does not list. A verification knows
// them, too, and restores them.
func TestVerifyKnowsItemsThatTheWinnerDoesNotList(t *testing.T) {
	t.Parallel()
	one := int64(1)
	complete, partial := storetest.Entry("sub_1", "evt_1", "updated", 1, "active"), storetest.Entry("sub_1", "evt_2", "updated", 100, "active")
	complete.Data.Subscription.Items = []events.Item{{ID: "si_1", Quantity: &one}, {ID: "si_2", Quantity: &one}}
	partial.Data.Subscription.Items, partial.Data.Subscription.ItemsTruncated = complete.Data.Subscription.Items[:1], true
	server := storetest.NewMemory()
	db := server.Connect(storetest.Hooks{})
	for _, result := range store.NewCommitter(db, time.Now).Commit(t.Context(), []store.Entry{complete, partial}) {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
	summary, findings := runVerify(t, db, false)
	if diff := cmp.Diff(verify.Summary{Subscriptions: 1, Events: 2}, summary, ignoreGaps); diff != "" {
		t.Errorf("summary (-want +got):\n%s\n%+v", diff, findings)
	}
	want, _ := server.Record(kit.Key("sub_1"))
	damaged := want
	damaged.Winner.Data.Subscription = partial.Data.Subscription
	server.Put(damaged)
	if summary, _ = runVerify(t, db, true); summary.Fixed != 1 {
		t.Errorf("got %+v, want one that is fixed", summary)
	}
	got, _ := server.Record(kit.Key("sub_1"))
	if diff := cmp.Diff(storetest.ContentOf(want), storetest.ContentOf(got)); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

// ignoreGaps leaves gaps out of a comparison of summaries.
var ignoreGaps = cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Gaps" }, cmp.Ignore())

// The names of the catalog belong into a record, and those of the event do not.
func TestVerifyComparesNamesWithTheCatalog(t *testing.T) {
	t.Parallel()
	message := kit.Event("sub_1", "evt_1", "created", 0, "active")
	message.Data.Subscription.Items = []events.Item{{PriceID: "price_1", ProductID: "prod_1", Nickname: "old "}}
	m := newMemory(message)
	price, product := store.ListingKey(store.Price, false, "", "price_1"), store.ListingKey(store.Product, false, "", "prod_1")
	m.catalog = map[string]store.Listing{price: {Version: 1, Nickname: "nickname"}, product: {Version: 1, Name: "name "}}
	want := []verify.Finding{{Kind: verify.Difference, Key: kit.Key("sub_1"), Field: "names", Have: "old ", Want: "name nickname", Fixed: true}}
	if _, findings := runVerify(t, m, true); !slices.Equal(findings, want) {
		t.Errorf("got %+v, want %+v", findings, want)
	}
	if summary, findings := runVerify(t, m, false); summary.Differing != 0 || findings != nil {
		t.Errorf("after --fix: got %+v, %+v", summary, findings)
	}
}
