package normalize

import (
	"cmp"
	"strings"

	"github.com/billbus/billbus/events"
)

// relate reads the object of an event that is about something else than a
// subscription. An object of another kind than the type says is left alone.
func (n *Normalizer) relate(msg *events.Message, env envelope, s *sink) {
	if !env.object.isObject() {
		return
	}
	r := s.reader(env.object, "data.object")
	family, word, _ := cutLast(env.kind)
	if kind := r.text("object"); kind != "" && kind != objectOf(family) {
		return
	}
	deleted := word == "deleted"
	switch family {
	case "invoice":
		msg.Data.Invoice = invoice(r, env)
	case "checkout.session":
		msg.Data.CheckoutSession = checkoutSession(r, env)
		msg.Data.Identity = n.sessionIdentity(msg.Data.CheckoutSession)
	case "customer":
		msg.Data.Customer = customer(r, env, deleted)
		msg.Data.Identity = n.customerIdentity(msg.Data.Customer)
	case "customer.discount":
		msg.Data.Discount = customerDiscount(r)
	case "product":
		msg.Data.Product = product(r, env, deleted)
	case "price":
		msg.Data.Price = price(r, reader{}, env, deleted)
	case "plan":
		msg.Data.Price = price(reader{}, r, env, deleted)
	}
}

// cutLast cuts a type before its last word: customer.discount.created tells of
// a customer.discount.
func cutLast(kind string) (family, word string, ok bool) {
	i := strings.LastIndexByte(kind, '.')
	if i < 0 {
		return "", kind, false
	}
	return kind[:i], kind[i+1:], true
}

// objectOf is what the object of a family of types calls itself.
func objectOf(family string) string {
	if family == "customer.discount" {
		return "discount"
	}
	return family
}

func invoice(r reader, env envelope) *events.Invoice {
	return &events.Invoice{
		ID:                   r.text("id"),
		Number:               r.text("number"),
		AccountID:            env.account,
		Livemode:             env.livemode,
		CustomerID:           r.reference("customer"),
		CustomerEmail:        r.text("customer_email"),
		SubscriptionID:       subscriptionOf(r),
		Status:               invoiceStatus(r),
		BillingReason:        r.text("billing_reason"),
		CollectionMethod:     collectionMethod(r),
		Currency:             r.text("currency"),
		AmountDue:            r.integer("amount_due"),
		AmountPaid:           r.integer("amount_paid"),
		AmountRemaining:      r.integer("amount_remaining"),
		Subtotal:             r.integer("subtotal"),
		Total:                r.integer("total"),
		AttemptCount:         r.integer("attempt_count"),
		NextPaymentAttempt:   r.moment("next_payment_attempt"),
		DueDate:              r.moment("due_date"),
		PeriodStart:          r.moment("period_start"),
		PeriodEnd:            r.moment("period_end"),
		Created:              orMoment(r.moment("created"), r.moment("date")), // date until 2019
		HostedInvoiceURL:     r.text("hosted_invoice_url"),
		InvoicePDF:           r.text("invoice_pdf"),
		Metadata:             metadata(r),
		SubscriptionMetadata: subscriptionMetadata(r),
	}
}

// invoiceStatus exists since 2018-11-08; before, an invoice said whether it was
// paid.
func invoiceStatus(r reader) string {
	if status := r.text("status"); status != "" {
		return status
	}
	if paid := r.flag("paid"); paid != nil && *paid {
		return "paid"
	}
	return ""
}

// subscriptionMetadata stand in the parent since 2025, and beside it before.
func subscriptionMetadata(r reader) map[string]string {
	parent, _ := r.child("parent")
	details, ok := parent.child("subscription_details")
	if !ok {
		details, _ = r.child("subscription_details")
	}
	return metadata(details)
}

func checkoutSession(r reader, env envelope) *events.CheckoutSession {
	details, _ := r.child("customer_details")
	return &events.CheckoutSession{
		ID:                r.text("id"),
		AccountID:         env.account,
		Livemode:          env.livemode,
		Mode:              r.text("mode"),
		Status:            r.text("status"),
		PaymentStatus:     r.text("payment_status"),
		CustomerID:        r.reference("customer"),
		CustomerEmail:     cmp.Or(r.text("customer_email"), details.text("email")),
		SubscriptionID:    r.reference("subscription"),
		ClientReferenceID: r.text("client_reference_id"),
		PaymentLinkID:     r.reference("payment_link"),
		Created:           r.moment("created"),
		Metadata:          metadata(r),
	}
}

func customer(r reader, env envelope, deleted bool) *events.Customer {
	return &events.Customer{
		ID:        r.text("id"),
		AccountID: env.account,
		Livemode:  env.livemode,
		Email:     r.text("email"),
		Name:      r.text("name"),
		Deleted:   deleted || isDeleted(r),
		Created:   r.moment("created"),
		Metadata:  metadata(r),
	}
}

// isDeleted is how the API renders what is gone.
func isDeleted(r reader) bool {
	deleted := r.flag("deleted")
	return deleted != nil && *deleted
}

func customerDiscount(r reader) *events.CustomerDiscount {
	return &events.CustomerDiscount{
		Discount:       discount(r),
		CustomerID:     r.reference("customer"),
		SubscriptionID: r.reference("subscription"),
	}
}

func product(r reader, env envelope, deleted bool) *events.Product {
	return &events.Product{
		ID:             r.text("id"),
		AccountID:      env.account,
		Livemode:       env.livemode,
		Name:           r.text("name"),
		Description:    r.text("description"),
		Active:         r.flag("active"),
		DefaultPriceID: r.reference("default_price"),
		Deleted:        deleted || isDeleted(r),
		Created:        r.moment("created"),
		Metadata:       metadata(r),
	}
}

// price reads a price, or a plan, as it was called until 2020: one of them is
// empty.
func price(price, plan reader, env envelope, deleted bool) *events.Price {
	r, kind := price, price.text("type")
	if !price.isSet() {
		r, kind = plan, "recurring"
	}
	it := sold(price, plan)
	return &events.Price{
		ID: r.text("id"), AccountID: env.account, Livemode: env.livemode, ProductID: it.ProductID,
		Active: r.flag("active"), Type: kind, LookupKey: it.LookupKey, Nickname: it.Nickname,
		Currency: it.Currency, UnitAmount: it.UnitAmount, UnitAmountDecimal: it.UnitAmountDecimal,
		BillingScheme: it.BillingScheme, TiersMode: it.TiersMode, TransformQuantity: it.TransformQuantity,
		Interval: it.Interval, IntervalCount: it.IntervalCount, UsageType: it.UsageType, MeterID: it.MeterID,
		TaxBehavior: it.TaxBehavior, Deleted: deleted || isDeleted(r), Created: r.moment("created"), Metadata: metadata(r),
	}
}
