package stripesim

// invoice renders an invoice of the subscription.
func (s shape) invoice(inv *invoice, m *subscription, c *customer, livemode bool) object {
	if !s.modern() {
		return s.legacyInvoice(inv, m, livemode)
	}
	o := s.invoiceState(inv, livemode).merge(object{
		"account_country": "DE", "account_name": "Example GmbH",
		"automatic_tax": s.sellerTax(), "collection_method": m.method, "custom_fields": nil,
		"customer": m.customer, "customer_address": nil, "customer_email": c.email, "customer_name": c.name,
		"customer_phone": nil, "customer_shipping": nil, "customer_tax_exempt": "none", "customer_tax_ids": list{},
		"default_payment_method": nil, "default_source": nil, "default_tax_rates": list{}, "description": nil,
		"discounts": list{}, "footer": nil, "last_finalization_error": nil, "lines": s.lines(inv, m, livemode),
		"metadata": object{}, "on_behalf_of": nil,
		"payment_settings":                 object{"payment_method_options": nil, "payment_method_types": nil},
		"post_payment_credit_notes_amount": int64(0), "pre_payment_credit_notes_amount": int64(0),
		"receipt_number": nil, "starting_balance": int64(0), "statement_descriptor": nil, "subtotal": inv.amount,
		"test_clock": nil, "total": inv.amount, "total_discount_amounts": list{}, "webhooks_delivered_at": nil,
	})
	if s.era >= era2023 {
		o.merge(s.invoiceSince2023(inv))
	}
	return o.merge(s.invoiceParent(m)).merge(s.invoicePayment(inv))
}

func (s shape) invoiceSince2023(inv *invoice) object {
	return object{
		"account_tax_ids": nil, "amount_shipping": int64(0), "application": nil, "effective_at": unset(inv.finalizedAt),
		"from_invoice": nil, "issuer": object{"type": "self"}, "latest_revision": nil,
		"payment_settings": object{"default_mandate": nil, "payment_method_options": nil, "payment_method_types": nil},
		"rendering":        nil, "shipping_cost": nil, "shipping_details": nil, "subtotal_excluding_tax": inv.amount,
		"total_excluding_tax": inv.amount,
	}
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

// invoicePayment renders the payment fields. Most of them left the invoice in basil.
func (s shape) invoicePayment(inv *invoice) object {
	if s.era >= eraBasil {
		return object{
			"amount_overpaid": int64(0), "automatically_finalizes_at": nil, "total_pretax_credit_amounts": list{},
			"total_taxes": list{},
		}
	}
	return object{
		"application_fee_amount": nil, "charge": nil, "discount": nil, "paid": inv.paid(), "paid_out_of_band": false,
		"payment_intent": nil, "quote": nil, "rendering_options": nil, "tax": nil, "total_tax_amounts": list{},
		"transfer_data": nil,
	}
}

// sellerTax renders automatic_tax of invoices and sessions.
func (s shape) sellerTax() object {
	o := s.automaticTax().merge(object{"status": nil})
	if s.era >= eraBasil {
		o["provider"] = nil
	}
	return o
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
		"billing_reason": inv.reason, "created": inv.created, "currency": currency, "due_date": nil, "ending_balance": nil,
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
		o["number"], o["ending_balance"] = inv.number, int64(0)
	}
	return o
}

func (inv *invoice) paid() bool { return inv.paidAt != 0 }

// legacyInvoice renders an invoice as it was before invoices had a status.
func (s shape) legacyInvoice(inv *invoice, m *subscription, livemode bool) object {
	return object{
		"id": inv.id, "object": "invoice",
		"amount_due": inv.amount, "application_fee": nil, "attempt_count": inv.attempts, "attempted": inv.attempts > 0 || inv.paid(),
		"charge": nil, "closed": inv.paid(), "currency": currency, "customer": m.customer, "date": inv.created,
		"description": nil, "discount": nil, "ending_balance": nil, "forgiven": false, "lines": s.lines(inv, m, livemode),
		"livemode": livemode, "metadata": object{}, "next_payment_attempt": unset(inv.nextAttempt), "paid": inv.paid(),
		"period_end": inv.periodEnd, "period_start": inv.periodStart, "receipt_number": nil, "starting_balance": int64(0),
		"statement_descriptor": nil, "subscription": m.id, "subtotal": inv.amount, "tax": nil, "tax_percent": nil,
		"total": inv.amount, "webhooks_delivered_at": nil,
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
		"amount": it.price.amount * it.quantity, "currency": currency, "description": it.price.name, "discountable": true,
		"livemode": livemode, "metadata": texts(m.metadata),
		"period": object{"end": inv.periodEnd, "start": inv.periodStart}, "quantity": it.quantity,
	}
	if s.era >= era2023 {
		o.merge(object{"discount_amounts": list{}, "discounts": list{}, "invoice": inv.id})
	}
	if s.era >= eraBasil {
		return o.merge(lineSinceBasil(it, m))
	}
	o.merge(object{"plan": s.plan(it.price, livemode), "proration": false, "subscription": m.id, "type": "subscription"})
	if s.modern() {
		o.merge(object{
			"price": s.price(it.price, livemode), "subscription_item": it.id, "tax_amounts": list{}, "tax_rates": list{},
		})
	}
	if s.era >= era2023 {
		o.merge(object{
			"amount_excluding_tax": it.price.amount * it.quantity, "proration_details": object{"credited_items": nil},
			"unit_amount_excluding_tax": it.price.decimalAmount(),
		})
	}
	return o
}

