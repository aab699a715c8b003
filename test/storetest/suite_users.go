package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

// ofCustomer returns an event of a subscription of a customer.
func ofCustomer(customer, sub, id, word string, second int) store.Entry {
	e := Entry(sub, id, word, second, "active")
	e.CustomerID, e.Data.Subscription.CustomerID = customer, customer
	return e
}

func ofSession(user, sub, customer string) events.Identity {
	return events.Identity{UserID: user, Source: events.IdentityCheckoutSession, SubscriptionID: sub, CustomerID: customer}
}

func ofMetadata(user, customer string) events.Identity {
	return events.Identity{UserID: user, Source: events.IdentityCustomerMetadata, CustomerID: customer}
}

func ofLink(user, customer string) events.Identity {
	return events.Identity{UserID: user, Source: events.IdentityLink, CustomerID: customer}
}

func userOf(t *testing.T, db Store, sub string) ordering.User {
	t.Helper()
	return content(t, db, kit.Key(sub)).User
}

func testUserInAnyOrder(t *testing.T, b Backend) {
	db, random := b.Connect(), rand.New(rand.NewPCG(1, 2))
	for i := range b.Histories {
		customer, sub := fmt.Sprintf("cus_%d", i), fmt.Sprintf("sub_%d", i)
		id := func(word string) string { return fmt.Sprintf("evt_%s_%d", word, i) }
		entries := []store.Entry{
			ofCustomer(customer, sub, id("sub"), "created", 1), Claim(id("cs"), 3, ofSession("u_1", sub, customer)),
			Claim(id("cus"), 2, ofMetadata("u_2", customer)), Claim(id("link"), 4, ofLink("u_1", customer)),
		}
		entries = append(entries, entries...)
		random.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
		commit(t, db, entries...)
		equal(t, sub, ordering.User{ID: "u_1", Source: events.IdentityCheckoutSession, Conflict: true}, userOf(t, db, sub))
		revision := headOf(t, db, sub).Revision
		for _, effect := range commitBatch(t, db, entries...) {
			equal(t, "effect of a repetition", store.Duplicate, effect)
		}
		equal(t, "revision after a repetition", revision, headOf(t, db, sub).Revision)
	}
}

