package events

import "time"

// Statuses of a subscription, as Stripe writes them. Other statuses can occur.
// See https://docs.stripe.com/api/subscriptions/object#subscription_object-status
const (
	StatusIncomplete        = "incomplete"
	StatusIncompleteExpired = "incomplete_expired"
	StatusTrialing          = "trialing"
	StatusActive            = "active"
	StatusPastDue           = "past_due"
	StatusUnpaid            = "unpaid"
	StatusPaused            = "paused"
	StatusCanceled          = "canceled"
)

// What a status means for the user's access.
const (
	AccessGranted = "granted"
	AccessGrace   = "grace"
	AccessNone    = "none"
)

// Subscription is a Stripe subscription as of one event, in the same form for every
// API version. Field names are Stripe's in the newest API version; a reference to
// another object adds "_id". An absent field is unknown or not set.
// See https://docs.stripe.com/api/subscriptions/object
type Subscription struct {
	ID string `json:"id"`
	// UserID is the application's user, if the subscription's own metadata names it.
	UserID     string `json:"user_id,omitempty"`
	CustomerID string `json:"customer_id,omitempty"`
	// CustomerAccountID is the account that represents the customer, in Accounts v2.
	CustomerAccountID string `json:"customer_account_id,omitempty"`
	// AccountID is the connected account; absent for the platform.
	AccountID string `json:"account_id,omitempty"`
	Livemode  bool   `json:"livemode"`
	// Status is Stripe's status.
	Status string `json:"status,omitempty"`
	// Access is what Status means for the user: granted, grace or none; absent for a
	// status that this release does not know. See [Access].
	Access string `json:"access,omitempty"`
	// EndsAt is when the subscription ended or will end. See [EndsAt]. If an event says
	// that it ended but not when, it is the event's time.
	EndsAt           time.Time `json:"ends_at,omitzero"`
	Currency         string    `json:"currency,omitempty"`
	CollectionMethod string    `json:"collection_method,omitempty"`
	Created          time.Time `json:"created,omitzero"`
	StartDate        time.Time `json:"start_date,omitzero"`
	// CurrentPeriodStart and CurrentPeriodEnd are Stripe's own if the rendering has
	// them, or else the latest start and the earliest end of the items' periods.
	CurrentPeriodStart time.Time    `json:"current_period_start,omitzero"`
	CurrentPeriodEnd   time.Time    `json:"current_period_end,omitzero"`
	BillingCycleAnchor time.Time    `json:"billing_cycle_anchor,omitzero"`
	BillingMode        *BillingMode `json:"billing_mode,omitempty"`
	TrialStart         time.Time    `json:"trial_start,omitzero"`
	TrialEnd           time.Time    `json:"trial_end,omitzero"`
	// TrialEndBehavior is trial_settings.end_behavior.missing_payment_method.
	TrialEndBehavior  string    `json:"trial_end_behavior,omitempty"`
	CancelAt          time.Time `json:"cancel_at,omitzero"`
	CancelAtPeriodEnd *bool     `json:"cancel_at_period_end,omitempty"`
	// CanceledAt is when the cancellation was requested.
	CanceledAt             time.Time            `json:"canceled_at,omitzero"`
	EndedAt                time.Time            `json:"ended_at,omitzero"`
	CancellationDetails    *CancellationDetails `json:"cancellation_details,omitempty"`
	PauseCollection        *PauseCollection     `json:"pause_collection,omitempty"`
	StatusDetails          *StatusDetails       `json:"status_details,omitempty"`
	DefaultPaymentMethodID string               `json:"default_payment_method_id,omitempty"`
	DefaultSourceID        string               `json:"default_source_id,omitempty"`
	LatestInvoiceID        string               `json:"latest_invoice_id,omitempty"`
	ScheduleID             string               `json:"schedule_id,omitempty"`
	PendingUpdate          *PendingUpdate       `json:"pending_update,omitempty"`
	TestClockID            string               `json:"test_clock_id,omitempty"`
	DaysUntilDue           *int64               `json:"days_until_due,omitempty"`
	BillingThresholds      *BillingThresholds   `json:"billing_thresholds,omitempty"`
	InvoiceSettings        *InvoiceSettings     `json:"invoice_settings,omitempty"`
	// OnBehalfOfID is the account for which the customer is charged.
	OnBehalfOfID string        `json:"on_behalf_of_id,omitempty"`
	TransferData *TransferData `json:"transfer_data,omitempty"`
	// ApplicationFeePercent is a decimal number, 0 to 100.
	ApplicationFeePercent string `json:"application_fee_percent,omitempty"`
	// DefaultTaxRates are the ids of the tax rates of items that have none of their own.
	DefaultTaxRates []string          `json:"default_tax_rates,omitempty"`
	Description     string            `json:"description,omitempty"`
	Metadata        map[string]string `json:"metadata,omitempty"`
	Discounts       []Discount        `json:"discounts,omitempty"`
	// ItemsTruncated is true if Stripe listed only some of the items.
	ItemsTruncated bool   `json:"items_truncated,omitempty"`
	Items          []Item `json:"items,omitempty"`
}

