package stripesim

import (
	"encoding/json"
	"reflect"
	"strconv"
)

// before renders the previous state of a subscription for previous_attributes. If the
// period is both on the subscription and on its items, Stripe lists a change of the
// period only for the subscription.
func (s shape) before(was *subscription, after object, livemode bool) object {
	o := s.subscription(was, livemode)
	if s.era != eraAcacia {
		return o
	}
	same := *was
	same.periodStart, _ = after["current_period_start"].(int64)
	same.periodEnd, _ = after["current_period_end"].(int64)
	if items := s.items(&same, livemode); reflect.DeepEqual(items, after["items"]) {
		o["items"] = items
	}
	return o
}

// subscription renders the customer.subscription object.
func (s shape) subscription(m *subscription, livemode bool) object {
	o := object{
		"id": m.id, "object": "subscription",
		"application_fee_percent": nil,
		"cancel_at_period_end":    m.atPeriodEnd,
		"canceled_at":             unset(m.canceledAt),
		"customer":                m.customer,
		"ended_at":                unset(m.endedAt),
		"metadata":                texts(m.metadata),
		"status":                  m.status,
		"trial_end":               unset(m.trialEnd),
		"trial_start":             unset(m.trialStart),
	}
	s.addPlan(o, m, livemode)
	s.addPeriod(o, m)
	s.addDiscounts(o, m, livemode)
	if !s.withoutItems {
		o.merge(object{"created": m.created, "livemode": livemode, "items": s.items(m, livemode)})
	}
	if !s.modern() {
		return o.merge(object{"start": m.planStart, "tax_percent": nil})
	}
	o.merge(s.since2020(m))
	if s.era >= era2023 {
		o.merge(s.since2023(m))
	}
	if s.era >= eraAcacia {
		o["billing_mode"] = billingMode(m)
	}
	if s.era >= eraDahlia {
		o.merge(object{"billing_schedules": list{}, "customer_account": nil, "managed_payments": object{"enabled": false}})
	}
	return o
}

// addPlan sets the plan and the quantity of the subscription if it has one item.
func (s shape) addPlan(o object, m *subscription, livemode bool) {
	o["plan"], o["quantity"] = nil, nil
	if it, ok := m.only(); ok {
		o["plan"] = s.plan(it.price, livemode)
		o["quantity"] = it.quantity
	}
}

func (s shape) addPeriod(o object, m *subscription) {
	if s.era < eraBasil {
		o.merge(object{"current_period_start": m.periodStart, "current_period_end": m.periodEnd})
	}
}

func (s shape) since2020(m *subscription) object {
	return object{
		"automatic_tax": s.automaticTax(), "billing_cycle_anchor": m.anchor, "billing_thresholds": nil,
		"cancel_at": unset(m.cancelAt), "collection_method": m.method, "days_until_due": unset(m.daysUntilDue),
		"default_payment_method": unset(m.paymentMethod), "default_source": nil, "default_tax_rates": list{},
		"latest_invoice": unset(m.latestInvoice), "next_pending_invoice_item_invoice": nil,
		"pause_collection": pauseCollection(m.pause), "payment_settings": s.paymentSettings(),
		"pending_invoice_item_interval": nil, "pending_setup_intent": nil, "pending_update": nil, "schedule": nil,
		"start_date": m.startDate, "test_clock": unset(m.testClock), "transfer_data": nil,
	}
}

func (s shape) since2023(m *subscription) object {
	return object{
		"application": nil, "billing_cycle_anchor_config": nil,
		"cancellation_details": object{"comment": unset(m.comment), "feedback": unset(m.feedback), "reason": unset(m.reason)},
		"currency":             currency, "description": unset(m.description), "invoice_settings": s.invoiceSettings(), "on_behalf_of": nil,
		"trial_settings": object{"end_behavior": object{"missing_payment_method": m.trialEndBehavior}},
	}
}

func (s shape) automaticTax() object {
	o := object{"enabled": false}
	if s.era >= era2023 {
		o["liability"] = nil
	}
	if s.era >= eraBasil {
		o["disabled_reason"] = nil
	}
	return o
}

func (s shape) paymentSettings() object {
	o := object{"payment_method_options": nil, "payment_method_types": nil}
	if s.era >= era2023 {
		o["save_default_payment_method"] = "off"
	}
	return o
}

func (s shape) invoiceSettings() object {
	o := object{"account_tax_ids": nil, "issuer": object{"type": "self"}}
	if s.era >= eraDahlia {
		o.merge(object{"custom_fields": nil, "description": nil, "footer": nil})
	}
	return o
}

func billingMode(m *subscription) object {
	if !m.flexible {
		return object{"flexible": nil, "type": "classic"}
	}
	return object{
		"flexible":   object{"proration_discounts": "included"},
		"type":       "flexible",
		"updated_at": m.created,
	}
}

func pauseCollection(p *pause) any {
	if p == nil {
		return nil
	}
	return object{"behavior": p.behavior, "resumes_at": unset(p.resumesAt)}
}

