package normalize_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

// In Accounts v2, an account represents the customer. Every object that names the
// customer names the account too.
func TestCustomerAccounts(t *testing.T) {
	t.Parallel()
	const owner = `"customer":"cus_1","customer_account":"acct_c"`
	const user = `"metadata":{"user_id":"u_1"}`
	type identity struct {
		UserID            string `json:"user_id"`
		CustomerID        string `json:"customer_id"`
		CustomerAccountID string `json:"customer_account_id"`
	}
	for field, tt := range map[string]struct {
		kind, object string
		names        bool
	}{
		"subscription":     {"customer.subscription.updated", `{"id":"sub_1","object":"subscription",` + owner + `,` + user + `}`, true},
		"invoice":          {"invoice.paid", `{"id":"in_1","object":"invoice",` + owner + `}`, false},
		"checkout_session": {"checkout.session.completed", `{"id":"cs_1","object":"checkout.session",` + owner + `,` + user + `}`, true},
		"customer":         {"customer.updated", `{"id":"cus_1","object":"customer","customer_account":"acct_c",` + user + `}`, true},
		"discount":         {"customer.discount.created", `{"id":"di_1","object":"discount",` + owner + `}`, false},
	} {
		raw, err := json.Marshal(message(t, event(tt.kind, tt.object)).Data)
		if err != nil {
			t.Fatal(err)
		}
		var data map[string]json.RawMessage
		var got, named identity
		if err := json.Unmarshal(raw, &data); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(data[field], &got); err != nil || got.CustomerAccountID != "acct_c" {
			t.Errorf("%s: got %s, %v, want acct_c", field, data[field], err)
		}
		if !tt.names {
			continue
		}
		if err := json.Unmarshal(data["identity"], &named); err != nil {
			t.Fatalf("%s: %v in %s", field, err, raw)
		}
		if diff := cmp.Diff(identity{"u_1", "cus_1", "acct_c"}, named); diff != "" {
			t.Errorf("%s: identity (-want +got):\n%s", field, diff)
		}
	}
}

// A session can name the account alone.
func TestIdentityOfACustomerAccount(t *testing.T) {
	t.Parallel()
	m := message(t, event("checkout.session.completed", `{"id":"cs_1","client_reference_id":"u_1","customer":null,"customer_account":"acct_c"}`))
	want := &events.Identity{UserID: "u_1", Source: events.IdentityCheckoutSession, CustomerAccountID: "acct_c"}
	if diff := cmp.Diff(want, m.Data.Identity); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}
