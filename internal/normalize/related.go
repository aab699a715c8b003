package normalize

import (
	"cmp"
	"strings"

	"github.com/billbus/billbus/events"
)

// setRelated reads the object of an event that is not about a subscription. An
// object of another kind than the event's type suggests is not read.
func (n *Normalizer) setRelated(msg *events.Message, env envelope, warnings *notes) {
	if !env.object.isObject() {
		return
	}
	r := reader{env.object, "data.object", warnings}
	family := env.kind[:max(0, strings.LastIndexByte(env.kind, '.'))]
	if kind := r.text("object"); kind != "" && kind != objectOf(family) {
		return
	}
	deleted := strings.HasSuffix(env.kind, ".deleted")
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
		msg.Data.Price = price(r, r, reader{}, env, deleted)
	case "plan":
		msg.Data.Price = price(r, reader{}, r, env, deleted)
	case events.EntitlementsSummary:
		msg.Data.Entitlements = entitlements(r)
		msg.Subject = notBlank(cmp.Or(env.subject, msg.Data.Entitlements.CustomerID))
	}
}

// objectOf returns the object type that events of a family are about.
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
		CustomerAccountID:    r.reference("customer_account"),
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
		Created:              cmp.Or(r.moment("created"), r.moment("date")), // date until 2019
		HostedInvoiceURL:     r.text("hosted_invoice_url"),
		InvoicePDF:           r.text("invoice_pdf"),
		Metadata:             metadata(r),
		SubscriptionMetadata: subscriptionMetadata(r),
	}
}

// invoiceStatus is a field since 2018-11-08. Before, an invoice only said whether
// it was paid.
func invoiceStatus(r reader) string {
	if status := r.text("status"); status != "" {
		return status
	}
	if r.isTrue("paid") {
		return "paid"
	}
	return ""
}

// subscriptionMetadata is in the parent since 2025, and was in the invoice before.
func subscriptionMetadata(r reader) map[string]string {
	details := r.child("parent").child("subscription_details")
	if !details.exists() {
		details = r.child("subscription_details")
	}
	return metadata(details)
}

func checkoutSession(r reader, env envelope) *events.CheckoutSession {
	details := r.child("customer_details")
	return &events.CheckoutSession{
		ID:                r.text("id"),
		AccountID:         env.account,
		Livemode:          env.livemode,
		Mode:              r.text("mode"),
		Status:            r.text("status"),
		PaymentStatus:     r.text("payment_status"),
		CustomerID:        r.reference("customer"),
		CustomerAccountID: r.reference("customer_account"),
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
		ID:                r.text("id"),
		CustomerAccountID: r.reference("customer_account"),
		AccountID:         env.account,
		Livemode:          env.livemode,
		Email:             r.text("email"),
		Name:              r.text("name"),
		Deleted:           deleted || r.isTrue("deleted"),
		Created:           r.moment("created"),
		Metadata:          metadata(r),
	}
}

func customerDiscount(r reader) *events.CustomerDiscount {
	return &events.CustomerDiscount{
		Discount:          discount(r),
		CustomerID:        r.reference("customer"),
		CustomerAccountID: r.reference("customer_account"),
		SubscriptionID:    r.reference("subscription"),
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
		Deleted:        deleted || r.isTrue("deleted"),
		Created:        r.moment("created"),
		Metadata:       metadata(r),
	}
}

// price reads r, which is a price or, until 2020, a plan. The other one of the two
// does not exist.
func price(r, price, plan reader, env envelope, deleted bool) *events.Price {
	kind := price.text("type")
	if plan.exists() {
		kind = "recurring"
	}
	it := terms(price, plan)
	return &events.Price{
		ID: r.text("id"), AccountID: env.account, Livemode: env.livemode, ProductID: it.ProductID,
		Active: r.flag("active"), Type: kind, LookupKey: it.LookupKey, Nickname: it.Nickname,
		Currency: it.Currency, UnitAmount: it.UnitAmount, UnitAmountDecimal: it.UnitAmountDecimal,
		BillingScheme: it.BillingScheme, TiersMode: it.TiersMode, TransformQuantity: it.TransformQuantity,
		Interval: it.Interval, IntervalCount: it.IntervalCount, UsageType: it.UsageType, MeterID: it.MeterID,
		TaxBehavior: it.TaxBehavior, Deleted: deleted || r.isTrue("deleted"), Created: r.moment("created"), Metadata: metadata(r),
	}
}

// entitlements reads a summary. A list that cannot be read, or has an element without an
// id, counts as cut off: otherwise the customer would seem to have lost features.
func entitlements(r reader) *events.Entitlements {
	list := r.child("entitlements")
	e := &events.Entitlements{
		CustomerID: r.reference("customer"),
		Truncated:  list.isTrue("has_more") || !list.get("data").isArray(),
	}
	for i, v := range list.array("data").elements() {
		entitlement := list.element("data", i, v)
		feature := events.Feature{FeatureID: entitlement.reference("feature"), LookupKey: entitlement.text("lookup_key")}
		if feature == (events.Feature{}) {
			e.Truncated = true
			continue
		}
		e.Features = append(e.Features, feature)
	}
	return e
}
