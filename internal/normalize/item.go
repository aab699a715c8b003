package normalize

import (
	"cmp"
	"slices"
	"strings"

	"github.com/billbus/billbus/events"
)

// items reads the priced parts: a list object since 2015, a plain array in some
// recordings. Before there were items, the subscription's plan was the one
// thing sold.
func items(r reader) (list []events.Item, truncated bool) {
	path, elements := "items", r.get("items")
	if elements.isObject() {
		page, _ := r.child("items")
		more := page.flag("has_more")
		truncated = more != nil && *more
		path, elements = "items.data", page.array("data")
	} else {
		elements = r.array("items")
	}
	for i, v := range elements.elements() {
		if each, ok := r.element(path, i, v); ok {
			list = append(list, item(each))
		}
	}
	if list == nil && r.has("plan") {
		list = []events.Item{priced(r)}
	}
	return list, truncated
}

func item(r reader) events.Item {
	it := priced(r)
	it.ID = r.text("id")
	it.Created = r.moment("created")
	it.CurrentPeriodStart = r.moment("current_period_start")
	it.CurrentPeriodEnd = r.moment("current_period_end")
	it.Metadata = metadata(r)
	return it
}

// priced reads what is sold and how many of it. Renderings before 2019 have a
// plan, later ones a price, most of those both: the price counts, and the plan
// says what the price does not.
func priced(r reader) events.Item {
	price, priceID := expanded(r, "price")
	plan, planID := expanded(r, "plan")
	it := sold(price, plan)
	it.PriceID = cmp.Or(priceID, planID)
	it.Quantity = r.integer("quantity")
	return it
}

// sold reads what a price and a plan say.
func sold(price, plan reader) events.Item {
	recurring, _ := price.child("recurring")
	return events.Item{
		ProductID:         either(reader.reference, price, "product", plan, "product"),
		LookupKey:         price.text("lookup_key"),
		Nickname:          either(reader.text, price, "nickname", plan, "nickname"),
		UnitAmount:        either(reader.integer, price, "unit_amount", plan, "amount"),
		UnitAmountDecimal: either(reader.decimal, price, "unit_amount_decimal", plan, "amount_decimal"),
		BillingScheme:     either(reader.text, price, "billing_scheme", plan, "billing_scheme"),
		TiersMode:         either(reader.text, price, "tiers_mode", plan, "tiers_mode"),
		TransformQuantity: either(transform, price, "transform_quantity", plan, "transform_usage"),
		Currency:          either(reader.text, price, "currency", plan, "currency"),
		Interval:          either(reader.text, recurring, "interval", plan, "interval"),
		IntervalCount:     either(reader.integer, recurring, "interval_count", plan, "interval_count"),
		UsageType:         either(reader.text, recurring, "usage_type", plan, "usage_type"),
		MeterID:           either(reader.reference, recurring, "meter", plan, "meter"),
		TaxBehavior:       price.text("tax_behavior"),
	}
}

// expanded reads an object and its id. Where there is only the id, every member
// of the object is absent.
func expanded(r reader, name string) (reader, string) {
	id := r.reference(name)
	if !r.get(name).isObject() {
		return reader{}, id
	}
	each, _ := r.child(name)
	return each, id
}

// either reads a member of a, or where there is none, one of b.
func either[T comparable](read func(reader, string) T, a reader, inA string, b reader, inB string) T {
	var zero T
	if t := read(a, inA); t != zero {
		return t
	}
	return read(b, inB)
}

func transform(r reader, name string) *events.TransformQuantity {
	t, _ := r.child(name)
	return present(events.TransformQuantity{DivideBy: t.integer("divide_by"), Round: t.text("round")})
}

// discounts reads the list that newer renderings have, whose elements may be
// ids, and the single discount of older ones. Some have both; then the single
// one says what the list has only the id of.
func discounts(r reader) []events.Discount {
	var list []events.Discount
	for i, v := range r.array("discounts").elements() {
		if d, ok := listedDiscount(r, i, v); ok {
			list = append(list, d)
		}
	}
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

func listedDiscount(r reader, i int, v value) (events.Discount, bool) {
	if id, ok := v.text(); ok {
		return events.Discount{ID: id}, id != ""
	}
	d, ok := r.element("discounts", i, v)
	return discount(d), ok
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
	holder := r
	if source, ok := r.child("source"); ok && source.has("coupon") {
		holder = source
	}
	coupon, id := expanded(holder, "coupon")
	d.CouponID = id
	d.PercentOff = percentOff(coupon)
	d.AmountOff = coupon.integer("amount_off")
	d.Currency = coupon.text("currency")
	return d
}

// percentOff was rounded until 2018, when percent_off_precise said what it was.
// Since then it is a float, written 25.0 where it had been 25.
func percentOff(r reader) string {
	off := cmp.Or(r.decimal("percent_off_precise"), r.decimal("percent_off"))
	if !strings.Contains(off, ".") || strings.ContainsAny(off, "eE") {
		return off
	}
	return strings.TrimRight(strings.TrimRight(off, "0"), ".")
}
