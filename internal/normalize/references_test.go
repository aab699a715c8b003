package normalize_test

import (
	"encoding/json"
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
			events.References{ObjectID: "ch_1", RequestID: "req_1"},
		},
		"request by Stripe": {`{"request":{"id":null,"idempotency_key":null}}`, events.References{}},
		"invoice": {
			`{"data":{"object":{"id":"in_1","object":"invoice","customer":"cus_1","subscription":"sub_1","parent":null}}}`,
			events.References{ObjectID: "in_1", SubscriptionID: "sub_1", CustomerID: "cus_1"},
		},
		"invoice since 2025": {
			`{"data":{"object":{"id":"in_1","object":"invoice","parent":{"subscription_details":{"subscription":"sub_1"}}}}}`,
			events.References{ObjectID: "in_1", SubscriptionID: "sub_1"},
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
