package mongostore_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

func TestSearch(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		of := func(e store.Entry, customer, user string) store.Entry {
			e.SubscriptionID, e.CustomerID = e.Subject, customer
			e.Data.Subscription.CustomerID, e.Data.Subscription.UserID = customer, user
			return e
		}
		invoice := of(storetest.Told("sub_1", "evt_3", "updated", 3, "active"), "cus_1", "")
		invoice.Type, invoice.StripeType, invoice.Data.Subscription = "stripe.invoice.paid", "invoice.paid", nil
		connected := of(storetest.Told("sub_1", "evt_5", "updated", 5, "active"), "cus_5", "")
		connected.StripeAccount, connected.Source = "acct_1", events.Source(false, "acct_1")
		record(t, s, of(storetest.Told("sub_1", "evt_1", "created", 1, "active"), "cus_1", "u_1"),
			of(storetest.Told("sub_2", "evt_2", "created", 2, "active"), "cus_2", "u_2"), invoice,
			of(storetest.Told("sub_1", "evt_4", "updated", 4, "unpaid"), "cus_1", "u_1"), connected)
		at := invoice.Time
		for name, tt := range map[string]struct {
			query store.Query
			want  []string
		}{
			"everything":               {store.Query{}, []string{"evt_1", "evt_2", "evt_3", "evt_4", "evt_5"}},
			"the newest":               {store.Query{Limit: 2}, []string{"evt_4", "evt_5"}},
			"subscription":             {store.Query{Subscription: "sub_1"}, []string{"evt_1", "evt_3", "evt_4", "evt_5"}},
			"subscription by its key":  {store.Query{Subscription: "test:platform:sub_1"}, []string{"evt_1", "evt_3", "evt_4"}},
			"connected by its key":     {store.Query{Subscription: "test:acct_1:sub_1"}, []string{"evt_5"}},
			"of the other mode":        {store.Query{Subscription: "live:platform:sub_1"}, nil},
			"customer":                 {store.Query{Customer: "cus_1"}, []string{"evt_1", "evt_3", "evt_4"}},
			"customer and type":        {store.Query{Customer: "cus_1", Type: "invoice.paid"}, []string{"evt_3"}},
			"user, with the invoices":  {store.Query{User: "u_1"}, []string{"evt_1", "evt_3", "evt_4", "evt_5"}},
			"nobody":                   {store.Query{User: "u_9"}, nil},
			"event":                    {store.Query{Event: "evt_2"}, []string{"evt_2"}},
			"event by its key":         {store.Query{Event: "test:platform:evt_2"}, []string{"evt_2"}},
			"event of an account":      {store.Query{Event: "evt_5"}, []string{"evt_5"}},
			"since":                    {store.Query{Since: at}, []string{"evt_3", "evt_4", "evt_5"}},
			"until":                    {store.Query{Until: at}, []string{"evt_1", "evt_2", "evt_3"}},
			"a second of subscription": {store.Query{Subscription: "sub_1", Since: at, Until: at}, []string{"evt_3"}},
		} {
			found, err := s.Search(t.Context(), tt.query)
			var got []string
			for _, f := range found {
				got = append(got, f.Message.ID)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			}
		}
		if payload, found, err := s.Payload(t.Context(), "evt_5"); payload != `{"id":"evt_5"}` || !found || err != nil {
			t.Errorf("payload: got %q, %v, %v", payload, found, err)
		}
		if _, found, err := s.Payload(t.Context(), "evt_9"); found || err != nil {
			t.Errorf("payload of nothing: got %v, %v", found, err)
		}
	})
}