// BillingMode says how Stripe computes prorations and invoices.
// See https://docs.stripe.com/billing/subscriptions/billing-mode
type BillingMode struct {
	Type      string               `json:"type,omitempty"`
	Flexible  *BillingModeFlexible `json:"flexible,omitempty"`
	UpdatedAt time.Time            `json:"updated_at,omitzero"`
}

// BillingModeFlexible holds the options of the flexible billing mode.
type BillingModeFlexible struct {
	ProrationDiscounts string `json:"proration_discounts,omitempty"`
}

// CancellationDetails say why a subscription was or will be canceled.
type CancellationDetails struct {
	Reason   string `json:"reason,omitempty"`
	Feedback string `json:"feedback,omitempty"`
	// FeedbackOptionID is the account's own answer that the customer chose.
	FeedbackOptionID string `json:"feedback_option_id,omitempty"`
	Comment          string `json:"comment,omitempty"`
}

// PauseCollection is set while Stripe does not collect invoices. It does not change the
// status; in particular, it does not make it paused.
// See https://docs.stripe.com/billing/subscriptions/pause-payment
type PauseCollection struct {
	Behavior  string    `json:"behavior,omitempty"`
	ResumesAt time.Time `json:"resumes_at,omitzero"`
}

// StatusDetails explain the status paused.
type StatusDetails struct {
	Paused *PausedDetails `json:"paused,omitempty"`
}

// PausedDetails say when and why a subscription became paused.
type PausedDetails struct {
	Type           string              `json:"type,omitempty"`
	TransitionedAt time.Time           `json:"transitioned_at,omitzero"`
	Subscription   *PausedSubscription `json:"subscription,omitempty"`
}

// PausedSubscription holds the reason of a pause of type subscription.
type PausedSubscription struct {
	Type string `json:"type,omitempty"`
}

// PendingUpdate is set while a change waits for its payment. Its fields become those of
// the subscription if the payment is made.
// See https://docs.stripe.com/billing/subscriptions/pending-updates
type PendingUpdate struct {
	// ExpiresAt is when Stripe discards the change.
	ExpiresAt          time.Time         `json:"expires_at,omitzero"`
	BillingCycleAnchor time.Time         `json:"billing_cycle_anchor,omitzero"`
	CancelAtPeriodEnd  *bool             `json:"cancel_at_period_end,omitempty"`
	TrialEnd           time.Time         `json:"trial_end,omitzero"`
	TrialFromPlan      *bool             `json:"trial_from_plan,omitempty"`
	Metadata           map[string]string `json:"metadata,omitempty"`
	Discounts          []Discount        `json:"discounts,omitempty"`
	SubscriptionItems  []Item            `json:"subscription_items,omitempty"`
}

// BillingThresholds are the sums at which Stripe makes an invoice within a period.
type BillingThresholds struct {
	// AmountGTE is in the smallest unit of the subscription's currency.
	AmountGTE               *int64 `json:"amount_gte,omitempty"`
	ResetBillingCycleAnchor *bool  `json:"reset_billing_cycle_anchor,omitempty"`
}

// InvoiceSettings apply to all invoices of a subscription.
type InvoiceSettings struct {
	// AccountTaxIDs are the ids of the account's tax ids on the invoices.
	AccountTaxIDs []string             `json:"account_tax_ids,omitempty"`
	CustomFields  []InvoiceCustomField `json:"custom_fields,omitempty"`
	Description   string               `json:"description,omitempty"`
	Footer        string               `json:"footer,omitempty"`
	Issuer        *InvoiceIssuer       `json:"issuer,omitempty"`
}

// InvoiceCustomField is a line in the head of an invoice.
type InvoiceCustomField struct {
	Name  string `json:"name,omitempty"`
	Value string `json:"value,omitempty"`
}

// InvoiceIssuer is the account that issues invoices.
type InvoiceIssuer struct {
	// Type is self, or account if it is another account.
	Type string `json:"type,omitempty"`
	// AccountID is the account of an issuer of type account.
	AccountID string `json:"account_id,omitempty"`
}

// TransferData says to which account what was paid is transferred.
type TransferData struct {
	// DestinationID is the account that receives it.
	DestinationID string `json:"destination_id,omitempty"`
	// AmountPercent is a decimal number, 0 to 100; absent for the whole amount.
	AmountPercent string `json:"amount_percent,omitempty"`
}