func (s shape) items(m *subscription, livemode bool) object {
	data := list{}
	for _, it := range s.shown(m.items) {
		data = append(data, s.item(it, m, livemode))
	}
	return object{
		"object": "list", "data": data, "has_more": s.isCutOff(m.items), "total_count": int64(len(m.items)),
		"url": "/v1/subscription_items?subscription=" + m.id,
	}
}

// shown returns the items that are listed.
func (s shape) shown(items []item) []item {
	if s.isCutOff(items) {
		return items[:s.listed]
	}
	return items
}

func (s shape) item(it item, m *subscription, livemode bool) object {
	o := object{
		"id": it.id, "object": "subscription_item",
		"created": it.created, "metadata": object{}, "plan": s.plan(it.price, livemode), "subscription": m.id,
	}
	if !it.price.metered() {
		o["quantity"] = it.quantity
	}
	if s.modern() {
		o.merge(object{"billing_thresholds": nil, "price": s.price(it.price, livemode), "tax_rates": list{}})
	}
	if s.era >= era2024 {
		o["discounts"] = list{}
	}
	if s.era >= eraAcacia {
		o.merge(object{"current_period_start": m.periodStart, "current_period_end": m.periodEnd})
	}
	return o
}

func (s shape) plan(p price, livemode bool) object {
	o := object{
		"id": p.id, "object": "plan",
		"amount": p.wholeAmount(), "created": p.created, "currency": currency,
		"interval": p.interval, "interval_count": int64(1), "livemode": livemode,
		"metadata": object{}, "trial_period_days": nil,
	}
	if !s.modern() {
		return o.merge(object{"name": p.name, "statement_descriptor": nil})
	}
	o.merge(object{
		"active": true, "amount_decimal": p.decimalAmount(), "billing_scheme": "per_unit", "nickname": unset(p.nickname),
		"product": p.product, "tiers_mode": nil, "transform_usage": nil,
	})
	return o.merge(s.usage(p))
}

func (s shape) price(p price, livemode bool) object {
	o := object{
		"id": p.id, "object": "price",
		"active": true, "billing_scheme": "per_unit", "created": p.created, "currency": currency,
		"livemode": livemode, "lookup_key": unset(p.lookupKey), "metadata": object{}, "nickname": unset(p.nickname),
		"product": p.product,
		"recurring": object{
			"interval": p.interval, "interval_count": int64(1), "trial_period_days": nil,
		}.merge(s.usage(p)),
		"tax_behavior": "unspecified", "tiers_mode": nil, "transform_quantity": nil, "type": "recurring",
		"unit_amount": p.wholeAmount(), "unit_amount_decimal": p.decimalAmount(),
	}
	if s.era >= era2023 {
		o["custom_unit_amount"] = nil
	}
	return o
}

// usage renders how usage is counted. Meters have replaced aggregate_usage.
func (s shape) usage(p price) object {
	o := object{"usage_type": "licensed"}
	if p.metered() {
		o["usage_type"] = "metered"
	}
	if s.era < eraBasil {
		o["aggregate_usage"] = nil
	}
	if s.era >= era2024 {
		o["meter"] = unset(p.meter)
	} else if p.metered() {
		o["aggregate_usage"] = "sum"
	}
	return o
}

func (p price) wholeAmount() any {
	if p.decimal != "" {
		return nil
	}
	return p.amount
}

func (p price) decimalAmount() string {
	if p.decimal != "" {
		return p.decimal
	}
	return strconv.FormatInt(p.amount, 10)
}

// addDiscounts adds the discount, as older versions have it, the list of discount ids, as
// newer ones have it, or both.
func (s shape) addDiscounts(o object, m *subscription, livemode bool) {
	if s.era < eraBasil {
		o["discount"] = s.discount(m, livemode)
	}
	if s.era >= era2024 {
		ids := list{}
		if m.discount != nil {
			ids = append(ids, m.discount.id)
		}
		o["discounts"] = ids
	}
}

func (s shape) discount(m *subscription, livemode bool) any {
	d := m.discount
	if d == nil {
		return nil
	}
	o := object{
		"object": "discount", "coupon": d.couponObject(livemode), "customer": m.customer,
		"end": unset(d.end), "start": d.start, "subscription": m.id,
	}
	if s.modern() {
		o.merge(object{
			"id": d.id, "checkout_session": nil, "invoice": nil, "invoice_item": nil,
			"promotion_code": unset(d.promotionCode),
		})
	}
	if s.era >= era2024 {
		o["subscription_item"] = nil
	}
	return o
}

func (d *discount) couponObject(livemode bool) object {
	o := object{
		"id": d.coupon, "object": "coupon",
		"amount_off": unset(d.amountOff), "created": d.start - 86400, "currency": nil,
		"duration": "forever", "duration_in_months": nil, "livemode": livemode, "max_redemptions": nil,
		"metadata": object{}, "name": d.name, "percent_off": nil, "redeem_by": nil, "times_redeemed": int64(1), "valid": true,
	}
	if d.amountOff != 0 {
		o["currency"] = currency
	} else {
		o["percent_off"] = json.Number(d.percentOff)
	}
	if d.end != 0 {
		o.merge(object{"duration": "repeating", "duration_in_months": int64(3)})
	}
	return o
}
