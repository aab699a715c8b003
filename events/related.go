package events

import "time"

// Invoice is what an invoice.* event says about an invoice, the same whatever
// API version rendered it. Amounts are in the smallest unit of Currency.
// See https://docs.stripe.com/api/invoices/object
type Invoice struct {
	// ID is absent on invoice.upcoming, which previews an invoice.
	ID     string `json:"id,omitempty"`
	Number string `json:"number,omitempty"`
	// AccountID is the connected account; absent for the platform.
	AccountID     string `json:"account_id,omitempty"`
	Livemode      bool   `json:"livemode"`
	CustomerID    string `json:"customer_id,omitempty"`
	CustomerEmail string `json:"customer_email,omitempty"`
	// SubscriptionID is found wherever the version keeps it; absent for an
	// invoice that belongs to no subscription, or to several.
	SubscriptionID string `json:"subscription_id,omitempty"`
	// Status is draft, open, paid, uncollectible or void, verbatim from Stripe.
	// Renderings before 2018-11-08 have none: there it is "paid" if the invoice
	// says that it is paid, and absent else.
	Status           string `json:"status,omitempty"`
	BillingReason    string `json:"billing_reason,omitempty"`
	CollectionMethod string `json:"collection_method,omitempty"`
	Currency         string `json:"currency,omitempty"`
	AmountDue        *int64 `json:"amount_due,omitempty"`
	AmountPaid       *int64 `json:"amount_paid,omitempty"`
	AmountRemaining  *int64 `json:"amount_remaining,omitempty"`
	Subtotal         *int64 `json:"subtotal,omitempty"`
	Total            *int64 `json:"total,omitempty"`
	AttemptCount     *int64 `json:"attempt_count,omitempty"`
	// NextPaymentAttempt is absent where Stripe will not try again by itself.
	NextPaymentAttempt time.Time `json:"next_payment_attempt,omitzero"`
	DueDate            time.Time `json:"due_date,omitzero"`
	// PeriodStart and PeriodEnd are when items were added to the invoice, which
	// is not what a subscription's invoice is for: see the periods of its lines.
	PeriodStart time.Time `json:"period_start,omitzero"`
	PeriodEnd   time.Time `json:"period_end,omitzero"`
	Created     time.Time `json:"created,omitzero"`
	// HostedInvoiceURL and InvoicePDF are absent where they are redacted.
	HostedInvoiceURL string            `json:"hosted_invoice_url,omitempty"`
	InvoicePDF       string            `json:"invoice_pdf,omitempty"`
	Metadata         map[string]string `json:"metadata,omitempty"`
	// SubscriptionMetadata are those of the subscription when the invoice was
	// finalized.
	SubscriptionMetadata map[string]string `json:"subscription_metadata,omitempty"`
}

// CheckoutSession is what a checkout.session.* event says about a session.
// See https://docs.stripe.com/api/checkout/sessions/object
type CheckoutSession struct {
	ID        string `json:"id,omitempty"`
	AccountID string `json:"account_id,omitempty"`
	Livemode  bool   `json:"livemode"`
	// Mode is payment, setup or subscription.
	Mode          string `json:"mode,omitempty"`
	Status        string `json:"status,omitempty"`
	PaymentStatus string `json:"payment_status,omitempty"`
	CustomerID    string `json:"customer_id,omitempty"`
	// CustomerEmail is what the application prefilled, else what the customer
	// entered.
	CustomerEmail     string `json:"customer_email,omitempty"`
	SubscriptionID    string `json:"subscription_id,omitempty"`
	ClientReferenceID string `json:"client_reference_id,omitempty"`
	// PaymentLinkID is set for a session that came from a Payment Link, where
	// the visitor can choose ClientReferenceID.
	PaymentLinkID string            `json:"payment_link_id,omitempty"`
	Created       time.Time         `json:"created,omitzero"`
	Metadata      map[string]string `json:"metadata,omitempty"`
}

// Customer is what a customer.created, customer.updated or customer.deleted
// event says about a customer.
// See https://docs.stripe.com/api/customers/object
type Customer struct {
	ID        string `json:"id,omitempty"`
	AccountID string `json:"account_id,omitempty"`
	Livemode  bool   `json:"livemode"`
	Email     string `json:"email,omitempty"`
	Name      string `json:"name,omitempty"`
	// Deleted is true once the customer is gone.
	Deleted  bool              `json:"deleted,omitempty"`
	Created  time.Time         `json:"created,omitzero"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// CustomerDiscount is what a customer.discount.* event says: a discount and
// what it is applied to.
// See https://docs.stripe.com/api/discounts/object
type CustomerDiscount struct {
	Discount
	CustomerID string `json:"customer_id,omitempty"`
	// SubscriptionID is absent for a discount on everything that the customer
	// buys.
	SubscriptionID string `json:"subscription_id,omitempty"`
}

// Product is what a product.* event says about a product.
// See https://docs.stripe.com/api/products/object
type Product struct {
	ID             string            `json:"id,omitempty"`
	AccountID      string            `json:"account_id,omitempty"`
	Livemode       bool              `json:"livemode"`
	Name           string            `json:"name,omitempty"`
	Description    string            `json:"description,omitempty"`
	Active         *bool             `json:"active,omitempty"`
	DefaultPriceID string            `json:"default_price_id,omitempty"`
	Deleted        bool              `json:"deleted,omitempty"`
	Created        time.Time         `json:"created,omitzero"`
	Metadata       map[string]string `json:"metadata,omitempty"`
}

// Price is what a price.* event says about a price, or a plan.* event about a
// plan, as prices were called until 2020. Stripe sends both for one price.
// See https://docs.stripe.com/api/prices/object
type Price struct {
	ID        string `json:"id,omitempty"`
	AccountID string `json:"account_id,omitempty"`
	Livemode  bool   `json:"livemode"`
	ProductID string `json:"product_id,omitempty"`
	Active    *bool  `json:"active,omitempty"`
	// Type is recurring or one_time; a plan is always recurring.
	Type      string `json:"type,omitempty"`
	LookupKey string `json:"lookup_key,omitempty"`
	Nickname  string `json:"nickname,omitempty"`
	Currency  string `json:"currency,omitempty"`
	// UnitAmount is in the smallest unit of Currency.
	UnitAmount        *int64             `json:"unit_amount,omitempty"`
	UnitAmountDecimal string             `json:"unit_amount_decimal,omitempty"`
	BillingScheme     string             `json:"billing_scheme,omitempty"`
	TiersMode         string             `json:"tiers_mode,omitempty"`
	TransformQuantity *TransformQuantity `json:"transform_quantity,omitempty"`
	Interval          string             `json:"interval,omitempty"`
	IntervalCount     *int64             `json:"interval_count,omitempty"`
	UsageType         string             `json:"usage_type,omitempty"`
	MeterID           string             `json:"meter_id,omitempty"`
	TaxBehavior       string             `json:"tax_behavior,omitempty"`
	Deleted           bool               `json:"deleted,omitempty"`
	Created           time.Time          `json:"created,omitzero"`
	Metadata          map[string]string  `json:"metadata,omitempty"`
}
