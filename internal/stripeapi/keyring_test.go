package stripeapi_test

import (
	"testing"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/stripeapi"
	"github.com/billbus/billbus/test/kit"
)

// TestKeyOfAnAccount checks with which key an account's object is read, and how the
// request says whose object it is.
func TestKeyOfAnAccount(t *testing.T) {
	t.Parallel()
	const main, one, two, org = "rk_test_hunter2", "rk_test_hunter3", "sk_test_hunter4", "sk_org_test_hunter5"
	several := map[string]string{"acct_1": one, "acct_2": two}
	for name, tt := range map[string]struct {
		keys                  stripeapi.Keys
		of                    stripeapi.Owner
		key, account, context string // key is "" if nothing can be read
	}{
		"platform":                          {keys: stripeapi.Keys{Main: main}, key: main},
		"connected account":                 {keys: stripeapi.Keys{Main: main}, of: stripeapi.Owner{Account: "acct_1"}, key: main, account: "acct_1"},
		"account of the key":                {keys: stripeapi.Keys{Main: main, Own: "acct_1"}, of: stripeapi.Owner{Account: "acct_1"}, key: main},
		"connected to the account":          {keys: stripeapi.Keys{Main: main, Own: "acct_1"}, of: stripeapi.Owner{Account: "acct_2"}, key: main, account: "acct_2"},
		"first of several":                  {keys: stripeapi.Keys{Accounts: several}, of: stripeapi.Owner{Account: "acct_1"}, key: one},
		"second of several":                 {keys: stripeapi.Keys{Accounts: several}, of: stripeapi.Owner{Account: "acct_2"}, key: two},
		"none of several":                   {keys: stripeapi.Keys{Accounts: several}, of: stripeapi.Owner{Account: "acct_3"}},
		"platform, without a key for it":    {keys: stripeapi.Keys{Accounts: several}},
		"several, and connected":            {keys: stripeapi.Keys{Main: main, Accounts: several}, of: stripeapi.Owner{Account: "acct_3"}, key: main, account: "acct_3"},
		"several beat the platform":         {keys: stripeapi.Keys{Main: main, Accounts: several}, of: stripeapi.Owner{Account: "acct_2"}, key: two},
		"member":                            {keys: stripeapi.Keys{Main: org}, of: stripeapi.Owner{Account: "acct_1", Context: "acct_1"}, key: org, context: "acct_1"},
		"member by its secret":              {keys: stripeapi.Keys{Main: org, Own: "acct_1"}, of: stripeapi.Owner{Account: "acct_1"}, key: org, context: "acct_1"},
		"connected account of a member":     {keys: stripeapi.Keys{Main: org}, of: stripeapi.Owner{Account: "acct_9", Context: "acct_1/acct_9"}, key: org, context: "acct_1/acct_9"},
		"with the organization":             {keys: stripeapi.Keys{Main: org}, of: stripeapi.Owner{Account: "acct_1", Context: "org_1/acct_1"}, key: org, context: "org_1/acct_1"},
		"context of another account":        {keys: stripeapi.Keys{Main: org}, of: stripeapi.Owner{Account: "acct_1", Context: "acct_2"}, key: org, context: "acct_1"},
		"hostile context":                   {keys: stripeapi.Keys{Main: org}, of: stripeapi.Owner{Account: "acct_1", Context: "x\r\nY: z/acct_1"}, key: org, context: "acct_1"},
		"organization without an account":   {keys: stripeapi.Keys{Main: org}},
		"member that has a key of its own":  {keys: stripeapi.Keys{Main: org, Accounts: several}, of: stripeapi.Owner{Account: "acct_1", Context: "acct_1"}, key: one},
		"member without a key among others": {keys: stripeapi.Keys{Main: org, Accounts: several}, of: stripeapi.Owner{Account: "acct_3"}, key: org, context: "acct_3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := kit.NewStripeAPI(t)
			s.On("/v1/events/evt_1", kit.StripeObject(`{"id":"evt_1","object":"event"}`))
			c := client(t, stripeapi.Config{Base: s.URL, Keys: tt.keys, Version: "2025-09-30.clover"})
			_, err := c.Event(t.Context(), tt.of, "evt_1")
			if has := tt.keys.Has(tt.of.Account); has != (tt.key != "") || has != (err == nil) || !has && fault.ReasonOf(err) != fault.KeyMissing {
				t.Fatalf("has a key: %v, got %v", has, err)
			}
			if tt.key == "" {
				if len(s.Requests()) > 0 {
					t.Error("got a request")
				}
				return
			}
			header := s.Requests()[0].Header
			for name, want := range map[string]string{
				"Authorization": "Bearer " + tt.key, "Stripe-Account": tt.account, "Stripe-Context": tt.context, "Stripe-Version": "2025-09-30.clover",
			} {
				if got := header.Get(name); got != want {
					t.Errorf("got %s %q, want %q", name, got, want)
				}
			}
		})
	}
}
