package bridge

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
)

// fieldDifference is a field that Stripe and the record have with different values, as JSON.
// "" is a field that is not set.
type fieldDifference struct{ field, stripe, here string }

// differences compares a subscription as Stripe has it with that of a record.
func differences(stripe, here *events.Subscription) (found []fieldDifference) {
	s, h := compared(*stripe), compared(*here)
	ignoreUnknown(&s, &h)
	if events.Diff(&s, &h) == nil {
		return nil
	}
	at, kept := leaves(s), leaves(h)
	names := slices.Collect(maps.Keys(at))
	names = slices.AppendSeq(names, maps.Keys(kept))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if at[name] != kept[name] && !isPartOfOne(name, at, kept) {
			found = append(found, fieldDifference{name, at[name], kept[name]})
		}
	}
	return found
}

// isPartOfOne reports whether a field is one of an item that only one of the two has. Of such
// an item, the price is enough.
func isPartOfOne(field string, at, kept map[string]string) bool {
	item, _, ok := strings.Cut(field, "].")
	price := item + "].price_id"
	return ok && strings.HasPrefix(field, "items[") && field != price && (at[price] == "") != (kept[price] == "")
}

// compared leaves out what Billbus adds, what belongs to prices and coupons, which change
// without an event of the subscription, and the order of items.
func compared(s events.Subscription) events.Subscription {
	s.UserID, s.Access, s.EndsAt, s.ItemsTruncated = "", "", time.Time{}, false
	s.Discounts = namesOf(s.Discounts)
	s.Items = slices.SortedStableFunc(slices.Values(s.Items), func(a, b events.Item) int { return cmp.Compare(a.ID, b.ID) })
	for i := range s.Items {
		it := &s.Items[i]
		it.ProductName, it.LookupKey, it.Nickname, it.TaxBehavior = "", "", "", ""
		it.Discounts = namesOf(it.Discounts)
	}
	if s.PendingUpdate != nil {
		update := *s.PendingUpdate
		update.Discounts, update.SubscriptionItems = namesOf(update.Discounts), nil
		s.PendingUpdate = &update
	}
	return s
}

// namesOf keeps what every API version has of a discount.
func namesOf(discounts []events.Discount) (names []events.Discount) {
	for _, d := range discounts {
		names = append(names, events.Discount{ID: cmp.Or(d.ID, d.CouponID)})
	}
	return names
}

// inEveryVersion are the fields of a subscription, and of an item, that every rendering has.
// If one of them is absent, it is not set.
var (
	inEveryVersion = []string{
		"id", "customer_id", "status", "cancel_at_period_end", "canceled_at", "ended_at", "trial_start", "trial_end",
		"metadata", "items",
	}
	inEveryItem = []string{"price_id", "quantity"}
)

// ignoreUnknown removes fields that one of the two does not have because its rendering is
// older than the field. Every rendering since 2025 has a billing mode, and with it the
// fields that Stripe has added before.
func ignoreUnknown(s, h *events.Subscription) {
	old := s.BillingMode == nil || h.BillingMode == nil
	if old {
		keepCommon(s, h, inEveryVersion)
	}
	keepBoth(&s.StatusDetails, &h.StatusDetails)
	keepBoth(&s.CustomerAccountID, &h.CustomerAccountID)
	if len(s.Items) != len(h.Items) {
		return
	}
	for i := range s.Items {
		a, b := &s.Items[i], &h.Items[i]
		keepBoth(&a.CurrentTrial, &b.CurrentTrial)
		if madeFromPlan := a.ID == "" || b.ID == ""; old || madeFromPlan {
			keepCommon(a, b, inEveryItem)
		}
	}
}

// keepCommon removes fields that only one of two has, except for some.
func keepCommon[T any](a, b *T, except []string) {
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range x.NumField() {
		if !slices.Contains(except, nameOf(x.Type().Field(i))) && (x.Field(i).IsZero() || y.Field(i).IsZero()) {
			x.Field(i).SetZero()
			y.Field(i).SetZero()
		}
	}
}

// keepBoth removes two values unless both are set.
func keepBoth[T comparable](a, b *T) {
	var zero T
	if *a == zero || *b == zero {
		*a, *b = zero, zero
	}
}

func nameOf(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// leaves returns the fields of a subscription that are set, and those within them, as JSON.
func leaves(s events.Subscription) map[string]string {
	all := map[string]string{}
	addLeaves(all, "", reflect.ValueOf(s))
	return all
}

func addLeaves(all map[string]string, path string, v reflect.Value) {
	if t, ok := v.Interface().(time.Time); ok {
		if !t.IsZero() {
			all[path] = encoded(t.UTC())
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		addPointer(all, path, v)
	case reflect.Struct:
		for i := range v.NumField() {
			addLeaves(all, strings.TrimPrefix(path+"."+nameOf(v.Type().Field(i)), "."), v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			addLeaves(all, fmt.Sprintf("%s[%s]", path, elementName(v.Index(i), i)), v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			addLeaves(all, fmt.Sprintf("%s[%q]", path, key.String()), v.MapIndex(key))
		}
	case reflect.String:
		if v.String() != "" || strings.HasSuffix(path, "]") {
			all[path] = encoded(v.Interface())
		}
	default:
		all[path] = encoded(v.Interface())
	}
}

// addPointer adds a group even if nothing in it is set: that it is there says something.
func addPointer(all map[string]string, path string, v reflect.Value) {
	if v.IsNil() {
		return
	}
	before := len(all)
	addLeaves(all, path, v.Elem())
	if len(all) == before {
		all[path] = "{}"
	}
}

// elementName returns the id of an item or a discount, or else its position.
func elementName(v reflect.Value, i int) string {
	switch e := v.Interface().(type) {
	case events.Item:
		if e.ID != "" {
			return events.SafeID(e.ID)
		}
	case events.Discount:
		return events.SafeID(e.ID)
	}
	return fmt.Sprint(i)
}

func encoded(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("bridge: a field of a subscription cannot be written as JSON")
	}
	return string(raw)
}

// isText reports whether a field has what a person has written, which may be personal data.
func isText(field string) bool {
	last := field[strings.LastIndexByte(field, '.')+1:]
	return strings.Contains(field, "metadata[") || slices.Contains([]string{"description", "comment", "footer", "name", "value"}, last)
}