// Discount is a discount of the subscription or of an item, with the fields that the
// rendering has: often only its id.
// See https://docs.stripe.com/api/discounts/object
type Discount struct {
	ID              string `json:"id,omitempty"`
	CouponID        string `json:"coupon_id,omitempty"`
	PromotionCodeID string `json:"promotion_code_id,omitempty"`
	// PercentOff is a decimal number, 0 to 100.
	PercentOff string `json:"percent_off,omitempty"`
	// AmountOff is in the smallest unit of Currency.
	AmountOff *int64    `json:"amount_off,omitempty"`
	Currency  string    `json:"currency,omitempty"`
	Start     time.Time `json:"start,omitzero"`
	End       time.Time `json:"end,omitzero"`
}

// Item is one priced part of a subscription. If a rendering has a plan but no items, the
// plan and the quantity of the subscription make one item without id.
// See https://docs.stripe.com/api/subscription_items/object
type Item struct {
	ID        string `json:"id,omitempty"`
	PriceID   string `json:"price_id,omitempty"`
	ProductID string `json:"product_id,omitempty"`
	// ProductName is only in records: no event of a subscription has it.
	ProductName string `json:"product_name,omitempty"`
	// LookupKey and Nickname are the price's: in a message as of the event, in a record as
	// of the price's own last event, if there is one. Stripe sends no event of the
	// subscription when they change.
	LookupKey string `json:"lookup_key,omitempty"`
	Nickname  string `json:"nickname,omitempty"`
	Quantity  *int64 `json:"quantity,omitempty"`
	// UnitAmount is in the smallest unit of Currency. If that is not the subscription's
	// currency, it is not what the customer pays.
	UnitAmount        *int64             `json:"unit_amount,omitempty"`
	UnitAmountDecimal string             `json:"unit_amount_decimal,omitempty"`
	BillingScheme     string             `json:"billing_scheme,omitempty"`
	TiersMode         string             `json:"tiers_mode,omitempty"`
	TransformQuantity *TransformQuantity `json:"transform_quantity,omitempty"`
	Currency          string             `json:"currency,omitempty"`
	// Interval is day, week, month or year; a period lasts IntervalCount of it.
	Interval           string    `json:"interval,omitempty"`
	IntervalCount      *int64    `json:"interval_count,omitempty"`
	UsageType          string    `json:"usage_type,omitempty"`
	MeterID            string    `json:"meter_id,omitempty"`
	TaxBehavior        string    `json:"tax_behavior,omitempty"`
	Created            time.Time `json:"created,omitzero"`
	CurrentPeriodStart time.Time `json:"current_period_start,omitzero"`
	CurrentPeriodEnd   time.Time `json:"current_period_end,omitzero"`
	// CurrentTrial is the trial of this item alone. It does not change the status.
	CurrentTrial      *CurrentTrial          `json:"current_trial,omitempty"`
	BillingThresholds *ItemBillingThresholds `json:"billing_thresholds,omitempty"`
	// TaxRates are the ids of tax rates that replace the subscription's default ones.
	TaxRates []string `json:"tax_rates,omitempty"`
	// Discounts apply to this item, before those of the subscription.
	Discounts []Discount        `json:"discounts,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
}

// CurrentTrial is the trial of an item.
type CurrentTrial struct {
	TrialOfferID string    `json:"trial_offer_id,omitempty"`
	Start        time.Time `json:"start,omitzero"`
	End          time.Time `json:"end,omitzero"`
}

// ItemBillingThresholds is the usage at which Stripe makes an invoice within a period.
type ItemBillingThresholds struct {
	UsageGTE *int64 `json:"usage_gte,omitempty"`
}

// TransformQuantity is applied to the quantity before billing.
type TransformQuantity struct {
	DivideBy *int64 `json:"divide_by,omitempty"`
	Round    string `json:"round,omitempty"`
}

// Terminal reports whether the subscription has ended: Stripe never leaves the
// statuses canceled and incomplete_expired.
func (s *Subscription) Terminal() bool {
	return s.Status == StatusCanceled || s.Status == StatusIncompleteExpired
}

// Access returns what a status means for the user: granted, grace (a payment is overdue)
// or none; "" for a status that this release does not know. A user has access if any of
// the user's subscriptions gives it.
func Access(status string) string {
	switch status {
	case StatusActive, StatusTrialing:
		return AccessGranted
	case StatusPastDue:
		return AccessGrace
	case StatusIncomplete, StatusIncompleteExpired, StatusUnpaid, StatusPaused, StatusCanceled:
		return AccessNone
	}
	return ""
}

// EndsAt returns the first of ended_at, cancel_at, and current_period_end if
// cancel_at_period_end is true; the zero time if the subscription has no end. A
// subscription that expired as incomplete ended when it was canceled.
func EndsAt(s *Subscription) time.Time {
	switch {
	case !s.EndedAt.IsZero():
		return s.EndedAt
	case s.Status == StatusIncompleteExpired:
		return s.CanceledAt
	case !s.CancelAt.IsZero():
		return s.CancelAt
	case s.CancelAtPeriodEnd != nil && *s.CancelAtPeriodEnd:
		return s.CurrentPeriodEnd
	}
	return time.Time{}
}
