package normalize_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/corpus"
)

// allWords are the words of the contract, in its order.
const allWords = `activated trial_started trial_ended trial_changed renewed plan_changed quantity_changed items_changed
	cancel_scheduled cancel_unscheduled cancellation_details_changed canceled expired past_due unpaid recovered paused resumed
	collection_paused collection_resumed billing_cycle_changed collection_method_changed schedule_changed payment_method_changed
	discount_changed tax_changed transfer_changed pending_update_changed metadata_changed user_changed other`

// base is an active subscription as the newest versions render it, with periods
// on the items.
const base = `{
	"id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "created": 1700000000,
	"billing_cycle_anchor": 1700000000, "cancel_at": null, "cancel_at_period_end": false, "canceled_at": null, "ended_at": null,
	"cancellation_details": {"comment": null, "feedback": null, "reason": null}, "collection_method": "charge_automatically",
	"default_payment_method": "pm_1", "default_source": null, "discounts": [], "latest_invoice": "in_2", "metadata": {"user_id": "7"},
	"pause_collection": null, "schedule": null, "trial_start": null, "trial_end": null,
	"items": {"object": "list", "has_more": false, "data": [
		{"id": "si_1", "quantity": 2, "current_period_start": 1702592000, "current_period_end": 1705270400, "price": {"id": "price_1", "currency": "eur", "unit_amount": 900}}
	]}
}`

const (
	firstPeriod = `{"data":[{"id":"si_1","quantity":2,"current_period_start":1700000000,"current_period_end":1702592000,"price":{"id":"price_1","currency":"eur","unit_amount":900}}]}`
	otherPrice  = `{"data":[{"id":"si_1","quantity":2,"current_period_start":1702592000,"current_period_end":1705270400,"price":{"id":"price_0","currency":"eur","unit_amount":500}}]}`
	otherCount  = `{"data":[{"id":"si_1","quantity":1,"current_period_start":1702592000,"current_period_end":1705270400,"price":{"id":"price_1","currency":"eur","unit_amount":900}}]}`
	otherItem   = `{"data":[{"id":"si_0","quantity":2,"current_period_start":1702592000,"current_period_end":1705270400,"price":{"id":"price_0","currency":"eur","unit_amount":500}}]}`
	noItems     = `{"data":[]}`
)

// itemWith returns items of base with more fields in the only one.
func itemWith(fields string) string {
	return `{"data":[{"id":"si_1","quantity":2,"current_period_start":1702592000,"current_period_end":1705270400,` +
		`"price":{"id":"price_1","currency":"eur","unit_amount":900},` + fields + `}]}`
}

// licensed and metered return items by their ids and prices.
func licensed(id, price string) string {
	return `{"id":"` + id + `","quantity":1,"price":{"id":"` + price + `","recurring":{"usage_type":"licensed"}}}`
}

func metered(id, price string) string {
	return `{"id":"` + id + `","price":{"id":"` + price + `","recurring":{"usage_type":"metered"}}}`
}

func itemsOf(items ...string) string { return `{"items":{"data":[` + strings.Join(items, ",") + `]}}` }

