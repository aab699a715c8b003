package mongostore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

// queries counts the queries for records, and those that are not for keys.
type queries struct{ all, scans atomic.Int64 }

func (q *queries) monitor() *event.CommandMonitor {
	return &event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) {
		if from, _ := e.Command.Lookup("find").StringValueOK(); from != mongostore.Subscriptions {
			return
		}
		q.all.Add(1)
		if _, err := e.Command.LookupErr("filter", "_id"); err != nil {
			q.scans.Add(1)
		}
	}}
}

// ofCustomer is an event that shows a subscription of a customer.
func ofCustomer(customer string, n, second int) store.Entry {
	e := storetest.Entry(fmt.Sprintf("sub_%03d", n), fmt.Sprintf("evt_%03d_%d", n, second), "updated", second, "active")
	e.Data.Subscription.CustomerID = customer
	return e
}

func records(t *testing.T, s *mongostore.Store, of store.AccessOwner) []string {
	t.Helper()
	found, err := s.RecordsOf(t.Context(), []store.AccessOwner{of})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(slices.Values(found[of]))
}

func keysOf(subscriptions ...int) []string {
	var keys []string
	for _, n := range subscriptions {
		e := ofCustomer("", n, 0)
		keys = append(keys, e.SubscriptionKey())
	}
	return keys
}

func customer(id string) store.AccessOwner {
	return store.AccessOwner{Scope: scope(), Customer: id}
}

func user(id string) store.AccessOwner { return store.AccessOwner{Scope: scope(), User: id} }

// scope is that of the entries of storetest.
func scope() string {
	key := keysOf(0)[0]
	return key[:strings.LastIndexByte(key, ':')+1]
}

func TestTheEmbeddedDatabaseFindsRecordsOfCustomersWithoutReadingAll(t *testing.T) {
	t.Parallel()
	counted := &queries{}
	s := newDatabase(t, embedded).openMonitored(t, counted.monitor())
	for n := range 40 {
		commit(t, s, ofCustomer(fmt.Sprintf("cus_%d", n/2), n, 10))
	}
	records(t, s, customer("cus_0"))
	commit(t, s,
		ofCustomer("cus_new", 40, 10), ofCustomer("cus_3", 41, 10), ofCustomer("cus_3", 8, 100),
		storetest.Claim("evt_claim", 20, events.Identity{Source: events.IdentityCustomerMetadata, UserID: "user_1", CustomerID: "cus_3"}),
	)
	for name, tt := range map[string]struct {
		of   store.AccessOwner
		want []string
	}{
		"the only one":            {customer("cus_new"), keysOf(40)},
		"a new one and one moved": {customer("cus_3"), keysOf(6, 7, 8, 41)},
		"one has moved away":      {customer("cus_4"), keysOf(9)},
		"by the user":             {user("user_1"), keysOf(6, 7, 8, 41)},
		"of nobody":               {customer("cus_none"), nil},
	} {
		if diff := cmp.Diff(tt.want, records(t, s, tt.of)); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", name, diff)
		}
	}
	if got := counted.scans.Load(); got != 1 {
		t.Errorf("the collection was read %d times, want once", got)
	}
}

// Of a small collection, one query that reads all is quicker than one for each key.
func TestTheEmbeddedDatabaseReadsManyRecordsOfASmallCollectionAtOnce(t *testing.T) {
	t.Parallel()
	db := newDatabase(t, embedded)
	batch := func(second, n int) (list []store.Entry) {
		for i := range n {
			list = append(list, ofCustomer("cus_1", i, second))
		}
		return list
	}
	commit(t, db.open(t, nil), batch(10, 20)...)
	for _, tt := range []struct{ records, want int }{{20, 1}, {4, 4}} { // a fifth of them is few
		counted := &queries{}
		s := db.openMonitored(t, counted.monitor())
		records(t, s, customer("cus_2"))
		before := counted.all.Load()
		if _, errs := s.CommitBatch(t.Context(), batch(100+tt.records, tt.records)...); errors.Join(errs...) != nil {
			t.Fatal(errs)
		}
		revisions := tt.records // each is read once more, right before the replacement
		if got := int(counted.all.Load()-before) - revisions; got != tt.want {
			t.Errorf("%d of 20 records were read by %d queries, want %d", tt.records, got, tt.want)
		}
	}
}

// Replay and verification run next to a standalone that gets no webhooks.
func TestTheEmbeddedDatabaseFindsWhatAnotherProcessHasWritten(t *testing.T) {
	t.Parallel()
	db := newDatabase(t, embedded)
	var clock atomic.Int64
	at := func() time.Time { return now().Add(time.Duration(clock.Load())) }
	open := func() *mongostore.Store {
		return openStore(t, mongostore.Config{URI: db.uri, Database: db.Name(), MaxBatch: 16, Now: at, Log: slog.New(slog.DiscardHandler)})
	}
	s, other := open(), open()
	for n := range 20 {
		commit(t, s, ofCustomer("cus_1", n, 10))
	}
	records(t, s, customer("cus_2"))
	clock.Add(int64(2 * time.Second))
	commit(t, other, ofCustomer("cus_2", 20, 10))
	if diff := cmp.Diff(keysOf(20), records(t, s, customer("cus_2"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
