package store_test

import (
	"testing"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

func linked(id, user, customer string, second int) store.Entry {
	return storetest.Claim(id, second, events.Identity{UserID: user, Source: events.IdentityLink, CustomerID: customer})
}

func session(id, user, sub string, second int) store.Entry {
	return storetest.Claim(id, second, events.Identity{UserID: user, Source: events.IdentityCheckoutSession, SubscriptionID: sub})
}

func ofCustomer(customer, own, id string, second int) store.Entry {
	e := storetest.Entry("sub_1", id, "updated", second, "active")
	e.Data.Subscription.CustomerID, e.Data.Subscription.UserID = customer, own
	return e
}

// userHooks rest where the order matters for a user. Claims look for records, and read
// them, in one go.
var userHooks = storetest.Hooks{
	Before:  restBut(storetest.Insert, storetest.Find, storetest.Owned),
	Written: restBut(storetest.Insert, storetest.Identify, storetest.SetUsers),
}

// Two workers commit, in every order of their operations. Whichever is first, the user is
// that of all events.
func TestUserInEveryOrder(t *testing.T) {
	t.Parallel()
	withOwn, without := ofCustomer("cus_1", "u_own", "evt_1", 1), ofCustomer("cus_1", "", "evt_2", 50)
	again := linked("evt_c", "u_2", "cus_1", 9)
	again.Data.Normalizer, again.Data.RereadAt = 1, now()
	for name, tt := range map[string]struct {
		before   []store.Entry
		one, two store.Entry
		want     string
	}{
		"a new record, and its session":           {nil, without, session("evt_c", "u_1", "sub_1", 9), "u_1"},
		"a new record, and its customer":          {nil, without, linked("evt_c", "u_1", "cus_1", 9), "u_1"},
		"its own user goes":                       {[]store.Entry{withOwn}, without, linked("evt_c", "u_1", "cus_1", 9), "u_1"},
		"another customer":                        {[]store.Entry{ofCustomer("cus_1", "", "evt_1", 1), linked("evt_b", "u_1", "cus_1", 1)}, ofCustomer("cus_2", "", "evt_2", 50), linked("evt_c", "u_2", "cus_2", 9), "u_2"},
		"two claims, the older one last":          {[]store.Entry{without}, linked("evt_c", "u_1", "cus_1", 9), linked("evt_b", "u_2", "cus_1", 8), "u_1"},
		"a claim is gone when it was read again":  {[]store.Entry{without, linked("evt_c", "u_1", "cus_1", 9)}, again, linked("evt_b", "u_1", "cus_1", 8), "u_2"},
		"an update, and a claim":                  {[]store.Entry{ofCustomer("cus_1", "", "evt_1", 1)}, without, linked("evt_c", "u_1", "cus_1", 9), "u_1"},
		"two claims that undo each other's claim": {[]store.Entry{without, linked("evt_a", "u_1", "cus_1", 1)}, linked("evt_b", "u_2", "cus_1", 2), linked("evt_c", "u_1", "cus_1", 3), "u_1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := func() *storetest.Memory {
				server := storetest.NewMemory()
				commit(t, server, tt.before...)
				return server
			}
			interleaveOn(t, start, userHooks, []store.Entry{tt.one}, []store.Entry{tt.two}, func(server *storetest.Memory) {
				if got := record(server, "sub_1").User.ID; got != tt.want {
					t.Fatalf("got user %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// A worker dies between any two operations, and what is not durable is lost or not. Another
// one commits its batch at any time before that, or afterwards, and is not repeated.
func TestDeathBeforeTheUserIsChecked(t *testing.T) {
	t.Parallel()
	sub, claim := ofCustomer("cus_1", "", "evt_1", 1), linked("evt_c", "u_1", "cus_1", 9)
	for name, order := range map[string][]store.Entry{"the record": {sub, claim}, "the claim": {claim, sub}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			orders := storetest.Exhaust(func(choose func(n int) int) {
				server := storetest.NewMemory()
				dying := storetest.Start(committer(server, storetest.Hooks{Before: storetest.Rest, Written: storetest.Rest}), order[:1])
				committed, dead := false, false
				for !dead && dying.Resume() {
					if !committed && choose(2) == 1 {
						commit(t, server, order[1])
						committed = true
					}
					dead = choose(2) == 1
				}
				dying.Kill()
				if choose(2) == 1 {
					server.Failover()
				}
				commit(t, server, order[0])
				if !committed {
					commit(t, server, order[1])
				}
				want := ordering.User{ID: "u_1", Source: events.IdentityLink}
				if got := record(server, "sub_1").User; got != want {
					t.Fatalf("got %v, want %v", got, want)
				}
			})
			t.Logf("%d orders", orders)
		})
	}
}

// An event whose facts change nothing costs no more than its own documents.
func TestClaimThatChangesNothing(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	commit(t, server, ofCustomer("cus_1", "", "evt_1", 1), linked("evt_2", "u_1", "cus_1", 2))
	for name, tt := range map[string]struct {
		entry store.Entry
		want  int // documents that are written
	}{
		"the same user":           {linked("evt_3", "u_1", "cus_1", 3), 2},
		"the same again":          {linked("evt_3", "u_1", "cus_1", 3), 0},
		"an update of its record": {ofCustomer("cus_1", "", "evt_4", 60), 2},
	} {
		if name == "the same again" {
			commit(t, server, tt.entry)
		}
		before := server.Counts()
		commit(t, server, tt.entry)
		if got := server.Counts().DocumentsWritten - before.DocumentsWritten; got > tt.want {
			t.Errorf("%s: %d documents were written, want %d", name, got, tt.want)
		}
	}
}
