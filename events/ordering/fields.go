package ordering

import (
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"reflect"
	"strings"

	"github.com/billbus/billbus/events"
)

// Whole digests say whether two states are equal. Hashes of single fields also say
// whether they are equal as far as two API versions go, and whether a state lies half
// way between two others.

// field is one part of the state of a subscription.
type field struct {
	name string
	// since is the first API version all of whose events have the field, also those
	// that were recorded long ago; "" if all events have it. Fields with the value
	// newestVersion are compared within one version only.
	since string
	value func(s, core reflect.Value) reflect.Value
}

// newestVersion is later than any API version.
const newestVersion = "~"

// sinceItems is later than the versions of events from before subscriptions had items, and
// earlier than all others.
const sinceItems = "2018"

const (
	items       = "items"
	itemDetails = "item details"
)

// isOfItems reports whether a list of items that is cut off says nothing about a field.
func (f field) isOfItems() bool { return f.name == items || f.name == itemDetails }

// since lists the fields that several API versions render alike. The first versions
// that have a field in the code's own simulation and in the recorded events decide, not
// the version that Stripe's changelog names: Stripe adds fields to older versions, too,
// but not to events of the past.
var since = map[string]string{
	"status": "", "customer_id": "", "livemode": "", "account_id": "", "metadata": "", items: "",
	"cancel_at_period_end": "", "canceled_at": "", "ended_at": "", "trial_start": "", "trial_end": "",
	"current_period_start": "", "current_period_end": "", "cancel_at": sinceItems, "pause_collection": sinceItems,
	"collection_method": "2020-08-27", "start_date": "2020-08-27", "billing_cycle_anchor": "2020-08-27",
	"created": "2020-08-27", "days_until_due": "2020-08-27", "default_source_id": "2020-08-27",
	"default_payment_method_id": sinceItems, "latest_invoice_id": sinceItems,
	"schedule_id": "2020-08-27", "test_clock_id": "2020-08-27", "discounts": "2020-08-27",
	"pending_update": "2020-08-27", "currency": "2020-08-27",
	"description": "2023-10-16", "trial_end_behavior": "2023-10-16", "cancellation_details": "2023-10-16",
	itemDetails: "2025-03-31.basil",
}

// fields are the parts of a state in the order of their hashes in [Digest.Fields].
var fields = listFields()

func listFields() []field {
	list := []field{{items, since[items], func(_, core reflect.Value) reflect.Value { return core.FieldByName("Items") }}}
	t := reflect.TypeFor[events.Subscription]()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		switch name {
		case "id", "user_id", "access", "ends_at", "items_truncated":
			continue
		case "items":
			name = itemDetails
		}
		first, ok := since[name]
		if !ok {
			first = newestVersion
		}
		list = append(list, field{name, first, func(s, _ reflect.Value) reflect.Value { return s.Field(i) }})
	}
	return list
}

const (
	hashLength = 4
	absent     = "----"
	truncated  = "****"
)

// fieldsOf returns the hashes of all fields, each [hashLength] long, with a fixed mark
// for one that is absent or, of truncated items, unknown.
func fieldsOf(s *events.Subscription) string {
	whole, common := full(*s), core(s)
	w, c := reflect.ValueOf(whole), reflect.ValueOf(common)
	var b strings.Builder
	for _, f := range fields {
		if s.ItemsTruncated && f.isOfItems() {
			b.WriteString(truncated)
		} else {
			b.WriteString(shortHash(f.value(w, c)))
		}
	}
	return b.String()
}

func shortHash(v reflect.Value) string {
	if v.IsZero() || v.Kind() == reflect.Slice && v.Len() == 0 || v.Kind() == reflect.Map && v.Len() == 0 {
		return absent
	}
	raw, err := json.Marshal(v.Interface())
	if err != nil {
		panic("ordering: a subscription that came from JSON cannot be written as JSON")
	}
	h := fnv.New64a()
	_, _ = h.Write(raw)
	sum := h.Sum(nil)
	return base64.RawStdEncoding.EncodeToString(sum[5:])
}

// isTruncated reports whether some items of a state are unknown.
func (d Digest) isTruncated() bool { return strings.Contains(d.Fields, truncated) }

// at returns the hash of the i-th field.
func (d Digest) at(i int) string { return d.Fields[i*hashLength : (i+1)*hashLength] }

// hasFields reports whether a digest says something about each field.
func (d Digest) hasFields() bool { return len(d.Fields) == len(fields)*hashLength }
