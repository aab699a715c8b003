package events

import "time"

// Invoice is what an invoice.* event says about an invoice, in the same form for every
// API version. Amounts are in the smallest unit of Currency.
// See https://docs.stripe.com/api/invoices/object
type Invoice struct {
	// ID is absent on invoice.upcoming, which previews an invoice.
	ID     string `json:"id,omitempty"`
	Number string `json:"number,omitempty"`
	// AccountID is the connected account; absent for the platform.
	AccountID  string `json:"account_id,omitempty"`
	Livemode   bool   `json:"livemode"`
	CustomerID string `json:"customer_id,omitempty"`
	// CustomerAccountID is the account that represents the customer, in Accounts v2.
	CustomerAccountID string `json:"customer_account_id,omitempty"`
	CustomerEmail     string `json:"customer_email,omitempty"`
	// SubscriptionID is absent for an invoice that belongs to no subscription, or to
	// several.
	SubscriptionID string `json:"subscription_id,omitempty"`
	// Status is draft, open, paid, uncollectible or void. Renderings before 2018-11-08
	// have no status: then it is "paid" if the invoice is marked as paid, or else absent.
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
	// NextPaymentAttempt is absent if Stripe will not try again.
	NextPaymentAttempt time.Time `json:"next_payment_attempt,omitzero"`
	DueDate            time.Time `json:"due_date,omitzero"`
	// PeriodStart and PeriodEnd are when items were added to the invoice. The period
	// that a subscription's invoice pays for is in its lines.
	PeriodStart time.Time `json:"period_start,omitzero"`
	PeriodEnd   time.Time `json:"period_end,omitzero"`
	Created     time.Time `json:"created,omitzero"`
	// HostedInvoiceURL and InvoicePDF are absent if they are redacted.
	HostedInvoiceURL string            `json:"hosted_invoice_url,omitempty"`
	InvoicePDF       string            `json:"invoice_pdf,omitempty"`
	Metadata         map[string]string `json:"metadata,omitempty"`
	// SubscriptionMetadata is the subscription's metadata when the invoice was
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
	// CustomerAccountID is the account that represents the customer, in Accounts v2.
	CustomerAccountID string `json:"customer_account_id,omitempty"`
	// CustomerEmail is what the application prefilled, or else what the customer
	// entered.
	CustomerEmail     string `json:"customer_email,omitempty"`
	SubscriptionID    string `json:"subscription_id,omitempty"`
	ClientReferenceID string `json:"client_reference_id,omitempty"`
	// PaymentLinkID is set for a session that came from a Payment Link. There the
	// visitor can choose the ClientReferenceID.
	PaymentLinkID string            `json:"payment_link_id,omitempty"`
	Created       time.Time         `json:"created,omitzero"`
	Metadata      map[string]string `json:"metadata,omitempty"`
}

// Customer is what a customer.created, customer.updated or customer.deleted event says
// about a customer.
// See https://docs.stripe.com/api/customers/object
type Customer struct {
	ID string `json:"id,omitempty"`
	// CustomerAccountID is the account that represents the customer, in Accounts v2.
	CustomerAccountID string `json:"customer_account_id,omitempty"`
	AccountID         string `json:"account_id,omitempty"`
	Livemode          bool   `json:"livemode"`
	Email             string `json:"email,omitempty"`
	Name              string `json:"name,omitempty"`
	// Deleted is true if the customer was deleted.
	Deleted  bool              `json:"deleted,omitempty"`
	Created  time.Time         `json:"created,omitzero"`
	Metadata map[string]string `json:"metadata,omitempty"`
}

// CustomerDiscount is what a customer.discount.* event says: a discount, and what it
// applies to.
// See https://docs.stripe.com/api/discounts/object
type CustomerDiscount struct {
	Discount
	CustomerID string `json:"customer_id,omitempty"`
	// CustomerAccountID is the account that represents the customer, in Accounts v2.
	CustomerAccountID string `json:"customer_account_id,omitempty"`
	// SubscriptionID is absent if the discount applies to everything that the customer
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

// Price is what a price.* event says about a price, or a plan.* event about a plan, which
// is what prices were called until 2020. Stripe sends both for one price.
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

// Entitlements is what a customer may use, according to an
// entitlements.active_entitlement_summary.updated event, or as read from Stripe's API.
// See https://docs.stripe.com/api/entitlements/active-entitlement
type Entitlements struct {
	CustomerID string `json:"customer_id,omitempty"`
	// Features are in the order in which Stripe lists them. They are absent if there are
	// none.
	Features []Feature `json:"features,omitempty"`
	// Truncated is true if Stripe lists only some of the features: the first ten, or
	// those that can be read.
	Truncated bool `json:"truncated,omitempty"`
}

// Feature is a feature that a customer may use.
type Feature struct {
	FeatureID string `json:"feature_id,omitempty"`
	// LookupKey is the application's own key of the feature.
	LookupKey string `json:"lookup_key,omitempty"`
}
