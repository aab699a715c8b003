package normalize_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
)

func TestReferences(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		event string
		want  events.References
	}{
		"subscription": {
			`{"object":"event","request":{"id":"req_1","idempotency_key":"k"},"data":{"object":{"id":"sub_1","object":"subscription","customer":"cus_1"}}}`,
			events.References{ObjectID: "sub_1", SubscriptionID: "sub_1", CustomerID: "cus_1", RequestID: "req_1", IdempotencyKey: "k"},
		},
		"subscription without object": {
			`{"object":"event","type":"customer.subscription.deleted","data":{"object":{"id":"sub_1"}}}`,
			events.References{ObjectID: "sub_1", SubscriptionID: "sub_1"},
		},
		"subscription without id": {
			`{"object":"event","type":"customer.subscription.deleted","data":{"object":{"object":"subscription","customer":"cus_1"}}}`,
			events.References{CustomerID: "cus_1"},
		},
		"part of a subscription": {
			`{"object":"event","type":"customer.subscription.x","data":{"object":{"id":"x_1","object":"x","subscription":"sub_1"}}}`,
			events.References{ObjectID: "x_1", SubscriptionID: "sub_1"},
		},
		"request before 2017": {
			`{"request":"req_1","data":{"object":{"id":"ch_1","object":"charge","customer":null}}}`,
			events.References{ObjectID: "ch_1", RequestID: "req_1", RelatedIDs: []string{"ch_1"}},
		},
		"request by Stripe": {`{"request":{"id":null,"idempotency_key":null}}`, events.References{}},
		"invoice": {
			`{"data":{"object":{"id":"in_1","object":"invoice","customer":"cus_1","subscription":"sub_1","parent":null}}}`,
			events.References{ObjectID: "in_1", SubscriptionID: "sub_1", CustomerID: "cus_1", RelatedIDs: []string{"in_1"}},
		},
		"invoice since 2025": {
			`{"data":{"object":{"id":"in_1","object":"invoice","parent":{"subscription_details":{"subscription":"sub_1"}}}}}`,
			events.References{ObjectID: "in_1", SubscriptionID: "sub_1", RelatedIDs: []string{"in_1"}},
		},
		"invoice for two subscriptions": {
			`{"data":{"object":{"id":"in_1","object":"invoice","lines":{"data":[{"subscription":"sub_1"},{"parent":{"subscription_item_details":{"subscription":"sub_2"}}},{"subscription":"sub_1"}]}}}}`,
			events.References{ObjectID: "in_1", NamedIDs: []string{"sub_1", "sub_2"}, RelatedIDs: []string{"in_1"}},
		},
		"invoice with an item of another subscription": {
			`{"data":{"object":{"id":"in_1","subscription":"sub_1","lines":{"data":[{"subscription":"sub_1"},{"subscription":"sub_2"}]}}}}`,
			events.References{ObjectID: "in_1", SubscriptionID: "sub_1", NamedIDs: []string{"sub_2"}},
		},
		"invoice with its payments": {
			`{"data":{"object":{"id":"in_1","object":"invoice","charge":"ch_0","payments":{"data":[{"payment":{"payment_intent":"pi_1"}},{"payment":{"charge":{"id":"ch_1"}}}]}}}}`,
			events.References{ObjectID: "in_1", RelatedIDs: []string{"ch_0", "pi_1", "ch_1", "in_1"}},
		},
		"payment of an invoice": {
			`{"data":{"object":{"id":"inpay_1","object":"invoice_payment","invoice":"in_1","payment":{"type":"payment_intent","payment_intent":"pi_1"}}}}`,
			events.References{ObjectID: "inpay_1", RelatedIDs: []string{"in_1", "pi_1"}},
		},
		"charge": {
			`{"data":{"object":{"id":"ch_1","object":"charge","customer":"cus_1","invoice":"in_1","payment_intent":"pi_1"}}}`,
			events.References{ObjectID: "ch_1", CustomerID: "cus_1", RelatedIDs: []string{"in_1", "pi_1", "ch_1"}},
		},
		"payment intent": {
			`{"data":{"object":{"id":"pi_1","object":"payment_intent","customer":"cus_1","latest_charge":"ch_1"}}}`,
			events.References{ObjectID: "pi_1", CustomerID: "cus_1", RelatedIDs: []string{"ch_1", "pi_1"}},
		},
		"dispute": {
			`{"data":{"object":{"id":"dp_1","object":"dispute","charge":"ch_1","payment_intent":null}}}`,
			events.References{ObjectID: "dp_1", RelatedIDs: []string{"ch_1"}},
		},
		"subscription with a schedule": {
			`{"data":{"object":{"id":"sub_1","object":"subscription","latest_invoice":"in_1","schedule":null},"previous_attributes":{"latest_invoice":"in_0","schedule":"sub_sched_1"}}}`,
			events.References{ObjectID: "sub_1", SubscriptionID: "sub_1", RelatedIDs: []string{"in_1", "in_0", "sub_sched_1"}},
		},
		"schedule": {
			`{"data":{"object":{"id":"sub_sched_1","object":"subscription_schedule","customer":"cus_1","subscription":"sub_1"}}}`,
			events.References{ObjectID: "sub_sched_1", SubscriptionID: "sub_1", CustomerID: "cus_1", RelatedIDs: []string{"sub_sched_1"}},
		},
		"schedule that was released": {
			`{"data":{"object":{"id":"sub_sched_1","object":"subscription_schedule","subscription":null,"released_subscription":"sub_1"}}}`,
			events.References{ObjectID: "sub_sched_1", SubscriptionID: "sub_1", RelatedIDs: []string{"sub_sched_1"}},
		},
		"schedule before it was released": {
			`{"data":{"object":{"id":"sub_sched_1","object":"subscription_schedule","subscription":null},"previous_attributes":{"subscription":"sub_1"}}}`,
			events.References{ObjectID: "sub_sched_1", SubscriptionID: "sub_1", RelatedIDs: []string{"sub_sched_1"}},
		},
		"payment method that was detached": {
			`{"data":{"object":{"id":"pm_1","object":"payment_method","customer":null},"previous_attributes":{"customer":"cus_1","customer_account":"acct_c"}}}`,
			events.References{ObjectID: "pm_1", CustomerID: "cus_1", CustomerAccountID: "acct_c"},
		},
		"another customer and subscription before": {
			`{"data":{"object":{"id":"x_1","customer":"cus_2","customer_account":"acct_2","subscription":"sub_2"},"previous_attributes":{"customer":"cus_1","customer_account":"acct_1","subscription":"sub_1"}}}`,
			events.References{
				ObjectID: "x_1", SubscriptionID: "sub_2", CustomerID: "cus_2", CustomerAccountID: "acct_2",
				NamedIDs: []string{"sub_1", "cus_1", "acct_1"},
			},
		},
		"item of a subscription": {
			`{"type":"customer.subscription.updated","data":{"object":{"id":"si_1","object":"subscription_item","subscription":"sub_1"}}}`,
			events.References{ObjectID: "si_1", SubscriptionID: "sub_1"},
		},
		"object of no type that can be read": {
			`{"type":"customer.subscription.updated","data":{"object":{"id":"x_1","object":7}}}`, events.References{ObjectID: "x_1"},
		},
		"thin, account of a customer": {
			`{"object":"v2.core.event","related_object":{"id":"acct_c","type":"v2.core.account"}}`,
			events.References{ObjectID: "acct_c", CustomerAccountID: "acct_c"},
		},
		"thin, invoice": {
			`{"object":"v2.core.event","related_object":{"id":"in_1","type":"invoice"}}`,
			events.References{ObjectID: "in_1", RelatedIDs: []string{"in_1"}},
		},
		"expanded": {
			`{"data":{"object":{"id":"cs_1","object":"checkout.session","customer":{"id":"cus_1"},"subscription":{"id":"sub_1"}}}}`,
			events.References{ObjectID: "cs_1", SubscriptionID: "sub_1", CustomerID: "cus_1"},
		},
		"customer": {
			`{"data":{"object":{"id":"cus_1","object":"customer"}}}`,
			events.References{ObjectID: "cus_1", CustomerID: "cus_1"},
		},
		"thin, subscription": {
			`{"object":"v2.core.event","reason":{"type":"request","request":{"id":"req_1","idempotency_key":"k"}},"related_object":{"id":"sub_1","type":"subscription"}}`,
			events.References{ObjectID: "sub_1", SubscriptionID: "sub_1", RequestID: "req_1", IdempotencyKey: "k"},
		},
		"thin, customer": {
			`{"object":"v2.core.event","reason":null,"related_object":{"id":"cus_1","type":"customer"}}`,
			events.References{ObjectID: "cus_1", CustomerID: "cus_1"},
		},
		"thin, other": {
			`{"object":"v2.core.event","related_object":{"id":"mtr_1","type":"billing.meter"}}`,
			events.References{ObjectID: "mtr_1"},
		},
		"with whitespace": {"{ \"data\" : { \"object\" :\n{ \"id\" : \"x\" } } }", events.References{ObjectID: "x"}},
		"redacted":        {`{"data":{"object":{"id":"x","customer":"[redacted]"}}}`, events.References{ObjectID: "x"}},
		"odd types":       {`{"request":[1],"data":{"object":{"id":1,"customer":[],"subscription":5,"parent":"x"}}}`, events.References{}},
		"not an event":    {`[]`, events.References{}},
		"null":            {`null`, events.References{}},
		"not JSON":        {`{"data":`, events.References{}},
		"empty":           {``, events.References{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, normalize.References(json.RawMessage(tt.event))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReferencesAreBounded(t *testing.T) {
	t.Parallel()
	var lines, payments []string
	for i := range 50_000 {
		lines = append(lines, fmt.Sprintf(`{"subscription":"sub_%d"}`, i))
		payments = append(payments, fmt.Sprintf(`{"payment":{"charge":"ch_%d"}}`, i))
	}
	refs := normalize.References(json.RawMessage(`{"data":{"object":{"lines":{"data":[` + strings.Join(lines, ",") + `]},"payments":{"data":[` + strings.Join(payments, ",") + `]}}}}`))
	if len(refs.NamedIDs) != 100 || len(refs.RelatedIDs) != 100 {
		t.Errorf("got %d named and %d related ids, want 100 of each", len(refs.NamedIDs), len(refs.RelatedIDs))
	}
}