func TestChanges(t *testing.T) {
	t.Parallel()
	seen := map[events.Change]bool{}
	for name, tt := range map[string]struct {
		after    string // fields that differ from base
		previous string
		want     string
	}{
		"first payment succeeds":        {`{}`, `{"status":"incomplete"}`, "activated"},
		"trial ends with a payment":     {`{}`, `{"status":"trialing","items":` + firstPeriod + `}`, "activated trial_ended"},
		"trial ends unpaid":             {`{"status":"past_due"}`, `{"status":"trialing"}`, "trial_ended past_due"},
		"trial begins while active":     {`{"status":"trialing","trial_end":1705000000}`, `{"status":"active","trial_end":null}`, "trial_started"},
		"trial extended":                {`{"status":"trialing","trial_end":1706000000}`, `{"trial_end":1705000000}`, "trial_changed"},
		"trial_end set after the trial": {`{"trial_end":1706000000}`, `{"trial_end":1705000000}`, "other"},
		"next period":                   {`{}`, `{"items":` + firstPeriod + `,"latest_invoice":"in_1"}`, "renewed"},
		"next period, old rendering":    {`{"items":null,"plan":{"id":"p"},"current_period_start":1702592000,"current_period_end":1705270400}`, `{"current_period_start":1700000000,"current_period_end":1702592000}`, "renewed"},
		"period moved, not renewed":     {`{}`, `{"items":{"data":[{"id":"si_1","quantity":2,"current_period_start":1702500000,"current_period_end":1705270400,"price":{"id":"price_1","currency":"eur","unit_amount":900}}]}}`, "other"},
		"renewal payment fails":         {`{"status":"past_due"}`, `{"status":"active"}`, "past_due"},
		"period while overdue":          {`{"status":"past_due"}`, `{"items":` + firstPeriod + `}`, "renewed"},
		"other price":                   {`{}`, `{"items":` + otherPrice + `}`, "plan_changed"},
		"other plan, before there were items": {
			`{"items":null,"plan":{"id":"p2","amount":900}}`, `{"plan":{"id":"p1","amount":500}}`, "plan_changed",
		},
		"other quantity":                 {`{}`, `{"items":` + otherCount + `}`, "quantity_changed"},
		"other quantity at the top only": {`{"quantity":2}`, `{"quantity":1}`, "quantity_changed"},
		"other item for other price":     {`{}`, `{"items":` + otherItem + `}`, "plan_changed items_changed"},
		"item added":                     {`{}`, `{"items":` + noItems + `}`, "items_changed"},
		"cancel at the period's end": {
			`{"cancel_at_period_end":true,"cancel_at":1705270400,"canceled_at":1703000000,"cancellation_details":{"reason":"cancellation_requested"}}`,
			`{"cancel_at_period_end":false,"cancel_at":null,"canceled_at":null,"cancellation_details":{"reason":null}}`, "cancel_scheduled",
		},
		"cancel at the period's end, old rendering": {`{"cancel_at_period_end":true}`, `{"cancel_at_period_end":false}`, "cancel_scheduled"},
		"cancel at a date":                          {`{"cancel_at":1709000000,"canceled_at":1703000000}`, `{"cancel_at":null,"canceled_at":null}`, "cancel_scheduled"},
		"cancellation moved":                        {`{"cancel_at":1709000000}`, `{"cancel_at":1708000000}`, "cancel_scheduled"},
		"same cancellation, written differently":    {`{"cancel_at":1705270400,"cancel_at_period_end":true}`, `{"cancel_at_period_end":false}`, "other"},
		"period of a canceling one moved":           {`{"cancel_at_period_end":true}`, `{"items":{"data":[{"id":"si_1","quantity":2,"current_period_start":1702592000,"current_period_end":1705000000,"price":{"id":"price_1","currency":"eur","unit_amount":900}}]}}`, "cancel_scheduled"},
		"cancellation set to another date":          {`{"cancel_at":1709000000}`, `{"cancel_at":null,"cancel_at_period_end":true}`, "cancel_scheduled"},
		"next period, items had none":               {`{"current_period_start":1702592000,"current_period_end":1705270400}`, `{"items":{"data":[{"id":"si_1","quantity":2,"price":{"id":"price_1","currency":"eur","unit_amount":900}}]},"current_period_start":1700000000,"current_period_end":1702592000}`, "renewed"},
		"cancellation revoked":                      {`{}`, `{"cancel_at_period_end":true,"cancel_at":1705270400,"cancellation_details":{"reason":"cancellation_requested"}}`, "cancel_unscheduled"},
		"cancellation by date revoked":              {`{}`, `{"cancel_at":1709000000}`, "cancel_unscheduled"},
		"customer gives a reason":                   {`{"cancel_at":1709000000,"cancellation_details":{"feedback":"too_expensive"}}`, `{"cancellation_details":{"feedback":null}}`, "cancellation_details_changed"},
		"canceled at once":                          {`{"status":"canceled","ended_at":1703000000,"cancellation_details":{"reason":"cancellation_requested"}}`, `{"status":"active","ended_at":null,"cancellation_details":{"reason":null}}`, "canceled"},
		"scheduled cancellation takes effect":       {`{"status":"canceled","cancel_at":null}`, `{"status":"active","cancel_at":1703000000}`, "canceled"},
		"never paid":                                {`{"status":"incomplete_expired"}`, `{"status":"incomplete"}`, "expired"},
		"Stripe stops retrying":                     {`{"status":"unpaid"}`, `{"status":"past_due"}`, "unpaid"},
		"paid late":                                 {`{}`, `{"status":"past_due"}`, "recovered"},
		"paid very late":                            {`{}`, `{"status":"unpaid"}`, "recovered"},
		"paused, status":                            {`{"status":"paused"}`, `{"status":"trialing"}`, "trial_ended paused"},
		"resumed, status":                           {`{}`, `{"status":"paused"}`, "resumed"},
		"canceled while paused":                     {`{"status":"canceled"}`, `{"status":"paused"}`, "canceled"},
		"collection paused":                         {`{"pause_collection":{"behavior":"void","resumes_at":null}}`, `{"pause_collection":null}`, "collection_paused"},
		"collection paused until":                   {`{"pause_collection":{"behavior":"void","resumes_at":1709000000}}`, `{"pause_collection":{"resumes_at":null}}`, "collection_paused"},
		"collection resumed":                        {`{}`, `{"pause_collection":{"behavior":"void","resumes_at":null}}`, "collection_resumed"},
		"billing cycle":                             {`{}`, `{"billing_cycle_anchor":1600000000}`, "billing_cycle_changed"},
		"by invoice":                                {`{"collection_method":"send_invoice"}`, `{"collection_method":"charge_automatically"}`, "collection_method_changed"},
		"by invoice, old name":                      {`{"collection_method":null,"billing":"send_invoice"}`, `{"billing":"charge_automatically"}`, "collection_method_changed"},
		"schedule":                                  {`{"schedule":"sub_sched_1"}`, `{"schedule":null}`, "schedule_changed"},
		"card":                                      {`{}`, `{"default_payment_method":null}`, "payment_method_changed"},
		"source":                                    {`{"default_source":"card_1"}`, `{"default_source":null}`, "payment_method_changed"},
		"discount":                                  {`{"discounts":["di_1"]}`, `{"discounts":[]}`, "discount_changed"},
		"discount, old version":                     {`{}`, `{"discount":{"id":"di_1","coupon":{"id":"co_1","percent_off":5}}}`, "discount_changed"},
		"discount of an item":                       {`{"items":` + itemWith(`"discounts":["di_1"]`) + `}`, `{"items":` + itemWith(`"discounts":[]`) + `}`, "discount_changed"},
		"default tax rates":                         {`{"default_tax_rates":[{"id":"txr_1","percentage":19}]}`, `{"default_tax_rates":[]}`, "tax_changed"},
		"tax rates of an item":                      {`{"items":` + itemWith(`"tax_rates":[{"id":"txr_1"}]`) + `}`, `{"items":` + itemWith(`"tax_rates":[{"id":"txr_0"}]`) + `}`, "tax_changed"},
		"transfer":                                  {`{"transfer_data":{"destination":"acct_2","amount_percent":null}}`, `{"transfer_data":null}`, "transfer_changed"},
		"share of the transfer":                     {`{"transfer_data":{"destination":"acct_2","amount_percent":80}}`, `{"transfer_data":{"amount_percent":75}}`, "transfer_changed"},
		"account behind the charge":                 {`{"on_behalf_of":"acct_2"}`, `{"on_behalf_of":null}`, "transfer_changed"},
		"application fee":                           {`{"application_fee_percent":2.5}`, `{"application_fee_percent":2}`, "transfer_changed"},
		"update waits for its payment":              {`{"pending_update":{"expires_at":1705000000,"subscription_items":[{"id":"si_1","price":{"id":"price_2"}}]}}`, `{"pending_update":null}`, "pending_update_changed"},
		"pending update applied":                    {`{}`, `{"pending_update":{"expires_at":1705000000},"items":` + otherPrice + `}`, "plan_changed pending_update_changed"},
		"trial of an item begins":                   {`{"items":` + itemWith(`"current_trial":{"trial_offer":"tro_1","end_date":1705000000}`) + `}`, `{"items":` + itemWith(`"current_trial":null`) + `}`, "trial_started"},
		"trial of an item moved":                    {`{"items":` + itemWith(`"current_trial":{"trial_offer":"tro_1","end_date":1706000000}`) + `}`, `{"items":` + itemWith(`"current_trial":{"trial_offer":"tro_1","end_date":1705000000}`) + `}`, "trial_changed"},
		"trial of an item ends":                     {`{}`, `{"items":` + itemWith(`"current_trial":{"trial_offer":"tro_1","end_date":1705000000}`) + `}`, "trial_ended"},
		"add-on swapped":                            {itemsOf(licensed("si_1", "base"), licensed("si_3", "disk")), itemsOf(licensed("si_1", "base"), licensed("si_2", "seat")), "items_changed"},
		"only plan replaced, add-on added":          {itemsOf(licensed("si_3", "team"), licensed("si_4", "disk")), itemsOf(licensed("si_1", "base")), "plan_changed items_changed"},
		"plan replaced, usage stays":                {itemsOf(licensed("si_3", "team"), metered("si_2", "calls")), itemsOf(licensed("si_1", "base"), metered("si_2", "calls")), "plan_changed items_changed"},
		"plan and add-on replaced":                  {itemsOf(licensed("si_3", "team"), licensed("si_4", "disk")), itemsOf(licensed("si_1", "base"), licensed("si_2", "seat")), "plan_changed items_changed"},
		"usage replaced":                            {itemsOf(licensed("si_1", "base"), metered("si_3", "bytes")), itemsOf(licensed("si_1", "base"), metered("si_2", "calls")), "items_changed"},
		"plan removed and added again":              {itemsOf(licensed("si_3", "base")), itemsOf(licensed("si_1", "base")), "items_changed"},
		"plan removed, usage stays":                 {itemsOf(metered("si_2", "calls")), itemsOf(licensed("si_1", "base"), metered("si_2", "calls")), "items_changed"},
		"one of two plans replaced, add-on added":   {itemsOf(licensed("si_3", "team"), licensed("si_2", "disk"), licensed("si_4", "more")), itemsOf(licensed("si_1", "base"), licensed("si_2", "disk")), "items_changed"},
		"yearly price for a canceling one": {
			`{"cancel_at_period_end":true,"items":{"data":[{"id":"si_1","quantity":2,"current_period_start":1702592000,"current_period_end":1734214400,"price":{"id":"price_year"}}]}}`,
			`{"items":{"data":[{"id":"si_1","quantity":2,"current_period_start":1702592000,"current_period_end":1705270400,"price":{"id":"price_month"}}]}}`, "plan_changed cancel_scheduled",
		},
		"cancellation at the period's end, then at the same date": {`{"cancel_at":1705270400}`, `{"cancel_at":null,"cancel_at_period_end":true}`, "other"},
		"resumed in a new period":                                 {`{}`, `{"status":"paused","items":` + firstPeriod + `}`, "resumed"},
		"metadata":                                                {`{"metadata":{"user_id":"7","seat":"1"}}`, `{"metadata":{"seat":null}}`, "metadata_changed"},
		"metadata removed":                                        {`{"metadata":[]}`, `{"metadata":{"seat":"1"}}`, "metadata_changed"},
		"user":                                                    {`{}`, `{"metadata":{"user_id":"6"}}`, "metadata_changed user_changed"},
		"change without a word":                                   {`{}`, `{"latest_invoice":"in_1"}`, "other"},
		"previous attributes missing":                             {`{}`, `null`, "other"},
		"previous attributes empty":                               {`{}`, `[]`, "other"},
		"several at once": {
			`{"schedule":"sub_sched_1"}`, `{"items":` + otherPrice + `,"schedule":null,"default_payment_method":"pm_0"}`,
			"plan_changed schedule_changed payment_method_changed",
		},
	} {
		m := message(t, changed(t, tt.after, tt.previous))
		if got := joined(m.Data.Changes); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
		if m.Data.Warnings != nil {
			t.Errorf("%s: got warnings %q", name, m.Data.Warnings)
		}
		for _, word := range m.Data.Changes {
			seen[word] = true
		}
	}
	for word := range strings.FieldsSeq(allWords) {
		if !seen[events.Change(word)] {
			t.Errorf("no event leads to %s", word)
		}
	}
}

