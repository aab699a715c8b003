package storetest

import (
	"errors"
	"slices"
	"testing"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

var viewTests = map[string]func(*testing.T, Backend){
	"the records of a customer and of a user": testRecordsOf,
	"what a record says, for the state view":  testStateForTheView,
	"access documents do not go back":         testAccess,
	"which bucket has all records":            testCompleted,
}

func testRecordsOf(t *testing.T, b Backend) {
	db := b.Connect()
	owned := func(sub, customer, account, user string) store.Entry {
		e := Entry(sub, sub+"_1", "updated", 1, "active")
		s := e.Data.Subscription
		s.CustomerID, s.CustomerAccountID, s.UserID = customer, account, user
		return e
	}
	live := owned("sub_4", "cus_1", "", "u1")
	live.Livemode, live.Source = true, events.Source(true, "")
	commit(t, db, owned("sub_1", "cus_1", "", "u1"), owned("sub_2", "cus_1", "", ""), owned("sub_3", "", "acct_1", "u1"), live)
	test, platform := kit.Key("sub_1")[:len("test:platform:")], "live:platform:"
	want := map[store.AccessOwner][]string{
		{Scope: test, Customer: "cus_1"}:  {kit.Key("sub_1"), kit.Key("sub_2")},
		{Scope: test, Customer: "acct_1"}: {kit.Key("sub_3")},
		{Scope: test, User: "u1"}:         {kit.Key("sub_1"), kit.Key("sub_3")},
		{Scope: platform, User: "u1"}:     {live.SubscriptionKey()},
		{Scope: test, User: "u2"}:         nil,
	}
	var owners []store.AccessOwner
	for of, keys := range want {
		owners = append(owners, of)
		got, err := db.RecordsOf(t.Context(), []store.AccessOwner{of})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got[of])
		equal(t, of.Customer+of.User, keys, got[of])
	}
	got, err := db.RecordsOf(t.Context(), append(owners, owners...))
	if err != nil {
		t.Fatal(err)
	}
	for of, keys := range want {
		slices.Sort(got[of])
		equal(t, "all at once: "+of.Customer+of.User, keys, got[of])
	}
	var all []string
	for key, err := range db.RecordKeys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, key)
	}
	if len(all) != 4 {
		t.Errorf("got the keys %v, want four", all)
	}
}

func testStateForTheView(t *testing.T, b Backend) {
	db := b.Connect()
	e := Entry("sub_1", "evt_1", "updated", 1, "active")
	e.Data.Subscription.UserID = "u1"
	commit(t, db, e)
	head := headOf(t, db, "sub_1")
	state, found, err := db.State(t.Context(), kit.Key("sub_1"))
	if !found || err != nil {
		t.Fatalf("got %v, %v", found, err)
	}
	equal(t, "head", head, state.Head)
	equal(t, "event", "evt_1 customer.subscription.updated", state.EventID+" "+state.EventType)
	equal(t, "created", true, state.EventCreated.Equal(e.Time))
	equal(t, "source", events.IdentitySubscriptionMetadata, state.User.Source)
}

func testAccess(t *testing.T, b Backend) {
	db := b.Connect()
	const key = "access:test:platform:user:u1"
	if _, found, err := db.Access(t.Context(), key); found || err != nil {
		t.Fatalf("got %v, %v, want no document", found, err)
	}
	quantity := int64(3)
	doc := events.AccessDocument{
		Access: events.AccessGranted, SubscriptionID: "sub_1", Since: kit.At(1), Until: kit.At(2), Subscriptions: []string{"sub_1", "sub_2"},
		Products: []events.AccessProduct{{ProductID: "prod_1", PriceID: "price_1", Quantity: &quantity, SubscriptionID: "sub_1", Access: events.AccessGranted}},
		Features: []string{"export"}, UserID: "u1", CustomerIDs: []string{"cus_1"}, Explanation: "because", Ambiguous: true, UpdatedAt: kit.At(3),
	}
	for _, step := range []struct {
		revision int64
		want     error
	}{{2, nil}, {2, store.ErrExists}, {1, store.ErrExists}, {4, nil}, {3, store.ErrExists}} {
		next := doc
		next.Revision = step.revision
		if err := db.ReplaceAccess(t.Context(), key, next); !errors.Is(err, step.want) {
			t.Errorf("revision %d: got %v, want %v", step.revision, err, step.want)
		}
	}
	doc.Revision = 4
	got, found, err := db.Access(t.Context(), key)
	if !found || err != nil {
		t.Fatalf("got %v, %v", found, err)
	}
	equal(t, "document", doc, got)
}

func testCompleted(t *testing.T, b Backend) {
	db := b.Connect()
	for _, bucket := range []string{"one", "two", "two"} {
		if err := db.SetCompleted(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
		if got, err := db.Completed(t.Context()); got != bucket || err != nil {
			t.Errorf("got %q, %v, want %s", got, err, bucket)
		}
	}
}
