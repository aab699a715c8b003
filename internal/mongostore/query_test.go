package mongostore_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/test/storetest"
)

func TestCompareNamesTheFieldsThatDiffer(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, now)
		entry := storetest.Told("sub_1", "evt_1", "updated", 1, events.StatusActive)
		record(t, s, entry)
		want := *entry.Data.Subscription
		got, differing, err := s.Compare(t.Context(), entry.SubscriptionKey(), want)
		if err != nil || differing != nil || got.Status != events.StatusActive {
			t.Errorf("got %+v, %v, %v; want no difference", got, differing, err)
		}
		want.Status, want.CustomerID, want.Metadata = events.StatusPaused, "cus_other", map[string]string{"a": "b"}
		_, differing, err = s.Compare(t.Context(), entry.SubscriptionKey(), want)
		if diff := cmp.Diff([]string{"customer_id", "status", "metadata"}, differing); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if _, _, err := s.Compare(t.Context(), "test:platform:sub_none", want); !errors.Is(err, mongostore.ErrNoRecord) {
			t.Errorf("got %v, want ErrNoRecord", err)
		}
	})
}

func TestCompareNoticesAFieldThatShouldNotBeThere(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, now)
		entry := storetest.Told("sub_1", "evt_1", "updated", 1, events.StatusActive)
		record(t, s, entry)
		db.set(t, "sub_1", bson.D{{Key: "cancel_at", Value: now()}})
		_, differing, err := s.Compare(t.Context(), entry.SubscriptionKey(), *entry.Data.Subscription)
		if diff := cmp.Diff([]string{"cancel_at"}, differing); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func TestEventCountsIsOneForEachEvent(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, now)
		one, two := storetest.Told("sub_1", "evt_1", "updated", 1, events.StatusActive), storetest.Told("sub_1", "evt_2", "updated", 2, events.StatusActive)
		record(t, s, one, two, one)
		got, err := s.EventCounts(t.Context())
		if diff := cmp.Diff(map[string]int{"evt_1": 1, "evt_2": 1}, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}
