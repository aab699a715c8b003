package normalize_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

func at(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

func TestSubscription(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fields   string // in addition to id and object
		want     events.Subscription
		warnings []string
	}{
		"nothing": {``, events.Subscription{}, nil},
		"all null": {
			`,"customer":null,"status":null,"items":null,"plan":null,"quantity":null,"discount":null,"discounts":null,"metadata":null,"trial_settings":null,
			  "created":null,"cancel_at_period_end":null,"pause_collection":null,"billing_mode":null,"cancellation_details":null,"pending_update":null,"status_details":null`,
			events.Subscription{},
			nil,
		},
		"last of several keys": {`,"status":"active","status":null,"description":"a","description":"b"`, events.Subscription{Description: "b"}, nil},
		"keys in capitals":     {`,"Status":"active","CUSTOMER":"cus_1"`, events.Subscription{}, nil},
		"unknown status":       {`,"status":"dormant"`, events.Subscription{Status: "dormant"}, nil},
		"references by id": {
			`,"customer":"cus_1","customer_account":"acct_c","default_payment_method":"pm_1","default_source":"src_1","latest_invoice":"in_1","schedule":"sub_sched_1","test_clock":"clock_1"`,
			events.Subscription{CustomerID: "cus_1", CustomerAccountID: "acct_c", DefaultPaymentMethodID: "pm_1", DefaultSourceID: "src_1", LatestInvoiceID: "in_1", ScheduleID: "sub_sched_1", TestClockID: "clock_1"},
			nil,
		},
		"references expanded": {
			`,"customer":{"object":"customer","id":"cus_1","deleted":true},"latest_invoice":{"lines":[{"id":"no"}],"id":"in_1"},"test_clock":{"id":null},"schedule":{}`,
			events.Subscription{CustomerID: "cus_1", LatestInvoiceID: "in_1"},
			nil,
		},
		"references of odd types": {
			`,"customer":1,"default_source":["src_1"],"latest_invoice":{"id":2}`,
			events.Subscription{},
			[]string{"customer: not a reference", "default_source: not a reference", "latest_invoice: not a reference"},
		},
		"times": {
			`,"created":1700000000,"start_date":"1700000001","billing_cycle_anchor":1700000002.0,"trial_start":1.700000003e9,"trial_end":253402300799`,
			events.Subscription{Created: at(1700000000), StartDate: at(1700000001), BillingCycleAnchor: at(1700000002), TrialStart: at(1700000003), TrialEnd: at(253402300799)},
			nil,
		},
		"times of odd types": {
			`,"created":"yesterday","start_date":0,"billing_cycle_anchor":-1,"trial_start":1.5,"trial_end":253402300800,"cancel_at":"0","canceled_at":true,"ended_at":[1],"current_period_end":"2024-01-01T00:00:00Z"`,
			events.Subscription{},
			[]string{
				"created: not a time", "start_date: not a time", "billing_cycle_anchor: not a time", "trial_start: not a time", "trial_end: not a time",
				"cancel_at: not a time", "canceled_at: not a time", "ended_at: not a time", "current_period_end: not a time",
			},
		},
		"start is not start_date": {`,"start":1700000000`, events.Subscription{}, nil},
		"integers of odd types": {
			`,"days_until_due":"30"`, events.Subscription{}, []string{"days_until_due: not an integer"},
		},
		"integer out of range": {`,"days_until_due":9223372036854775808`, events.Subscription{}, []string{"days_until_due: not an integer"}},
		"integer as a float":   {`,"days_until_due":30.0`, events.Subscription{DaysUntilDue: new(int64(30))}, nil},
		"booleans":             {`,"cancel_at_period_end":false`, events.Subscription{CancelAtPeriodEnd: new(false)}, nil},
		"booleans of odd types": {
			`,"cancel_at_period_end":0`, events.Subscription{}, []string{"cancel_at_period_end: not a boolean"},
		},
		"text of odd types": {
			`,"status":1,"currency":{},"description":["x"]`,
			events.Subscription{},
			[]string{"status: not a string", "description: not a string", "currency: not a string"},
		},
		"text with escapes":           {`,"description":"a\"\u00e9\ud83d\ude00\ud800\\"`, events.Subscription{Description: "a\"é😀\uFFFD\\"}, nil},
		"billing before 2019":         {`,"billing":"send_invoice"`, events.Subscription{CollectionMethod: "send_invoice"}, nil},
		"billing and its successor":   {`,"billing":"send_invoice","collection_method":"charge_automatically"`, events.Subscription{CollectionMethod: "charge_automatically"}, nil},
		"billing mode":                {`,"billing_mode":{"type":"classic","flexible":null}`, events.Subscription{BillingMode: &events.BillingMode{Type: "classic"}}, nil},
		"cancellation details, empty": {`,"cancellation_details":{"comment":null,"feedback":null,"reason":null}`, events.Subscription{}, nil},
		"cancellation details":        {`,"cancellation_details":{"comment":"c","feedback":null,"reason":"r"}`, events.Subscription{CancellationDetails: &events.CancellationDetails{Comment: "c", Reason: "r"}}, nil},
		"pause with an odd type":      {`,"pause_collection":{"behavior":1}`, events.Subscription{PauseCollection: &events.PauseCollection{}}, []string{"pause_collection.behavior: not a string"}},
		"pause that is empty":         {`,"pause_collection":{}`, events.Subscription{}, nil},
		"pending update":              {`,"pending_update":{"expires_at":1700000000}`, events.Subscription{PendingUpdate: &events.PendingUpdate{ExpiresAt: at(1700000000)}}, nil},
		"status details":              {`,"status_details":{"paused":{"type":"subscription","subscription":null}}`, events.Subscription{StatusDetails: &events.StatusDetails{Paused: &events.PausedDetails{Type: "subscription"}}}, nil},
		"status details, empty":       {`,"status_details":{"paused":null}`, events.Subscription{}, nil},
		"empty metadata from PHP":     {`,"metadata":[]`, events.Subscription{}, nil},
		"metadata, empty":             {`,"metadata":{}`, events.Subscription{}, nil},
		"metadata that is an array":   {`,"metadata":["a"]`, events.Subscription{}, []string{"metadata: not an object"}},
		"metadata of odd types":       {`,"metadata":{"a":1,"b":"","c":null,"d":["x"]}`, events.Subscription{Metadata: map[string]string{"b": ""}}, []string{"metadata.a: not a string", "metadata.d: not a string"}},
		"metadata, repeated":          {`,"metadata":{"a":"1","a":"2","b":"1","b":null}`, events.Subscription{Metadata: map[string]string{"a": "2"}}, nil},
		"user id, first key wins":     {`,"metadata":{"uid":"u_2","user_id":"u_1"}`, events.Subscription{UserID: "u_1", Metadata: map[string]string{"uid": "u_2", "user_id": "u_1"}}, nil},
		"user id, blank is skipped":   {`,"metadata":{"uid":"u_2","user_id":" \t"}`, events.Subscription{UserID: "u_2", Metadata: map[string]string{"uid": "u_2", "user_id": " \t"}}, nil},
		"user id, exact key":          {`,"metadata":{"USER_ID":"u_1"}`, events.Subscription{Metadata: map[string]string{"USER_ID": "u_1"}}, nil},
		"discount of 2011":            {`,"discount":{"object":"discount","coupon":{"id":"c","percent_off":50},"start":1700000000,"end":null}`, events.Subscription{Discounts: []events.Discount{{CouponID: "c", PercentOff: "50", Start: at(1700000000)}}}, nil},
		"discount with id":            {`,"discount":{"id":"di_1","coupon":{"id":"c","amount_off":500,"currency":"eur"}}`, events.Subscription{Discounts: []events.Discount{{ID: "di_1", CouponID: "c", AmountOff: new(int64(500)), Currency: "eur"}}}, nil},
		"percent off as written":      {`,"discount":{"coupon":{"percent_off":12.50}}`, events.Subscription{Discounts: []events.Discount{{PercentOff: "12.5"}}}, nil},
		"percent off, precise":        {`,"discount":{"coupon":{"percent_off":12,"percent_off_precise":12.5}}`, events.Subscription{Discounts: []events.Discount{{PercentOff: "12.5"}}}, nil},
		"percent off, both equal":     {`,"discount":{"coupon":{"percent_off":50,"percent_off_precise":50.0}}`, events.Subscription{Discounts: []events.Discount{{PercentOff: "50"}}}, nil},
		"discounts by id":             {`,"discounts":["di_1","di_2",null]`, events.Subscription{Discounts: []events.Discount{{ID: "di_1"}, {ID: "di_2"}}}, nil},
		"discounts, coupon by id":     {`,"discounts":[{"id":"di_1","coupon":"c","promotion_code":"promo_1"}]`, events.Subscription{Discounts: []events.Discount{{ID: "di_1", CouponID: "c", PromotionCodeID: "promo_1"}}}, nil},
		"discounts, coupon in source": {`,"discounts":[{"id":"di_1","source":{"coupon":{"id":"c","percent_off":5.0},"type":"coupon"}}]`, events.Subscription{Discounts: []events.Discount{{ID: "di_1", CouponID: "c", PercentOff: "5"}}}, nil},
		"discounts, empty source":     {`,"discounts":[{"id":"di_1","source":{"type":"x"},"coupon":"c"}]`, events.Subscription{Discounts: []events.Discount{{ID: "di_1", CouponID: "c"}}}, nil},
		"discounts, one in both":      {`,"discounts":["di_2","di_1"],"discount":{"id":"di_1","coupon":"c"}`, events.Subscription{Discounts: []events.Discount{{ID: "di_2"}, {ID: "di_1", CouponID: "c"}}}, nil},
		"discounts of odd types":      {`,"discounts":[1,{"id":"di_1","coupon":7,"start":"x"}]`, events.Subscription{Discounts: []events.Discount{{ID: "di_1"}}}, []string{"discounts[0]: not an object", "discounts[1].start: not a time", "discounts[1].coupon: not a reference"}},
		"discounts not an array":      {`,"discounts":{}`, events.Subscription{}, []string{"discounts: not an array"}},
		"period, top level first":     {`,"current_period_start":10,"current_period_end":20,"items":{"data":[{"id":"si_1","current_period_start":11,"current_period_end":12}]}`, events.Subscription{CurrentPeriodStart: at(10), CurrentPeriodEnd: at(20), Items: []events.Item{{ID: "si_1", CurrentPeriodStart: at(11), CurrentPeriodEnd: at(12)}}}, nil},
		"period, over items":          {`,"items":{"data":[{"current_period_start":11,"current_period_end":40},{},{"current_period_start":10,"current_period_end":30}]}`, events.Subscription{CurrentPeriodStart: at(11), CurrentPeriodEnd: at(30), Items: []events.Item{{CurrentPeriodStart: at(11), CurrentPeriodEnd: at(40)}, {}, {CurrentPeriodStart: at(10), CurrentPeriodEnd: at(30)}}}, nil},
		"ends when it ended":          {`,"status":"canceled","ended_at":10,"cancel_at":20`, events.Subscription{Status: "canceled", Access: "none", EndedAt: at(10), CancelAt: at(20), EndsAt: at(10)}, nil},
		"ends with the period":        {`,"cancel_at_period_end":true,"current_period_end":30`, events.Subscription{CancelAtPeriodEnd: new(true), CurrentPeriodEnd: at(30), EndsAt: at(30)}, nil},
		"cancellation was requested":  {`,"canceled_at":10,"cancel_at_period_end":false`, events.Subscription{CanceledAt: at(10), CancelAtPeriodEnd: new(false)}, nil},
		"items truncated":             {`,"items":{"data":[{"id":"si_1"}],"has_more":true}`, events.Subscription{ItemsTruncated: true, Items: []events.Item{{ID: "si_1"}}}, nil},
		"items in a plain array":      {`,"items":[{"id":"si_1","quantity":2}]`, events.Subscription{Items: []events.Item{{ID: "si_1", Quantity: new(int64(2))}}}, nil},
		"items empty, but a plan":     {`,"items":[],"plan":{"id":"gold","currency":"usd"},"quantity":0`, events.Subscription{Currency: "usd", Items: []events.Item{{PriceID: "gold", Currency: "usd", Quantity: new(int64(0))}}}, nil},
		"items of odd types":          {`,"items":"many"`, events.Subscription{}, []string{"items: not an array"}},
		"items with odd elements":     {`,"items":{"data":["si_1",{"id":5,"quantity":1.5}]}`, events.Subscription{Items: []events.Item{{}}}, []string{"items.data[0]: not an object", "items.data[1].quantity: not an integer", "items.data[1].id: not a string"}},
		"items beat the plan":         {`,"items":{"data":[{"id":"si_1"}]},"plan":{"id":"gold"}`, events.Subscription{Items: []events.Item{{ID: "si_1"}}}, nil},
		"own currency":                {`,"currency":"eur","plan":{"id":"gold","currency":"usd"}`, events.Subscription{Currency: "eur", Items: []events.Item{{PriceID: "gold", Currency: "usd"}}}, nil},
		"amounts in another currency": {
			`,"currency":"eur","items":{"data":[{"price":{"currency":"usd","unit_amount":1000}},{"price":{"currency":"eur","unit_amount":900}},{"plan":{"currency":"usd"}}]},
			  "pending_update":{"expires_at":10,"subscription_items":[{"price":{"currency":"usd","unit_amount_decimal":"0.5"}}]}`,
			events.Subscription{
				Currency: "eur", Items: []events.Item{{Currency: "usd", UnitAmount: new(int64(1000))}, {Currency: "eur", UnitAmount: new(int64(900))}, {Currency: "usd"}},
				PendingUpdate: &events.PendingUpdate{ExpiresAt: at(10), SubscriptionItems: []events.Item{{Currency: "usd", UnitAmountDecimal: "0.5"}}},
			},
			[]string{
				"pending_update.subscription_items[0]: its amount is in usd, but the subscription is billed in eur",
				"items.data[0]: its amount is in usd, but the subscription is billed in eur",
			},
		},
		"new fields of odd types": {
			`,"default_tax_rates":[1,{"id":"txr_1"},{}],"on_behalf_of":2,"transfer_data":{"destination":3,"amount_percent":"all"},"application_fee_percent":true,
			  "billing_thresholds":[],"invoice_settings":{"account_tax_ids":"x","custom_fields":["y",{"name":1}],"issuer":{"type":5}},
			  "items":{"data":[{"current_trial":{"end_date":"soon"},"tax_rates":[true],"discounts":[7],"billing_thresholds":{"usage_gte":"1"}}]}`,
			events.Subscription{
				DefaultTaxRates: []string{"txr_1"}, InvoiceSettings: &events.InvoiceSettings{CustomFields: []events.InvoiceCustomField{{}}}, Items: []events.Item{{}},
			},
			[]string{
				"billing_thresholds: not an object", "invoice_settings.account_tax_ids: not an array", "invoice_settings.custom_fields[0]: not an object",
				"invoice_settings.custom_fields[1].name: not a string", "invoice_settings.issuer.type: not a string", "on_behalf_of: not a reference",
				"transfer_data.destination: not a reference", "transfer_data.amount_percent: not a decimal number", "application_fee_percent: not a decimal number",
				"default_tax_rates[0]: not a reference", "items.data[0].current_trial.end_date: not a time", "items.data[0].billing_thresholds.usage_gte: not an integer",
				"items.data[0].tax_rates[0]: not a reference", "items.data[0].discounts[0]: not an object",
			},
		},
		"new fields, all empty": {
			`,"billing_thresholds":{"amount_gte":null},"invoice_settings":{"account_tax_ids":null,"issuer":{}},"transfer_data":null,"default_tax_rates":null,
			  "items":{"data":[{"current_trial":null,"tax_rates":[],"discounts":[],"billing_thresholds":{}}]}`,
			events.Subscription{Items: []events.Item{{}}},
			nil,
		},
		"expired, ends when canceled": {`,"status":"incomplete_expired","canceled_at":10,"cancel_at":20`, events.Subscription{Status: "incomplete_expired", CanceledAt: at(10), CancelAt: at(20), EndsAt: at(10)}, nil},
		"own livemode is ignored":     {`,"livemode":true`, events.Subscription{}, nil},
		"own account is ignored":      {`,"account":"acct_2"`, events.Subscription{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, warnings := subscription(t, tt.fields)
			tt.want.ID = "sub_1"
			tt.want.Access = events.Access(tt.want.Status)
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// An event can say that a subscription ended, but not when.
func TestEndAtTheTimeOfTheEvent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ kind, fields, access, endsAt string }{
		"expired":                       {"updated", `"status":"incomplete_expired"`, "none", "2023-11-14T22:13:20Z"},
		"expired, with its end":         {"updated", `"status":"incomplete_expired","ended_at":1600000000`, "none", "2020-09-13T12:26:40Z"},
		"deleted, still active":         {"deleted", `"status":"active"`, "none", "2023-11-14T22:13:20Z"},
		"deleted, still active, ended":  {"deleted", `"status":"active","ended_at":1600000000`, "none", "2020-09-13T12:26:40Z"},
		"deleted, end was scheduled":    {"deleted", `"status":"trialing","cancel_at":1900000000`, "none", "2023-11-14T22:13:20Z"},
		"deleted":                       {"deleted", `"status":"canceled","ended_at":1600000000`, "none", "2020-09-13T12:26:40Z"},
		"active, and nothing was ended": {"updated", `"status":"active"`, "granted", "0001-01-01T00:00:00Z"},
	} {
		s := message(t, event("customer.subscription."+tt.kind, `{"id":"sub_1",`+tt.fields+`}`)).Data.Subscription
		if got := s.EndsAt.Format(time.RFC3339); s.Access != tt.access || got != tt.endsAt {
			t.Errorf("%s: got access %s, end %s, want %s, %s", name, s.Access, got, tt.access, tt.endsAt)
		}
	}
}

func TestItem(t *testing.T) {
	t.Parallel()
	plan := `"plan":{"id":"gold","object":"plan","amount":900,"amount_decimal":"900","billing_scheme":"per_unit","currency":"usd","interval":"month","interval_count":3,
		"meter":"mtr_1","nickname":"Gold","product":{"id":"prod_1"},"tiers_mode":"volume","transform_usage":{"divide_by":10,"round":"down"},"usage_type":"metered"}`
	price := `"price":{"id":"price_1","unit_amount":1000,"unit_amount_decimal":"1000.5","billing_scheme":"tiered","currency":"eur","lookup_key":"k","nickname":"Price","product":"prod_2",
		"recurring":{"interval":"year","interval_count":1,"meter":{"id":"mtr_2"},"usage_type":"licensed"},"tax_behavior":"inclusive","tiers_mode":"graduated","transform_quantity":{"divide_by":5,"round":"up"}}`
	ofPlan := events.Item{
		PriceID: "gold", ProductID: "prod_1", Nickname: "Gold", UnitAmount: new(int64(900)), UnitAmountDecimal: "900", BillingScheme: "per_unit", TiersMode: "volume",
		TransformQuantity: &events.TransformQuantity{DivideBy: new(int64(10)), Round: "down"}, Currency: "usd", Interval: "month", IntervalCount: new(int64(3)), UsageType: "metered", MeterID: "mtr_1",
	}
	ofPrice := events.Item{
		PriceID: "price_1", ProductID: "prod_2", LookupKey: "k", Nickname: "Price", UnitAmount: new(int64(1000)), UnitAmountDecimal: "1000.5", BillingScheme: "tiered", TiersMode: "graduated",
		TransformQuantity: &events.TransformQuantity{DivideBy: new(int64(5)), Round: "up"}, Currency: "eur", Interval: "year", IntervalCount: new(int64(1)), UsageType: "licensed", MeterID: "mtr_2", TaxBehavior: "inclusive",
	}
	filled := ofPlan
	filled.PriceID, filled.TaxBehavior, filled.UnitAmount, filled.Interval = "price_1", "exclusive", new(int64(0)), "week"
	for name, tt := range map[string]struct {
		item     string
		want     events.Item
		warnings []string
	}{
		"plan":                      {plan, ofPlan, nil},
		"price":                     {price, ofPrice, nil},
		"both":                      {plan + "," + price, ofPrice, nil},
		"plan fills what is absent": {plan + `,"price":{"id":"price_1","unit_amount":0,"nickname":null,"tax_behavior":"exclusive","recurring":{"interval":"week"}}`, filled, nil},
		"price by id, with a plan":  {`"price":"price_1","plan":{"id":"gold","amount":5}`, events.Item{PriceID: "price_1", UnitAmount: new(int64(5))}, nil},
		"plan by id":                {`"plan":"gold"`, events.Item{PriceID: "gold"}, nil},
		"own fields":                {`"id":"si_1","created":10,"current_period_start":11,"current_period_end":12,"quantity":4,"metadata":{"a":"b"}`, events.Item{ID: "si_1", Created: at(10), CurrentPeriodStart: at(11), CurrentPeriodEnd: at(12), Quantity: new(int64(4)), Metadata: map[string]string{"a": "b"}}, nil},
		"one-time price":            {`"price":{"id":"price_1","recurring":null}`, events.Item{PriceID: "price_1"}, nil},
		"decimal as a number":       {`"price":{"unit_amount_decimal":0.050}`, events.Item{UnitAmountDecimal: "0.050"}, nil},
		"odd types": {
			`"price":{"id":1,"unit_amount":"5","unit_amount_decimal":"five","recurring":[],"transform_quantity":{"divide_by":2.5,"round":"up"}},"plan":7,"metadata":[1]`,
			events.Item{TransformQuantity: &events.TransformQuantity{Round: "up"}},
			[]string{
				"items.data[0].price: not a reference", "items.data[0].plan: not a reference", "items.data[0].price.recurring: not an object",
				"items.data[0].price.unit_amount: not an integer", "items.data[0].price.unit_amount_decimal: not a decimal number",
				"items.data[0].price.transform_quantity.divide_by: not an integer", "items.data[0].metadata: not an object",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, warnings := subscription(t, `,"items":{"object":"list","data":[{`+tt.item+`}],"has_more":false}`)
			if diff := cmp.Diff([]events.Item{tt.want}, got.Items); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.warnings, warnings); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSubscriptionTakesModeAndAccountFromTheEvent(t *testing.T) {
	t.Parallel()
	raw := `{"id":"evt_1","object":"event","created":1,"type":"customer.subscription.created","livemode":true,"account":"acct_1","data":{"object":{"id":"sub_1","livemode":false}}}`
	s := message(t, raw).Data.Subscription
	if !s.Livemode || s.AccountID != "acct_1" {
		t.Errorf("got livemode %t of %q, want true of acct_1", s.Livemode, s.AccountID)
	}
}

func TestManyItems(t *testing.T) {
	t.Parallel()
	data := strings.TrimSuffix(strings.Repeat(`{"price":{"id":"p","recurring":{"interval":"day"}}},`, 10_000), ",")
	got, _ := subscription(t, `,"items":{"data":[`+data+`]}`)
	if len(got.Items) != 10_000 || got.Items[9_999].Interval != "day" {
		t.Errorf("got %d items, want 10000 complete ones", len(got.Items))
	}
}
