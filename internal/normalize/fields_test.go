package normalize_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// The fields of the interfaces Subscription and SubscriptionItem in Stripe's Node
// library, npm package stripe, version 23.1.0.
const (
	stripeSubscription = `id object application application_fee_percent automatic_tax billing_cycle_anchor billing_cycle_anchor_config
		billing_mode billing_schedules billing_thresholds cancel_at cancel_at_period_end canceled_at cancellation_details
		collection_method created currency customer customer_account days_until_due default_payment_method default_source
		default_tax_rates description discounts ended_at invoice_settings items latest_invoice livemode managed_payments
		metadata next_pending_invoice_item_invoice on_behalf_of pause_collection payment_settings
		pending_invoice_item_interval pending_setup_intent pending_update presentment_details schedule start_date status
		status_details test_clock transfer_data trial_end trial_settings trial_start`
	stripeItem = `id object billed_until billing_thresholds created current_period_end current_period_start current_trial deleted
		discounts metadata plan price quantity subscription tax_rates`
)

// readAs is a value of one of Stripe's fields, and what is read from it.
type readAs struct{ value, want string }

var readOfSubscription = map[string]readAs{
	"id":                      {`"sub_1"`, `"id":"sub_1"`},
	"object":                  {`"subscription"`, `"id":"sub_1"`}, // anything else is not read as a subscription
	"application_fee_percent": {`2.50`, `"application_fee_percent":"2.5"`},
	"billing_cycle_anchor":    {`1700000000`, `"billing_cycle_anchor":"2023-11-14T22:13:20Z"`},
	"billing_mode":            {`{"type":"classic"}`, `"billing_mode":{"type":"classic"}`},
	"billing_thresholds": {
		`{"amount_gte":5000,"reset_billing_cycle_anchor":true}`, `"billing_thresholds":{"amount_gte":5000,"reset_billing_cycle_anchor":true}`,
	},
	"cancel_at":            {`1700000000`, `"cancel_at":"2023-11-14T22:13:20Z"`},
	"cancel_at_period_end": {`true`, `"cancel_at_period_end":true`},
	"canceled_at":          {`1700000000`, `"canceled_at":"2023-11-14T22:13:20Z"`},
	"cancellation_details": {
		`{"reason":"cancellation_requested","feedback":"other","feedback_option":{"id":"fbo_1"},"comment":"x"}`,
		`"cancellation_details":{"reason":"cancellation_requested","feedback":"other","feedback_option_id":"fbo_1","comment":"x"}`,
	},
	"collection_method":      {`"send_invoice"`, `"collection_method":"send_invoice"`},
	"created":                {`1700000000`, `"created":"2023-11-14T22:13:20Z"`},
	"currency":               {`"eur"`, `"currency":"eur"`},
	"customer":               {`"cus_1"`, `"customer_id":"cus_1"`},
	"customer_account":       {`"acct_4"`, `"customer_account_id":"acct_4"`},
	"days_until_due":         {`30`, `"days_until_due":30`},
	"default_payment_method": {`"pm_1"`, `"default_payment_method_id":"pm_1"`},
	"default_source":         {`"src_1"`, `"default_source_id":"src_1"`},
	"default_tax_rates":      {`[{"id":"txr_1"},"txr_2",null]`, `"default_tax_rates":["txr_1","txr_2"]`},
	"description":            {`"x"`, `"description":"x"`},
	"discounts":              {`["di_1"]`, `"discounts":[{"id":"di_1"}]`},
	"ended_at":               {`1700000000`, `"ended_at":"2023-11-14T22:13:20Z"`},
	"invoice_settings": {
		`{"account_tax_ids":["atxi_1",{"id":"atxi_2"}],"custom_fields":[{"name":"Order","value":"7"}],"description":"x","footer":"y","issuer":{"type":"account","account":"acct_2"}}`,
		`"invoice_settings":{"account_tax_ids":["atxi_1","atxi_2"],"custom_fields":[{"name":"Order","value":"7"}],"description":"x","footer":"y","issuer":{"type":"account","account_id":"acct_2"}}`,
	},
	"items":            {`{"data":[{"id":"si_1"}]}`, `"items":[{"id":"si_1"}]`},
	"latest_invoice":   {`"in_1"`, `"latest_invoice_id":"in_1"`},
	"livemode":         {`false`, `"livemode":false`}, // of the event
	"metadata":         {`{"k":"v"}`, `"metadata":{"k":"v"}`},
	"on_behalf_of":     {`{"id":"acct_2","object":"account"}`, `"on_behalf_of_id":"acct_2"`},
	"pause_collection": {`{"behavior":"void"}`, `"pause_collection":{"behavior":"void"}`},
	"pending_update": {
		`{"billing_cycle_anchor":1700000000,"cancel_at_period_end":true,"discount":null,"discounts":["di_1"],"expires_at":1700000001,"metadata":{"k":"v"},
			"subscription_items":[{"id":"si_1","price":{"id":"price_2","unit_amount":900}}],"trial_end":1700000002,"trial_from_plan":false}`,
		`"pending_update":{"expires_at":"2023-11-14T22:13:21Z","billing_cycle_anchor":"2023-11-14T22:13:20Z","cancel_at_period_end":true,"trial_end":"2023-11-14T22:13:22Z",` +
			`"trial_from_plan":false,"metadata":{"k":"v"},"discounts":[{"id":"di_1"}],"subscription_items":[{"id":"si_1","price_id":"price_2","unit_amount":900}]}`,
	},
	"schedule":       {`"sub_sched_1"`, `"schedule_id":"sub_sched_1"`},
	"start_date":     {`1700000000`, `"start_date":"2023-11-14T22:13:20Z"`},
	"status":         {`"active"`, `"status":"active"`},
	"status_details": {`{"paused":{"type":"subscription"}}`, `"status_details":{"paused":{"type":"subscription"}}`},
	"test_clock":     {`"clock_1"`, `"test_clock_id":"clock_1"`},
	"transfer_data":  {`{"amount_percent":90.0,"destination":"acct_3"}`, `"transfer_data":{"destination_id":"acct_3","amount_percent":"90"}`},
	"trial_end":      {`1700000000`, `"trial_end":"2023-11-14T22:13:20Z"`},
	"trial_settings": {`{"end_behavior":{"missing_payment_method":"pause"}}`, `"trial_end_behavior":"pause"`},
	"trial_start":    {`1700000000`, `"trial_start":"2023-11-14T22:13:20Z"`},
}

