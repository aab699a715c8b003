package mongostore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

func TestOpenRefusesABadURI(t *testing.T) {
	t.Parallel()
	for name, uri := range map[string]string{
		"empty":          "",
		"another scheme": "https://user:SECRET@example.com",
		"broken escape":  "mongodb://user:%SECRET@127.0.0.1",
		"unknown option": "mongodb://user:SECRET@127.0.0.1/?w=SECRET&journal=SECRET",
	} {
		_, err := mongostore.Open(mongostore.Config{URI: uri, Database: "billbus", MaxBatch: 1, Now: now, Log: slog.New(slog.DiscardHandler)})
		if err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: got %v, want an error that quotes nothing", name, err)
		}
	}
}

// unreachable returns a store whose database does not exist.
func unreachable(t *testing.T) *mongostore.Store {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	uri := fmt.Sprintf("mongodb://user:SECRET@%s/", l.Addr())
	return openStore(t, mongostore.Config{URI: uri, Database: "billbus", MaxBatch: 4, Now: now, Log: slog.New(slog.DiscardHandler)})
}

func TestUnreachableDatabase(t *testing.T) {
	t.Parallel()
	s := unreachable(t)
	err := s.Check(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "the connection was refused: ") || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("Check: got %v, want that the connection was refused", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, errs := s.CommitBatch(ctx, storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
	if err := errs[0]; fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.DatabaseUnreachable || strings.Contains(err.Error(), "SECRET") {
		t.Errorf("Commit: got %v for %s, want transient for database_unreachable", err, fault.ReasonOf(err))
	}
}

func TestProvisionCreatesTheIndexes(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		if err := s.Check(t.Context()); err == nil || err.Error() != "MongoDB indexes are not there yet" {
			t.Errorf("Check before: got %v", err)
		}
		s.Provision(t.Context(), true)
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("Check afterwards: %v", err)
		}
		got := map[string][]string{}
		for _, collection := range []string{mongostore.Subscriptions, mongostore.Identities, mongostore.WebhookEvents, mongostore.Catalog} {
			cursor, err := db.Collection(collection).Indexes().List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var specs []struct{ Key bson.D }
			if err := cursor.All(t.Context(), &specs); err != nil {
				t.Fatal(err)
			}
			for _, spec := range specs {
				var fields []string
				for _, e := range spec.Key {
					fields = append(fields, e.Key)
				}
				got[collection] = append(got[collection], strings.Join(fields, " "))
			}
			slices.Sort(got[collection])
		}
		want := map[string][]string{
			"subscriptions": {"_id", "customer_account_id", "customer_id", "items.price_id _id", "items.product_id _id", "status current_period_end", "user_id access"},
			"catalog":       {"_id", "sweep.unfinished _id"},
			"identities":    {"_id", "customer_account_id", "customer_id", "subscription_id", "user_id"},
			"webhook_events": {
				"_id", "created", "customer_account_id created", "customer_id created", "event_id", "ignored created", "named_ids created", "related_ids created",
				"subscription_id created", "subscription_key created", "type created",
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("indexes (-want +got):\n%s", diff)
		}
		db.open(t, nil).Provision(t.Context(), true) // again, on what exists
		db.open(t, nil).Provision(t.Context(), false)
	})
}

// notices is a log handler that hands over the messages.
type notices struct {
	slog.Handler
	messages chan string
}

func (n notices) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	n.messages <- text
	return nil
}

func (n notices) Enabled(context.Context, slog.Level) bool { return true }

func TestProvisionWaitsForAnotherProcess(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		messages := make(chan string, 100)
		s := openStore(t, mongostore.Config{
			URI: db.uri, Database: db.Name(), MaxBatch: 1, Now: now, Log: slog.New(notices{slog.DiscardHandler, messages}),
		})
		ended := make(chan struct{})
		go func() { defer close(ended); s.Provision(t.Context(), false) }()
		if got, want := <-messages, "6 indexes of subscriptions are missing: start one subscriber with PROVISION=create"; !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if err := s.Check(t.Context()); err == nil {
			t.Error("Check while it waits: got no error")
		}
		if got := db.collectionCount(t); got != 0 {
			t.Errorf("got %d collections, want none", got)
		}
		db.open(t, nil).Provision(t.Context(), true)
		<-ended
		if err := s.Check(t.Context()); err != nil {
			t.Errorf("Check afterwards: %v", err)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		unreachable(t).Provision(ctx, true) // returns
	})
}

func (db database) collectionCount(t *testing.T) int {
	t.Helper()
	names, err := db.ListCollectionNames(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestManyAreReadByOneQueryOnMongoDB(t *testing.T) {
	t.Parallel()
	db, tr := newDatabase(t, inMemory), &traffic{}
	s := db.openMonitored(t, tr.monitor())
	var entries []store.Entry
	var keys, subscriptions []string
	for i := range 120 { // more than a reply holds by default
		e := storetest.Entry(fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_%d", i), "updated", i, "active")
		entries, keys, subscriptions = append(entries, e), append(keys, e.Key()), append(subscriptions, e.SubscriptionKey())
	}
	if _, errs := s.CommitBatch(t.Context(), entries...); errors.Join(errs...) != nil {
		t.Fatal(errs)
	}
	before := tr.sent()
	found, err := s.Messages(t.Context(), keys)
	heads, headsErr := s.Heads(t.Context(), subscriptions)
	histories := 0
	for a, err := range s.Histories(t.Context(), subscriptions) {
		if err != nil || found[a.Key()].SubscriptionKey() != a.Subscription {
			t.Errorf("%s: %v", a.ID, err)
		}
		histories++
	}
	if len(found) != 120 || len(heads) != 120 || histories != 120 || errors.Join(err, headsErr) != nil {
		t.Errorf("found %d messages, %d heads, %d events; %v, %v", len(found), len(heads), histories, err, headsErr)
	}
	if commands := tr.sent() - before; commands != 3 {
		t.Errorf("got %d commands, want 3", commands)
	}
}
