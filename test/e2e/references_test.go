package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// namedElsewhere are events of one subscription or customer, by id and in the order of
// their creation: the type, and the object with what it was before.
func namedElsewhere() [][3]string {
	const owner = `"customer":"cus_1","customer_account":"acct_c"`
	return [][3]string{
		{"evt_01", "customer.subscription.created", `{"id":"sub_1","object":"subscription","status":"active","metadata":{"user_id":"42"},` + owner + `}`},
		{"evt_02", "subscription_schedule.updated", `{"id":"sched_1","object":"subscription_schedule","customer":"cus_1","subscription":null},"previous_attributes":{"subscription":"sub_1"}`},
		{"evt_03", "subscription_schedule.released", `{"id":"sched_1","object":"subscription_schedule","customer":"cus_1","subscription":null,"released_subscription":"sub_1"}`},
		{"evt_04", "subscription_schedule.canceled", `{"id":"sched_1","object":"subscription_schedule","customer":"cus_1","subscription":null}`},
		{"evt_05", "customer.subscription.updated", `{"id":"si_1","object":"subscription_item","subscription":"sub_1"}`},
		{"evt_06", "invoice.paid", `{"id":"in_1","object":"invoice","parent":{"subscription_details":{"subscription":"sub_1"}},` + owner + `}`},
		{"evt_07", "invoice_payment.paid", `{"id":"inpay_1","object":"invoice_payment","invoice":"in_1","payment":{"type":"payment_intent","payment_intent":"pi_1"}}`},
		{"evt_08", "charge.succeeded", `{"id":"ch_1","object":"charge","customer":"cus_1","payment_intent":"pi_1"}`},
		{"evt_09", "charge.dispute.created", `{"id":"dp_1","object":"dispute","charge":"ch_1"}`},
		{"evt_10", "payment_method.detached", `{"id":"pm_1","object":"payment_method","customer":null},"previous_attributes":{"customer":"cus_1"}`},
		{"evt_11", "payment_method.detached", `{"id":"pm_2","object":"payment_method","customer":null},"previous_attributes":{"customer":null,"customer_account":"acct_c"}`},
		{"evt_12", "charge.dispute.created", `{"id":"dp_9","object":"dispute","charge":"ch_9"}`},
		{"evt_13", "invoice.paid", `{"id":"in_9","object":"invoice","customer":"cus_9","subscription":"sub_9"}`},
	}
}

func TestAuditFindsWhatNamesItsOwnerElsewhere(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	start, list := time.Now().Add(-time.Hour).Unix(), namedElsewhere()
	for i, event := range slices.Backward(list) { // a dispute arrives before its invoice
		accept(t, c.webhookURL, fmt.Appendf(nil, `{"id":%q,"object":"event","created":%d,"livemode":false,"type":%q,"data":{"object":%s}}`,
			event[0], start+int64(i), event[1], event[2]))
	}
	accept(t, c.webhookURL, fmt.Appendf(nil, `{"id":"evt_14","object":"v2.core.event","created":%q,"livemode":false,`+
		`"type":"v2.core.account[configuration.customer].updated","related_object":{"id":"acct_c","type":"v2.core.account"}}`,
		time.Unix(start+60, 0).UTC().Format(time.RFC3339)))
	c.drained(t)
	subscription := []string{"evt_01", "evt_02", "evt_03", "evt_04", "evt_05", "evt_06", "evt_07", "evt_08", "evt_09"}
	for args, want := range map[string][]string{
		"--subscription sub_1":               subscription,
		"--subscription test:platform:sub_1": subscription,
		"--customer cus_1":                   {"evt_01", "evt_02", "evt_03", "evt_04", "evt_06", "evt_07", "evt_08", "evt_09", "evt_10"},
		"--customer acct_c":                  {"evt_01", "evt_06", "evt_07", "evt_11", "evt_14"},
		"--user 42":                          append(slices.Clone(subscription), "evt_10", "evt_11", "evt_14"),
		"--subscription sub_9":               {"evt_13"},
	} {
		var got []string
		for _, e := range c.audit(t, strings.Fields(args)...) {
			got = append(got, e.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
	}
}
