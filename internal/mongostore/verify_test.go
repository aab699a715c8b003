package mongostore_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

func TestRewriteCorrectsDamagedFields(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		entry := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
		entry.Data.Subscription.CurrentPeriodEnd = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
		commit(t, s, entry)
		fact, _ := ordering.FactOf(entry.Message)
		decision := store.Decision{Winner: entry.Message, Verdict: ordering.Fold([]ordering.Fact{fact})}
		want, err := s.Fields(kit.Key("sub_1"), decision)
		if err != nil {
			t.Fatal(err)
		}
		rewrite := func(moved bool) {
			t.Helper()
			have, err := s.Record(t.Context(), kit.Key("sub_1"))
			if err != nil {
				t.Fatal(err)
			}
			if moved {
				db.set(t, mongostore.Subscriptions, kit.Key("sub_1"), bson.D{{Key: "version.n", Value: int64(99)}})
			}
			if written, err := s.Rewrite(t.Context(), have, decision); written == moved || err != nil {
				t.Errorf("Rewrite: got %v, %v", written, err)
			}
			got, _ := s.Record(t.Context(), kit.Key("sub_1"))
			if diff := cmp.Diff(want, got.Fields); (diff != "") != moved {
				t.Errorf("moved %v: record (-want +got):\n%s", moved, diff)
			}
		}
		db.set(t, mongostore.Subscriptions, kit.Key("sub_1"), bson.D{{Key: "status", Value: "unpaid"}, {Key: "cancel_at", Value: now()}})
		rewrite(true)
		rewrite(false)
		if got := version(db.record(t, "sub_1"))["n"]; got != int64(100) {
			t.Errorf("version.n: got %v, want 100", got)
		}
		db.set(t, mongostore.Subscriptions, kit.Key("sub_1"), bson.D{{Key: "version", Value: "gone"}})
		rewrite(false)
		db.remove(t, mongostore.Subscriptions, kit.Key("sub_1"))
		rewrite(false)
		if got := want["current_period_end"]; got != "2026-02-01T00:00:00Z" {
			t.Errorf("a date reads %s", got)
		}
	})
}