var readOfItem = map[string]readAs{
	"id":                   {`"si_2"`, `"id":"si_2"`},
	"object":               {`"subscription_item"`, `"id":"si_1"`},
	"billing_thresholds":   {`{"usage_gte":1000}`, `"billing_thresholds":{"usage_gte":1000}`},
	"created":              {`1700000000`, `"created":"2023-11-14T22:13:20Z"`},
	"current_period_end":   {`1700000000`, `"current_period_end":"2023-11-14T22:13:20Z"`},
	"current_period_start": {`1700000000`, `"current_period_start":"2023-11-14T22:13:20Z"`},
	"current_trial": {
		`{"start_date":1700000000,"end_date":1700000001,"trial_offer":"tro_1"}`,
		`"current_trial":{"trial_offer_id":"tro_1","start":"2023-11-14T22:13:20Z","end":"2023-11-14T22:13:21Z"}`,
	},
	"discounts": {`[{"id":"di_1","source":{"coupon":"HALF"}}]`, `"discounts":[{"id":"di_1","coupon_id":"HALF"}]`},
	"metadata":  {`{"k":"v"}`, `"metadata":{"k":"v"}`},
	"plan":      {`{"id":"gold","amount":900}`, `"price_id":"gold","unit_amount":900`},
	"price":     {`{"id":"price_1","unit_amount":900}`, `"price_id":"price_1","unit_amount":900`},
	"quantity":  {`2`, `"quantity":2`},
	"tax_rates": {`[{"id":"txr_1"}]`, `"tax_rates":["txr_1"]`},
}

// unread says why fields are only in data.event.
var unread = map[string]string{
	"application":                       "the platform that created it, which its owner knows",
	"automatic_tax":                     "how tax is computed; what it comes to is on the invoice",
	"billing_cycle_anchor_config":       "how Stripe chose billing_cycle_anchor",
	"billing_schedules":                 "until when Stripe bills in advance; what that comes to is on the invoice",
	"managed_payments":                  "who sells; no effect on the subscription itself",
	"next_pending_invoice_item_invoice": "when Stripe bills items that are not the subscription's",
	"payment_settings":                  "how the customer can pay",
	"pending_invoice_item_interval":     "how often Stripe bills items that are not the subscription's",
	"pending_setup_intent":              "belongs to the checkout",
	"presentment_details":               "the currency that a checkout showed",
	"billed_until":                      "follows from billing_schedules",
	"deleted":                           "only in the answer to a deletion",
	"subscription":                      "the subscription that has the item",
}

func TestEveryFieldOfStripesIsReadOrHasAReason(t *testing.T) {
	t.Parallel()
	checkStripesFields(t, stripeSubscription, readOfSubscription, func(name, value string) string {
		return `"object":"subscription","id":"sub_1","` + name + `":` + value
	})
	checkStripesFields(t, stripeItem, readOfItem, func(name, value string) string {
		return `"object":"subscription","id":"sub_1","items":{"data":[{"id":"si_1","` + name + `":` + value + `}]}`
	})
}

func checkStripesFields(t *testing.T, names string, read map[string]readAs, fields func(name, value string) string) {
	t.Helper()
	known := strings.Fields(names)
	for _, name := range known {
		field, isRead := read[name]
		if reason := unread[name]; isRead == (reason != "") {
			t.Errorf("%s: read %v, with the reason %q for not reading it", name, isRead, reason)
		}
		if !isRead {
			field.value = `{"id":"x","enabled":true}`
		}
		m := message(t, event("customer.subscription.created", "{"+fields(name, field.value)+"}"))
		got, err := json.Marshal(m.Data.Subscription)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(got), field.want) || len(m.Data.Warnings) > 0 {
			t.Errorf("%s: got %s, warnings %q, want %s", name, got, m.Data.Warnings, field.want)
		}
		if without := message(t, event("customer.subscription.created", "{"+fields("x", "1")+"}")); !isRead && encode(t, without.Data.Subscription) != string(got) {
			t.Errorf("%s: is read: %s", name, got)
		}
	}
	for name := range read {
		if !slices.Contains(known, name) {
			t.Errorf("%s is not a field of Stripe's", name)
		}
	}
}