func lineSinceBasil(it item, m *subscription) object {
	return object{
		"parent": object{
			"invoice_item_details": nil,
			"subscription_item_details": object{
				"invoice_item": nil, "proration": false, "proration_details": object{"credited_items": nil},
				"subscription": m.id, "subscription_item": it.id,
			},
			"type": "subscription_item_details",
		},
		"pretax_credit_amounts": list{},
		"pricing": object{
			"price_details":       object{"price": it.price.id, "product": it.price.product},
			"type":                "price_details",
			"unit_amount_decimal": it.price.decimalAmount(),
		},
		"subtotal": it.price.amount * it.quantity,
		"taxes":    list{},
	}
}

// customer renders the customer object.
func (s shape) customer(c *customer, livemode bool) object {
	o := object{
		"id": c.id, "object": "customer",
		"created": c.created, "currency": nil, "default_source": nil, "delinquent": false, "description": nil,
		"discount": nil, "email": c.email, "livemode": livemode, "metadata": texts(c.metadata), "shipping": nil,
	}
	if !s.modern() {
		return o.merge(object{
			"account_balance": int64(0),
			"sources":         emptyList("/v1/customers/" + c.id + "/sources"),
			"subscriptions":   emptyList("/v1/customers/" + c.id + "/subscriptions"),
		})
	}
	return o.merge(object{
		"address": nil, "balance": int64(0), "invoice_prefix": c.id[len(c.id)-8:],
		"invoice_settings": object{"custom_fields": nil, "default_payment_method": nil, "footer": nil, "rendering_options": nil},
		"name":             c.name, "next_invoice_sequence": int64(1), "phone": nil, "preferred_locales": list{},
		"tax_exempt": "none", "test_clock": nil,
	})
}

func emptyList(url string) object {
	return object{"object": "list", "data": list{}, "has_more": false, "total_count": int64(0), "url": url}
}

// checkoutSession renders a completed session.
func (s shape) checkoutSession(id, user string, m *subscription, c *customer, livemode bool) object {
	amount := m.amount()
	o := object{
		"id": id, "object": "checkout.session",
		"after_expiration": nil, "allow_promotion_codes": nil, "amount_subtotal": amount, "amount_total": amount,
		"automatic_tax": s.sellerTax(), "billing_address_collection": nil, "cancel_url": "https://shop.example.com/cancel",
		"client_reference_id": user, "client_secret": nil, "consent": nil, "consent_collection": nil, "created": c.created,
		"currency": currency, "currency_conversion": nil, "custom_fields": list{},
		"custom_text": object{
			"after_submit": nil, "shipping_address": nil, "submit": nil, "terms_of_service_acceptance": nil,
		},
		"customer": m.customer, "customer_creation": nil, "customer_details": s.customerDetails(c), "customer_email": nil,
		"expires_at": c.created + day, "invoice": unset(m.latestInvoice), "invoice_creation": nil, "livemode": livemode,
		"locale": nil, "metadata": object{}, "mode": "subscription", "payment_intent": nil, "payment_link": nil,
		"payment_method_collection":            "always",
		"payment_method_configuration_details": object{"id": "pmc_1BillbusSimulated", "parent": nil},
		"payment_method_options":               object{"card": object{"request_three_d_secure": "automatic"}},
		"payment_method_types":                 list{"card", "link"},
		"payment_status":                       "paid",
		"phone_number_collection":              object{"enabled": false}, "recovered_from": nil, "setup_intent": nil,
		"shipping_address_collection": nil, "shipping_cost": nil, "shipping_options": list{}, "status": "complete",
		"submit_type": nil, "subscription": m.id,
		"success_url":   "https://shop.example.com/success?session_id={CHECKOUT_SESSION_ID}",
		"total_details": object{"amount_discount": int64(0), "amount_shipping": int64(0), "amount_tax": int64(0)},
		"ui_mode":       "hosted", "url": nil,
	}
	if s.era < eraBasil {
		return o.merge(object{"shipping_details": nil})
	}
	return o.merge(checkoutSinceBasil())
}

func (s shape) customerDetails(c *customer) object {
	o := object{
		"address": object{"city": nil, "country": "DE", "line1": nil, "line2": nil, "postal_code": "10115", "state": nil},
		"email":   c.email, "name": c.name, "phone": nil, "tax_exempt": "none", "tax_ids": list{},
	}
	if s.era >= eraClover {
		o.merge(object{"business_name": nil, "individual_name": nil})
	}
	return o
}

func checkoutSinceBasil() object {
	return object{
		"adaptive_pricing":      object{"enabled": false},
		"collected_information": object{"business_name": nil, "individual_name": nil, "shipping_details": nil},
		"discounts":             list{}, "origin_context": nil, "permissions": nil,
		"saved_payment_method_options": object{
			"allow_redisplay_filters": list{"always"}, "payment_method_remove": "disabled", "payment_method_save": nil,
		},
		"wallet_options": nil,
	}
}
