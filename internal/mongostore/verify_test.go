package mongostore_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/test/storetest"
)

func TestAuditIsInTheOrderOfSubscriptions(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		invoice := storetest.Told("sub_1", "evt_9", "updated", 9, "active")
		invoice.Type, invoice.StripeType, invoice.Data.Subscription = "stripe.invoice.paid", "invoice.paid", nil
		record(t, s, storetest.Told("sub_2", "evt_1", "updated", 1, "active"), storetest.Told("sub_1", "evt_2", "updated", 2, "active"),
			storetest.Told("sub_2", "evt_3", "updated", 3, "unpaid"), storetest.Told("sub_1", "evt_4", "updated", 4, "active"), invoice)
		damaged := bson.D{{Key: "$set", Value: bson.D{{Key: "message", Value: "{"}}}}
		if _, err := db.Collection(mongostore.WebhookEvents).UpdateOne(t.Context(), bson.D{{Key: "_id", Value: "test:platform:evt_4"}}, damaged); err != nil {
			t.Fatal(err)
		}
		var got []string
		for audited, err := range s.Audit(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, audited.Subscription+" "+audited.Message.ID+audited.Unreadable)
		}
		want := []string{"test:platform:sub_1 evt_2", "test:platform:sub_1 evt_4", "test:platform:sub_2 evt_1", "test:platform:sub_2 evt_3"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
		if n, err := s.AuditSize(t.Context()); n != 4 || err != nil {
			t.Errorf("size: got %d, %v, want 4", n, err)
		}
	})
}

func TestRewriteRestoresTheStateUnderItsRevision(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		entry := storetest.Told("sub_1", "evt_1", "updated", 1, "active")
		entry.Data.Subscription.CurrentPeriodEnd = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
		record(t, s, entry)
		fact, _ := ordering.FactOf(entry.Message)
		verdict := ordering.Fold([]ordering.Fact{fact})
		want, err := s.Render("test:platform:sub_1", entry.Message, verdict)
		if err != nil {
			t.Fatal(err)
		}
		restored := func(moved bool) {
			t.Helper()
			have, err := s.Record(t.Context(), "test:platform:sub_1")
			if err != nil {
				t.Fatal(err)
			}
			if moved {
				db.set(t, "sub_1", bson.D{{Key: "version.n", Value: int64(99)}})
			}
			if written, err := s.Rewrite(t.Context(), have, entry.Message, verdict); written == moved || err != nil {
				t.Errorf("Rewrite: got %v, %v", written, err)
			}
			got, _ := s.Record(t.Context(), "test:platform:sub_1")
			if diff := cmp.Diff(want, got.Fields); (diff != "") != moved {
				t.Errorf("moved %v: state (-want +got):\n%s", moved, diff)
			}
		}
		db.set(t, "sub_1", bson.D{{Key: "status", Value: "unpaid"}, {Key: "cancel_at", Value: now()}})
		restored(true)
		restored(false)
		if got := version(db.state(t, "sub_1"))["n"]; got != int64(100) {
			t.Errorf("version.n: got %v, want 100", got)
		}
		db.set(t, "sub_1", bson.D{{Key: "version", Value: "gone"}})
		restored(false)
		db.remove(t, mongostore.Subscriptions, "test:platform:sub_1")
		restored(false)
		if got := want["current_period_end"]; got != "2026-02-01T00:00:00Z" {
			t.Errorf("a date reads %s", got)
		}
	})
}

func TestStatesAreInTheOrderOfTheirKeys(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		record(t, s, storetest.Told("sub_b", "evt_1", "updated", 1, "active"), storetest.Told("sub_a", "evt_2", "updated", 2, "active"), storetest.Told("sub_B", "evt_3", "updated", 3, "active"))
		var got []string
		for state, err := range s.Records(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, state.Key+" "+state.EventID)
		}
		want := []string{"test:platform:sub_B evt_3", "test:platform:sub_a evt_2", "test:platform:sub_b evt_1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("states (-want +got):\n%s", diff)
		}
	})
}
