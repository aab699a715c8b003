package normalize

import (
	"cmp"
	"slices"

	"github.com/billbus/billbus/events"
)

// items reads a list object, as Stripe renders it since 2015, or a plain array,
// as in some recorded events. Before there were items, a subscription had one
// plan.
func items(r reader, billed string) (list []events.Item, truncated bool) {
	var path string
	var array value
	if v := r.get("items"); v.isObject() {
		page := r.inside("items", v)
		truncated = page.isTrue("has_more")
		path, array = "items.data", page.array("data")
	} else {
		path, array = "items", r.array("items")
	}
	list = itemList(r, path, array, billed)
	if list == nil && r.has("plan") {
		list = []events.Item{pricing(r)}
	}
	return list, truncated
}

// itemList reads the items in an array of that path. billed is the subscription's
// currency, or "" if it is unknown.
func itemList(r reader, path string, array value, billed string) []events.Item {
	var list []events.Item
	for i, v := range array.elements() {
		if element := r.element(path, i, v); element.exists() {
			it := item(element)
			warnOfCurrency(element, it, billed)
			list = append(list, it)
		}
	}
	return list
}

// warnOfCurrency warns of an amount that the customer does not pay. A price can have
// amounts in several currencies. Webhooks contain only the default one.
func warnOfCurrency(r reader, it events.Item, billed string) {
	if billed == "" || it.Currency == "" || it.Currency == billed || it.UnitAmount == nil && it.UnitAmountDecimal == "" {
		return
	}
	r.warnings.add(r.path + ": its amount is in " + shorten(it.Currency) + ", but the subscription is billed in " + shorten(billed))
}

func item(r reader) events.Item {
	it := pricing(r)
	it.ID = r.text("id")
	it.Created = r.moment("created")
	it.CurrentPeriodStart = r.moment("current_period_start")
	it.CurrentPeriodEnd = r.moment("current_period_end")
	it.CurrentTrial = currentTrial(r)
	if thresholds := r.child("billing_thresholds"); thresholds.exists() {
		it.BillingThresholds = present(events.ItemBillingThresholds{UsageGTE: thresholds.integer("usage_gte")})
	}
	it.TaxRates = r.references("tax_rates")
	it.Discounts = listedDiscounts(r)
	it.Metadata = metadata(r)
	return it
}

func currentTrial(r reader) *events.CurrentTrial {
	trial := r.child("current_trial")
	if !trial.exists() {
		return nil
	}
	return present(events.CurrentTrial{
		TrialOfferID: trial.reference("trial_offer"),
		Start:        trial.moment("start_date"),
		End:          trial.moment("end_date"),
	})
}

// pricing reads the price and the quantity. Events before 2019 have a plan, later
// ones have a price, and most of those have both. A field of the plan is used
// only if the price does not have it.
func pricing(r reader) events.Item {
	price, priceID := expanded(r, "price")
	plan, planID := expanded(r, "plan")
	it := terms(price, plan)
	it.PriceID = cmp.Or(priceID, planID)
	it.Quantity = r.integer("quantity")
	return it
}

// terms reads the fields of a price, and those that it lacks from a plan.
func terms(price, plan reader) events.Item {
	recurring := price.child("recurring")
	return events.Item{
		ProductID:         firstOf(reader.reference, price, "product", plan, "product"),
		LookupKey:         price.text("lookup_key"),
		Nickname:          firstOf(reader.text, price, "nickname", plan, "nickname"),
		UnitAmount:        firstOf(reader.integer, price, "unit_amount", plan, "amount"),
		UnitAmountDecimal: firstOf(reader.decimal, price, "unit_amount_decimal", plan, "amount_decimal"),
		BillingScheme:     firstOf(reader.text, price, "billing_scheme", plan, "billing_scheme"),
		TiersMode:         firstOf(reader.text, price, "tiers_mode", plan, "tiers_mode"),
		TransformQuantity: firstOf(transform, price, "transform_quantity", plan, "transform_usage"),
		Currency:          firstOf(reader.text, price, "currency", plan, "currency"),
		Interval:          firstOf(reader.text, recurring, "interval", plan, "interval"),
		IntervalCount:     firstOf(reader.integer, recurring, "interval_count", plan, "interval_count"),
		UsageType:         firstOf(reader.text, recurring, "usage_type", plan, "usage_type"),
		MeterID:           firstOf(reader.reference, recurring, "meter", plan, "meter"),
		TaxBehavior:       price.text("tax_behavior"),
	}
}

// expanded returns an object and its id. If there is only the id, the object does
// not exist.
func expanded(r reader, name string) (reader, string) {
	v := r.get(name)
	id, ok := reference(v)
	if !ok {
		r.warn(name, "not a reference")
	}
	if !v.isObject() {
		return reader{}, id
	}
	return r.inside(name, v), id
}

// firstOf reads a member of a, or a member of b if a does not have it.
func firstOf[T comparable](read func(reader, string) T, a reader, inA string, b reader, inB string) T {
	var zero T
	if t := read(a, inA); t != zero {
		return t
	}
	return read(b, inB)
}

func transform(r reader, name string) *events.TransformQuantity {
	t := r.child(name)
	return present(events.TransformQuantity{DivideBy: t.integer("divide_by"), Round: t.text("round")})
}

// discounts reads the list of newer versions, whose elements can be ids, and the
// single discount of older ones. Some versions have both: the single discount
// then replaces its id in the list.
func discounts(r reader) []events.Discount {
	list := listedDiscounts(r)
	if !r.has("discount") {
		return list
	}
	single := singleDiscount(r)
	i := slices.IndexFunc(list, func(d events.Discount) bool { return d == events.Discount{ID: single.ID} })
	switch {
	case i >= 0:
		list[i] = single
	case list == nil && single != (events.Discount{}):
		list = []events.Discount{single}
	}
	return list
}

func listedDiscounts(r reader) []events.Discount {
	var list []events.Discount
	for i, v := range r.array("discounts").elements() {
		if d, ok := listedDiscount(r, i, v); ok {
			list = append(list, d)
		}
	}
	return list
}

func listedDiscount(r reader, i int, v value) (events.Discount, bool) {
	if id, ok := v.text(); ok {
		return events.Discount{ID: id}, id != ""
	}
	d := r.element("discounts", i, v)
	return discount(d), d.exists()
}

func singleDiscount(r reader) events.Discount {
	d, id := expanded(r, "discount")
	single := discount(d)
	single.ID = id
	return single
}

func discount(r reader) events.Discount {
	d := events.Discount{
		ID:              r.text("id"),
		PromotionCodeID: r.reference("promotion_code"),
		Start:           r.moment("start"),
		End:             r.moment("end"),
	}
	parent := r
	if source := r.child("source"); source.has("coupon") {
		parent = source
	}
	coupon, id := expanded(parent, "coupon")
	d.CouponID = id
	d.PercentOff = percentOff(coupon)
	d.AmountOff = coupon.integer("amount_off")
	d.Currency = coupon.text("currency")
	return d
}

// percentOff was rounded until 2018, when percent_off_precise had the exact value.
// Since then it is a float, and 25 became 25.0.
func percentOff(r reader) string {
	return cmp.Or(r.percent("percent_off_precise"), r.percent("percent_off"))
}