// changed returns an updated event of base.
func changed(t *testing.T, after, previous string) string {
	t.Helper()
	object := decoded(t, base)
	maps.Copy(object, decoded(t, after))
	raw, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	frame := `{"id":"evt_1","object":"event","api_version":"2025-09-30.clover","created":1703000000,"livemode":false,` +
		`"type":"customer.subscription.updated","data":{"object":` + string(raw) + `,"previous_attributes":` + previous + `}}`
	return frame
}

func decoded(t testing.TB, object string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		t.Fatalf("%v: %s", err, object)
	}
	return m
}

func joined(words []events.Change) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, " ")
}

func TestChangesOfOtherTypes(t *testing.T) {
	t.Parallel()
	for kind, byStatus := range map[string]map[string]string{
		"created":                {"active": "activated", "trialing": "trial_started", "incomplete": "", "past_due": "", "new": ""},
		"deleted":                {"canceled": "canceled", "incomplete_expired": "expired", "active": "canceled"},
		"paused":                 {"paused": ""},
		"resumed":                {"active": ""},
		"trial_will_end":         {"trialing": ""},
		"pending_update_applied": {"active": ""},
	} {
		for status, want := range byStatus {
			raw := event("customer.subscription."+kind, `{"id":"sub_1","status":"`+status+`"}`)
			raw = strings.Replace(raw, `"data":{`, `"data":{"previous_attributes":{"status":"trialing","metadata":{"a":"b"}},`, 1)
			m := message(t, raw)
			if got := joined(m.Data.Changes); got != want || m.Data.Previous != nil {
				t.Errorf("%s, %s: got %q, previous %+v, want %q and none", kind, status, got, m.Data.Previous, want)
			}
		}
	}
}

