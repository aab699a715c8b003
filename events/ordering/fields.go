package ordering

import (
	"encoding/base64"
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

// fields are the parts of a state in the order of their hashes in [Digest.Fields], and places
// where those of the members of a subscription are.
var fields, places = listFields()

func listFields() (list []field, places map[string]int) {
	list, places = []field{{items, since[items]}}, map[string]int{}
	t := reflect.TypeFor[events.Subscription]()
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch name {
		case "id", "user_id", "access", "ends_at", "items_truncated":
			continue
		}
		places[`"`+name+`"`] = len(list)
		if name == items {
			name = itemDetails
		}
		first, ok := since[name]
		if !ok {
			first = newestVersion
		}
		list = append(list, field{name, first})
	}
	return list, places
}

const (
	hashLength = 4
	absent     = "----"
	truncated  = "****"
)

// fieldsOf returns the hashes of all fields, each [hashLength] long, with a fixed mark
// for one that is absent or, of truncated items, unknown. It takes the JSON of the whole
// state and of its core.
func fieldsOf(s *events.Subscription, whole, common []byte) string {
	hashes := []byte(strings.Repeat(absent, len(fields)))
	for name, value := range members(whole) {
		place, ok := places[string(name)]
		if ok && (s.Livemode || string(name) != `"livemode"`) { // a livemode of false counts as absent
			putHash(hashes, place, value)
		}
	}
	if value := member(common, `"items"`); value != nil {
		putHash(hashes, 0, value)
	}
	for i, f := range fields {
		if s.ItemsTruncated && f.isOfItems() {
			copy(hashes[i*hashLength:], truncated)
		}
	}
	return string(hashes)
}

func putHash(hashes []byte, place int, value []byte) {
	h := fnv.New64a()
	_, _ = h.Write(value)
	var sum [8]byte
	base64.RawStdEncoding.Encode(hashes[place*hashLength:], h.Sum(sum[:0])[5:])
}

// isTruncated reports whether some items of a state are unknown.
func (d Digest) isTruncated() bool { return strings.Contains(d.Fields, truncated) }

// at returns the hash of the i-th field.
func (d Digest) at(i int) string { return d.Fields[i*hashLength : (i+1)*hashLength] }

// hasFields reports whether a digest says something about each field.
func (d Digest) hasFields() bool { return len(d.Fields) == len(fields)*hashLength }
