package stripesim

// Invoices, customers and Checkout sessions have the fields that say something. Stripe sends
// many more, which are null, empty or the same in every event.

// invoice renders an invoice of the subscription.
func (s shape) invoice(inv *invoice, m *subscription, c *customer, livemode bool) object {
	if !s.modern() {
		return s.legacyInvoice(inv, m, livemode)
	}
	o := s.invoiceState(inv, livemode).merge(object{
		"collection_method": m.method, "customer": m.customer, "customer_email": c.email, "customer_name": c.name,
		"lines": s.lines(inv, m, livemode), "metadata": object{}, "subtotal": inv.amount, "total": inv.amount,
	})
	if s.era < eraBasil {
		o["paid"] = inv.paid()
	}
	return o.merge(s.invoiceParent(m))
}

// invoiceParent renders the reference to the subscription.
func (s shape) invoiceParent(m *subscription) object {
	switch {
	case s.era >= eraBasil:
		return object{"parent": object{
			"quote_details":        nil,
			"subscription_details": object{"metadata": texts(m.metadata), "subscription": m.id},
			"type":                 "subscription_details",
		}}
	case s.era >= era2023:
		return object{"subscription": m.id, "subscription_details": object{"metadata": texts(m.metadata)}}
	}
	return object{"subscription": m.id}
}

// invoiceState renders what changes during an invoice's life.
func (s shape) invoiceState(inv *invoice, livemode bool) object {
	paid := int64(0)
	if inv.paid() {
		paid = inv.amount
	}
	o := object{
		"id": inv.id, "object": "invoice",
		"amount_due": inv.amount, "amount_paid": paid, "amount_remaining": inv.amount - paid,
		"attempt_count": inv.attempts, "attempted": inv.attempts > 0 || inv.paid(), "auto_advance": !inv.paid(),
		"billing_reason": inv.reason, "created": inv.created, "currency": currency,
		"hosted_invoice_url": nil, "invoice_pdf": nil, "livemode": livemode,
		"next_payment_attempt": unset(inv.nextAttempt), "number": nil,
		"period_end": inv.periodEnd, "period_start": inv.periodStart, "status": inv.status,
		"status_transitions": object{
			"finalized_at": unset(inv.finalizedAt), "marked_uncollectible_at": nil, "paid_at": unset(inv.paidAt), "voided_at": nil,
		},
	}
	if inv.finalizedAt != 0 {
		o["hosted_invoice_url"] = "https://invoice.stripe.com/i/" + account + "/test_" + inv.id + "?s=ap"
		o["invoice_pdf"] = "https://pay.stripe.com/invoice/" + account + "/test_" + inv.id + "/pdf?s=ap"
		o["number"] = inv.number
	}
	return o
}

func (inv *invoice) paid() bool { return inv.paidAt != 0 }

// legacyInvoice renders an invoice as it was before invoices had a status.
func (s shape) legacyInvoice(inv *invoice, m *subscription, livemode bool) object {
	return object{
		"id": inv.id, "object": "invoice",
		"amount_due": inv.amount, "attempt_count": inv.attempts, "attempted": inv.attempts > 0 || inv.paid(),
		"closed": inv.paid(), "currency": currency, "customer": m.customer, "date": inv.created, "forgiven": false,
		"lines": s.lines(inv, m, livemode), "livemode": livemode, "metadata": object{},
		"next_payment_attempt": unset(inv.nextAttempt), "paid": inv.paid(),
		"period_end": inv.periodEnd, "period_start": inv.periodStart,
		"subscription": m.id, "subtotal": inv.amount, "total": inv.amount,
	}
}

func (s shape) lines(inv *invoice, m *subscription, livemode bool) object {
	data := list{}
	for _, it := range inv.lines {
		data = append(data, s.line(it, inv, m, livemode))
	}
	return object{
		"object": "list", "data": data, "has_more": false, "total_count": int64(len(data)),
		"url": "/v1/invoices/" + inv.id + "/lines",
	}
}

func (s shape) line(it item, inv *invoice, m *subscription, livemode bool) object {
	o := object{
		"id": "il_" + it.id[len("si_"):], "object": "line_item",
		"amount": it.price.amount * it.quantity, "currency": currency, "description": it.price.name,
		"livemode": livemode, "metadata": texts(m.metadata),
		"period": object{"end": inv.periodEnd, "start": inv.periodStart}, "quantity": it.quantity,
	}
	if s.era >= eraBasil {
		return o.merge(lineSinceBasil(it, m))
	}
	o.merge(object{"plan": s.plan(it.price, livemode), "proration": false, "subscription": m.id, "type": "subscription"})
	if s.modern() {
		o.merge(object{"price": s.price(it.price, livemode), "subscription_item": it.id})
	}
	return o
}

func lineSinceBasil(it item, m *subscription) object {
	return object{
		"parent": object{
			"subscription_item_details": object{"proration": false, "subscription": m.id, "subscription_item": it.id},
			"type":                      "subscription_item_details",
		},
		"pricing": object{
			"price_details":       object{"price": it.price.id, "product": it.price.product},
			"type":                "price_details",
			"unit_amount_decimal": it.price.decimalAmount(),
		},
		"subtotal": it.price.amount * it.quantity,
	}
}

// customer renders the customer object.
func (s shape) customer(c *customer, livemode bool) object {
	o := object{
		"id": c.id, "object": "customer",
		"created": c.created, "currency": nil, "default_source": nil, "delinquent": false, "description": nil,
		"email": c.email, "livemode": livemode, "metadata": texts(c.metadata),
	}
	if s.modern() {
		o.merge(object{"balance": int64(0), "name": c.name, "phone": nil})
	}
	return o
}

// checkoutSession renders a completed session.
func (s shape) checkoutSession(id, user string, m *subscription, c *customer, livemode bool) object {
	return object{
		"id": id, "object": "checkout.session",
		"amount_subtotal": m.amount(), "amount_total": m.amount(), "cancel_url": "https://shop.example.com/cancel",
		"client_reference_id": user, "created": c.created, "currency": currency, "customer": m.customer,
		"customer_details": object{"email": c.email, "name": c.name}, "expires_at": c.created + day,
		"invoice": unset(m.latestInvoice), "livemode": livemode, "metadata": object{}, "mode": "subscription",
		"payment_link": nil, "payment_status": "paid", "status": "complete", "subscription": m.id,
		"success_url": "https://shop.example.com/success?session_id={CHECKOUT_SESSION_ID}", "url": nil,
	}
}