func TestPrevious(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		version, object, previous string
		want                      string
	}{
		"each field complete": {
			"2025-09-30.clover", `{"id":"s","metadata":{"a":"1","b":"2"},"pause_collection":{"behavior":"void","resumes_at":5}}`,
			`{"metadata":{"b":null,"c":"3"},"pause_collection":{"behavior":"keep_as_draft"}}`,
			`{"pause_collection":{"behavior":"keep_as_draft","resumes_at":"1970-01-01T00:00:05Z"},"metadata":{"a":"1","c":"3"}}`,
		},
		"what was not set": {
			"2023-10-16", `{"id":"s","status":"canceled","ended_at":1700000000,"schedule":"x"}`, `{"status":"active","ended_at":null,"schedule":null}`,
			`{"status":"active","access":"granted","ends_at":null,"ended_at":null,"schedule_id":null}`,
		},
		"whole arrays": {
			"2017-05-25", `{"id":"s","items":{"data":[{"id":"a","quantity":2,"plan":{"id":"p"}},{"id":"b"}]}}`, `{"items":{"data":[{"id":"a","quantity":1}]}}`,
			`{"items":[{"id":"a","quantity":1}]}`,
		},
		"sparse arrays": {
			"2017-04-06", `{"id":"s","items":{"data":[{"object":"subscription_item","id":"a","quantity":2,"plan":{"id":"p","amount":5}},{"id":"b"}]}}`,
			`{"items":{"data":[{"quantity":1,"plan":{"amount":4}}]}}`,
			`{"items":[{"id":"a","price_id":"p","quantity":1,"unit_amount":4},{"id":"b"}]}`,
		},
		"sparse arrays, null and more elements": {
			"2016-07-06", `{"id":"s","items":{"data":[{"id":"a"},{"id":"b"}]}}`, `{"items":{"data":[null,{"id":"c"},{"id":"d"}]}}`,
			`{"items":[{"id":"a"},{"id":"c"},{"id":"d"}]}`,
		},
		"whole arrays of objects": {
			"2016-07-06", `{"id":"s","items":{"data":[{"object":"subscription_item","id":"a","quantity":2,"price":{"id":"p"},"metadata":{"k":"v"}},{"object":"subscription_item","id":"b"}]}}`,
			`{"items":{"data":[{"object":"subscription_item","id":"a","quantity":1,"price":{"id":"p"}}]}}`,
			`{"items":[{"id":"a","price_id":"p","quantity":1}]}`,
		},
		"an array that was empty": {
			"2016-07-06", `{"id":"s","items":{"data":[{"object":"subscription_item","id":"a"}]}}`, `{"items":{"data":[]}}`, `{"items":null}`,
		},
		"a part and a whole element": {
			"2026-07-29.dahlia", `{"id":"s","items":{"data":[{"object":"subscription_item","id":"a","price":{"id":"p"}},{"object":"subscription_item","id":"b","quantity":2}]}}`,
			`{"items":{"data":[{"price":{"id":"q"}},{"object":"subscription_item","id":"c"}]}}`,
			`{"items":[{"id":"a","price_id":"q"},{"id":"c"}]}`,
		},
		"plan of the only item": {
			"2018-05-21", `{"id":"s","plan":{"id":"p","amount":5},"items":{"data":[{"id":"a","plan":{"id":"p","amount":5}}]}}`, `{"plan":{"id":"q","amount":4}}`,
			`{"items":[{"id":"a","price_id":"q","unit_amount":4}]}`,
		},
		"plan of the only item, in a plain array": {
			"2018-05-21", `{"id":"s","items":[{"id":"a","plan":{"id":"p"}}]}`, `{"plan":{"id":"q"},"quantity":3}`,
			`{"items":[{"id":"a","price_id":"q","quantity":3}]}`,
		},
		"plan of the only item, several now": {
			"2018-05-21", `{"id":"s","plan":null,"items":{"data":[{"id":"a"},{"id":"b"}]}}`, `{"plan":{"id":"q"}}`,
			`{"items":[{"price_id":"q"}]}`,
		},
		"object for a reference": {
			"2023-10-16", `{"id":"s","latest_invoice":{"id":"in_2"}}`, `{"latest_invoice":"in_1"}`, `{"latest_invoice_id":"in_1"}`,
		},
		"escaped and repeated names": {
			"2023-10-16", `{"id":"s","st\u0061tus":"active","description":"x","description":"y"}`, `{"status":"past_due","d\u0065scription":"w","description":"v"}`,
			`{"status":"past_due","access":"grace","description":"v"}`,
		},
		"previous id is ignored": {"2023-10-16", `{"id":"s"}`, `{"id":"t","description":"x"}`, `{"description":"x"}`},
	} {
		raw := event("customer.subscription.updated", tt.object+`,"previous_attributes":`+tt.previous)
		raw = strings.Replace(raw, `"created":`, `"api_version":"`+tt.version+`","created":`, 1)
		m := message(t, raw)
		got, err := json.Marshal(m.Data.Previous)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != tt.want || m.Data.Warnings != nil {
			t.Errorf("%s: got %s, warnings %q, want %s", name, got, m.Data.Warnings, tt.want)
		}
	}
}