// One claim concerns more records than are updated at a time.
func testClaimOnMany(t *testing.T, b Backend) {
	db, n := b.Connect(), 20
	if !b.OneProcess {
		n = 1200 // more than a page; the embedded database would take minutes
	}
	var entries []store.Entry
	for i := range n {
		entries = append(entries, ofCustomer("cus_1", fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_%d", i), "created", 1))
	}
	other := ofCustomer("cus_1", "sub_x", "evt_x", "created", 1)
	other.StripeAccount, other.Source = "acct_1", events.Source(false, "acct_1")
	stranger := ofCustomer("cus_2", "sub_y", "evt_y", "created", 1)
	for some := range slices.Chunk(append(entries, other, stranger), 400) {
		commitBatch(t, db, some...)
	}
	effects := commit(t, db, Claim("evt_cus", 2, ofMetadata("u_1", "cus_1")), Claim("evt_old", 1, ofMetadata("u_2", "cus_1")))
	equal(t, "effects", []store.Effect{store.Applied, store.Recorded}, effects)
	want := ordering.User{ID: "u_1", Source: events.IdentityCustomerMetadata}
	for i := range n {
		if got := userOf(t, db, fmt.Sprintf("sub_%d", i)); got != want {
			t.Fatalf("sub_%d of %d: got %v, want %v", i, n, got, want)
		}
	}
	equal(t, "in another account", ordering.User{}, content(t, db, other.Message.SubscriptionKey()).User)
	equal(t, "of another customer", ordering.User{}, userOf(t, db, "sub_y"))
}

func testClaimWithoutEffect(t *testing.T, b Backend) {
	db := b.Connect()
	commit(t, db, ofCustomer("cus_1", "sub_1", "evt_1", "created", 1), Claim("evt_2", 2, ofMetadata("u_1", "cus_1")))
	head := headOf(t, db, "sub_1")
	equal(t, "effects", []store.Effect{store.Recorded, store.Recorded, store.Duplicate}, commit(t, db,
		Claim("evt_3", 3, ofMetadata("u_1", "cus_1")), Claim("evt_4", 4, ofLink("u_1", "cus_1")), Claim("evt_3", 3, ofMetadata("u_1", "cus_1"))))
	equal(t, "head", head, headOf(t, db, "sub_1"))
	// It is taken out, and what was linked remains.
	equal(t, "effect", []store.Effect{store.Applied}, commit(t, db, Claim("evt_5", 5, ofMetadata("", "cus_1"))))
	equal(t, "user", ordering.User{ID: "u_1", Source: events.IdentityLink}, userOf(t, db, "sub_1"))
}

func testClaimReadAgain(t *testing.T, b Backend) {
	db, random := b.Connect(), rand.New(rand.NewPCG(3, 4))
	first := Claim("evt_2", 2, ofSession("u_1", "sub_1", "cus_1"))
	again := Claim("evt_2", 2, ofSession("u_2", "sub_1", "cus_1"))
	again.Data.Normalizer, again.Data.RereadAt = 1, noon()
	withdrawn := Withdrawn(random, first)
	withdrawn.Data.Normalizer, withdrawn.Data.RereadAt = 1, noon().Add(time.Nanosecond)
	commit(t, db, ofCustomer("cus_1", "sub_1", "evt_1", "created", 1), first)
	equal(t, "user", "u_1", userOf(t, db, "sub_1").ID)
	commit(t, db, again, first)
	equal(t, "user, read again", "u_2", userOf(t, db, "sub_1").ID)
	commit(t, db, withdrawn, again, first)
	equal(t, "user, withdrawn", ordering.User{}, userOf(t, db, "sub_1"))
}

func testSetUsers(t *testing.T, b Backend) {
	db := b.Connect()
	record := recordAt(t, "sub_1", 1, "active")
	equal(t, "written", "written", outcomes(db.Replace(t.Context(), []store.Record{record})))
	want := record.Head
	for i, user := range []ordering.User{
		{ID: "u_1", Source: events.IdentityLink, Conflict: true}, {ID: "u_2", Source: ordering.CustomerCheckoutSession}, {Conflict: true}, {},
	} {
		want.Revision, want.UpdatedAt, want.User = int64(i)+2, noon().Add(time.Minute), user
		heads := []store.Head{want, {Key: kit.Key("sub_2"), Revision: 2, User: user}}
		equal(t, "outcomes", "written exists", outcomes(db.SetUsers(t.Context(), heads)))
		equal(t, "again", "exists exists", outcomes(db.SetUsers(t.Context(), heads)))
		equal(t, "head", want, headOf(t, db, "sub_1"))
	}
	equal(t, "content", ContentOf(record), content(t, db, kit.Key("sub_1")))
	record.Revision = 6
	equal(t, "the next revision", "written", outcomes(db.Replace(t.Context(), []store.Record{record})))
}

func testOwned(t *testing.T, b Backend) {
	db := b.Connect()
	account := ofCustomer("", "sub_3", "evt_3", "created", 1)
	account.Data.Subscription.CustomerAccountID = "acct_c"
	commit(t, db, ofCustomer("cus_1", "sub_1", "evt_1", "created", 1), ofCustomer("cus_2", "sub_2", "evt_2", "created", 1), account)
	for name, tt := range map[string]struct {
		owners store.Owners
		want   []string
	}{
		"a customer": {store.Owners{Customers: []string{"cus_1", "cus_9"}}, []string{"sub_1"}},
		"both":       {store.Owners{Customers: []string{"cus_2"}, CustomerAccounts: []string{"acct_c"}}, []string{"sub_2", "sub_3"}},
		"an account": {store.Owners{CustomerAccounts: []string{"acct_c", "cus_1"}}, []string{"sub_3"}},
		"nobody":     {store.Owners{}, nil},
	} {
		var got []string
		for owned, err := range db.Owned(t.Context(), tt.owners) {
			equal(t, "error", nil, err)
			equal(t, "key", kit.Key(owned.SubscriptionID), owned.Key)
			got = append(got, owned.SubscriptionID)
		}
		slices.Sort(got)
		equal(t, name, tt.want, got)
	}
}

func identity(t *testing.T, e store.Entry) store.Identity {
	t.Helper()
	i, ok := store.IdentityOf(e.Message)
	if !ok {
		t.Fatalf("%s names nobody", e.ID)
	}
	return i
}

func testIdentities(t *testing.T, b Backend) {
	db := b.Connect()
	account := Claim("evt_3", 3, events.Identity{UserID: "u_3", Source: events.IdentityCustomerMetadata, CustomerAccountID: "acct_c"})
	account.StripeAPIVersion, account.Data.Normalizer, account.Data.RereadAt = "2026-06-24.dahlia", 2, noon().Add(time.Nanosecond)
	list := []store.Identity{
		identity(t, Claim("evt_1", 1, ofSession("u_1", "sub_1", "cus_1"))), identity(t, Claim("evt_2", 2, ofMetadata("", "cus_1"))), identity(t, account),
	}
	equal(t, "outcomes", "written written written", outcomes(db.Identify(t.Context(), list)))
	equal(t, "outcomes", "exists exists", outcomes(db.Identify(t.Context(), list[1:])))
	for name, tt := range map[string]struct {
		owners store.Owners
		want   []store.Identity
	}{
		"a subscription": {store.Owners{Subscriptions: []string{"sub_1"}}, list[:1]},
		"a customer":     {store.Owners{Customers: []string{"cus_1", "cus_2"}}, list[:2]},
		"an account":     {store.Owners{CustomerAccounts: []string{"acct_c"}}, list[2:]},
		"all":            {store.Owners{Subscriptions: []string{"sub_1"}, Customers: []string{"cus_1"}, CustomerAccounts: []string{"acct_c"}}, list},
		"nobody":         {store.Owners{}, nil},
	} {
		got, err := db.Identities(t.Context(), tt.owners)
		equal(t, name+": error", nil, err)
		sorted := cmpopts.SortSlices(func(a, b store.Identity) bool { return a.Key < b.Key })
		if diff := cmp.Diff(tt.want, got, sorted); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	got, err := db.Identified(t.Context(), []string{kit.Key("evt_3"), kit.Key("evt_9")})
	equal(t, "by key", map[string]store.Identity{kit.Key("evt_3"): list[2]}, got)
	equal(t, "error", nil, err)
}

func testReplaceIdentity(t *testing.T, b Backend) {
	db := b.Connect()
	first, second := identity(t, Claim("evt_1", 1, ofSession("u_1", "sub_1", "cus_1"))), identity(t, Claim("evt_1", 1, ofSession("u_2", "sub_1", "cus_1")))
	second.Normalizer, second.RereadAt = 1, noon().Add(time.Nanosecond)
	none := store.Identity{Key: first.Key, UserFact: ordering.UserFact{EventID: first.EventID, Created: first.Created}}
	for i, step := range []struct {
		have, want store.Identity
		replaced   bool
	}{{first, second, false}, {first, second, true}, {first, none, false}, {second, none, true}, {none, first, true}} {
		if i == 1 {
			db.Identify(t.Context(), []store.Identity{first})
		}
		replaced, err := db.ReplaceIdentity(t.Context(), step.have, step.want)
		equal(t, fmt.Sprintf("step %d", i), step.replaced, replaced)
		equal(t, "error", nil, err)
	}
	got, err := db.Identified(t.Context(), []string{first.Key})
	equal(t, "in the end", map[string]store.Identity{first.Key: first}, got)
	equal(t, "error", nil, err)
}
