package mongostore_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

func TestExpiredKnownAndForget(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		last := storetest.Told("sub_1", "evt_3", "updated", 30, "active")
		record(t, s, last, storetest.Told("sub_1", "evt_2", "deleted", 20, "canceled"), storetest.Told("sub_2", "evt_1", "created", 10, "active"))
		var got []store.Expired
		for expired, err := range s.Expired(t.Context(), last.Time) {
			if err != nil {
				t.Fatal(err)
			}
			expired.Created = expired.Created.UTC()
			got = append(got, expired)
		}
		want := []store.Expired{
			{ID: "test:platform:evt_1", Subscription: "test:platform:sub_2", EventID: "evt_1", Created: storetest.Told("", "", "created", 10, "").Time},
			{ID: "test:platform:evt_2", Subscription: "test:platform:sub_1", EventID: "evt_2", Created: storetest.Told("", "", "created", 20, "").Time, Terminal: true},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("expired (-want +got):\n%s", diff)
		}
		db.set(t, "sub_2", bson.D{{Key: "version.rule", Value: 1}})
		known, err := s.Known(t.Context(), []string{"test:platform:sub_1", "test:platform:sub_2", "test:platform:sub_9"})
		if err != nil || len(known) != 1 || len(known["test:platform:sub_1"]) != 1 || known["test:platform:sub_1"][0].EventID != "evt_2" {
			t.Errorf("known: got %v, %v, want evt_2 of sub_1", known, err)
		}
		if err := s.Forget(t.Context(), []string{"test:platform:evt_1", "test:platform:evt_9"}); err != nil {
			t.Fatal(err)
		}
		if left := db.all(t, mongostore.WebhookEvents, bson.D{}); len(left) != 2 {
			t.Errorf("got %d audit documents, want 2", len(left))
		}
	})
}