func TestPreviousOfOddTypes(t *testing.T) {
	t.Parallel()
	m := message(t, event("customer.subscription.updated", `{"id":"s","status":"active"},"previous_attributes":{"status":7,"cancel_at":"soon"}`))
	slices.Sort(m.Data.Warnings)
	if m.Data.Previous == nil || !m.Data.Previous.Has("status") {
		t.Errorf("got previous %+v, want the status", m.Data.Previous)
	}
	if diff := cmp.Diff([]string{"previous_attributes: cancel_at: not a time", "previous_attributes: status: not a string"}, m.Data.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	m = message(t, event("customer.subscription.updated", `{"id":"s"},"previous_attributes":"x"`))
	if diff := cmp.Diff([]string{"data.previous_attributes: not an object"}, m.Data.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// A version says nothing about an event that its shape does not say: Stripe sends
// api_version null for accounts and destinations without one.
func TestEventsWithoutVersionReadLikeTheirRendering(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/versions/*/[0-9]*.json")
	if err != nil || len(paths) < 50 {
		t.Fatalf("got %d renderings, %v, want at least 50", len(paths), err)
	}
	for _, path := range paths {
		checkWithoutVersion(t, path, read(t, path))
	}
}

func TestRecordedEventsWithoutVersionReadLikeTheirRendering(t *testing.T) {
	t.Parallel()
	for _, file := range corpus.Load(t) {
		checkWithoutVersion(t, file.Name, file.Raw)
	}
}

func checkWithoutVersion(t *testing.T, name string, raw []byte) {
	t.Helper()
	e := decoded(t, string(raw))
	e["api_version"] = nil
	without, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	want, got := message(t, string(raw)).Data, message(t, string(without)).Data
	want.Event, want.EventSHA256, got.Event, got.EventSHA256 = nil, "", nil, ""
	if diff := cmp.Diff(encode(t, want), encode(t, got)); diff != "" {
		t.Errorf("%s (-with version +without):\n%s", name, diff)
	}
}

// The state before is computed in another way: the object is merged as decoded
// JSON and then normalized as if Stripe had sent it.
func TestPreviousGivesTheStateBefore(t *testing.T) {
	t.Parallel()
	n := normalizer(t, options())
	compared := 0
	for _, file := range corpus.Load(t) {
		whole, ok := mergedBefore(t, file.Raw)
		if !ok {
			continue
		}
		compared++
		m, err := n.Event(file.Raw, receipt())
		if err != nil {
			t.Fatalf("%s: %v", file.Name, err)
		}
		want, err := n.Event(whole, receipt())
		if err != nil {
			t.Fatalf("%s: %v", file.Name, err)
		}
		if diff := cmp.Diff(want.Data.Subscription, m.Data.Previous.Before(m.Data.Subscription)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file.Name, diff)
		}
	}
	if compared < 15 && !otherCorpus() {
		t.Errorf("only %d events could be compared", compared)
	}
}

// mergedBefore returns the event with its object as it was before. It reports
// false if that needs more than merging: for events without items, and for
// versions with sparse arrays.
func mergedBefore(t *testing.T, raw []byte) ([]byte, bool) {
	t.Helper()
	e := decoded(t, string(raw))
	version, _ := e["api_version"].(string)
	data, _ := e["data"].(map[string]any)
	object, _ := data["object"].(map[string]any)
	previous, _ := data["previous_attributes"].(map[string]any)
	_, plan := previous["plan"]
	_, items := previous["items"]
	if e["type"] != "customer.subscription.updated" || object["id"] == nil || previous == nil || version < "2017-05-25" || plan && !items {
		return nil, false
	}
	delete(data, "previous_attributes")
	merge(object, previous)
	whole, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return whole, true
}

func merge(object, previous map[string]any) {
	for key, was := range previous {
		now, isObject := object[key].(map[string]any)
		part, wasObject := was.(map[string]any)
		if isObject && wasObject {
			merge(now, part)
			continue
		}
		object[key] = was
	}
}

// A previous plan is nested deeper in the merged object than in the event.
func TestPreviousPlanOfMaximumDepth(t *testing.T) {
	t.Parallel()
	for depth := 9_980; depth < 9_990; depth++ {
		plan := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		raw := event("customer.subscription.updated", `{"id":"s","plan":{"id":"p"},"items":{"data":[{"id":"a"}]}},"previous_attributes":{"plan":`+plan+`}`)
		_, err := normalizer(t, options()).Event([]byte(raw), receipt())
		if refused := depth+3 > 9_990; refused != (err != nil) {
			t.Errorf("%d levels: got %v", depth, err)
		}
	}
}
