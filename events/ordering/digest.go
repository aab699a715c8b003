package ordering

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	json "github.com/go-json-experiment/json/v1"

	"github.com/billbus/billbus/events"
)

// Digest identifies a state of a subscription: equal digests mean equal states.
type Digest struct {
	// Full covers everything that belongs to the subscription itself, as one API
	// version renders it.
	Full string
	// Core covers only what every API version renders.
	Core string
	// Fields has a short hash of each field; see [fieldsOf]. It is "" in facts that an
	// earlier release stored.
	Fields string
}

func compareDigests(a, b Digest) int {
	return cmp.Or(strings.Compare(a.Full, b.Full), strings.Compare(a.Core, b.Core), strings.Compare(a.Fields, b.Fields))
}

func digestOf(s *events.Subscription) Digest {
	whole, common := encode(full(s)), encode(core(s))
	return Digest{Full: hash(whole), Core: hash(common), Fields: fieldsOf(s, whole, common)}
}

func encode(s *events.Subscription) []byte {
	raw, err := json.Marshal(s)
	if err != nil {
		panic("ordering: a subscription that came from JSON cannot be written as JSON")
	}
	return raw
}

// hash returns the first half of a SHA-256, which is enough to tell a few states
// apart.
func hash(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// productsOf returns a short hash of what the items are of; "" if some are not known.
func productsOf(s *events.Subscription) string {
	if s.ItemsTruncated {
		return ""
	}
	var own events.Subscription
	for _, it := range s.Items {
		own.Items = append(own.Items, events.Item{ProductID: it.ProductID, PriceID: it.PriceID, Quantity: it.Quantity})
	}
	slices.SortFunc(own.Items, func(a, b events.Item) int {
		return cmp.Or(strings.Compare(a.ProductID, b.ProductID), strings.Compare(a.PriceID, b.PriceID), compareQuantities(a.Quantity, b.Quantity))
	})
	return hash(encode(&own))[:16]
}

func compareQuantities(a, b *int64) int {
	switch {
	case a != nil && b != nil:
		return cmp.Compare(*a, *b)
	case a != nil:
		return 1
	case b != nil:
		return -1
	}
	return 0
}

// full leaves out what is derived from other fields, and what belongs to other
// objects: the text of a price can change without an event of the subscription.
func full(sub *events.Subscription) *events.Subscription {
	s := *sub
	s.UserID, s.Access, s.EndsAt = "", "", time.Time{}
	s.Discounts = discountIDs(s.Discounts)
	s.Items = ownItems(s.Items)
	if s.PendingUpdate != nil {
		update := *s.PendingUpdate
		update.Discounts, update.SubscriptionItems = discountIDs(update.Discounts), ownItems(update.SubscriptionItems)
		s.PendingUpdate = &update
	}
	return &s
}

func discountIDs(discounts []events.Discount) []events.Discount {
	discounts = slices.Clone(discounts)
	for i, d := range discounts {
		discounts[i] = events.Discount{ID: cmp.Or(d.ID, d.CouponID)}
	}
	return discounts
}

// ownItems returns sorted items without what belongs to their prices and coupons.
func ownItems(items []events.Item) []events.Item {
	items = sortedItems(items)
	for i := range items {
		it := &items[i]
		it.ProductID, it.LookupKey, it.Nickname, it.MeterID = "", "", "", ""
		it.UnitAmount, it.UnitAmountDecimal = nil, ""
		it.BillingScheme, it.TiersMode, it.TaxBehavior = "", "", ""
		it.Discounts = discountIDs(it.Discounts)
	}
	return items
}

// core keeps what every API version renders.
func core(s *events.Subscription) *events.Subscription {
	c := &events.Subscription{
		ID: s.ID, Status: s.Status, CancelAt: s.CancelAt, CancelAtPeriodEnd: s.CancelAtPeriodEnd,
		CanceledAt: s.CanceledAt, EndedAt: s.EndedAt, TrialStart: s.TrialStart, TrialEnd: s.TrialEnd,
		CurrentPeriodStart: s.CurrentPeriodStart, CurrentPeriodEnd: s.CurrentPeriodEnd, Metadata: s.Metadata,
		DefaultPaymentMethodID: s.DefaultPaymentMethodID, LatestInvoiceID: s.LatestInvoiceID, PauseCollection: s.PauseCollection,
	}
	for _, it := range sortedItems(s.Items) {
		c.Items = append(c.Items, events.Item{PriceID: it.PriceID, Quantity: it.Quantity})
	}
	return c
}

func sortedItems(items []events.Item) []events.Item {
	return slices.SortedStableFunc(slices.Values(items), func(a, b events.Item) int { return cmp.Compare(a.ID, b.ID) })
}
