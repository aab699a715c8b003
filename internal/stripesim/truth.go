package stripesim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
)

// currency is the currency of all prices.
const currency = "usd"

// normalized returns the subscription as the contract describes it, with the fields that
// this rendering has.
func (s shape) normalized(m *subscription, livemode bool) events.Subscription {
	n := events.Subscription{
		ID: m.id, UserID: m.metadata["user_id"], CustomerID: m.customer, Livemode: livemode, Status: m.status,
		Currency:          currency,
		TrialStart:        moment(m.trialStart),
		TrialEnd:          moment(m.trialEnd),
		CancelAtPeriodEnd: new(m.atPeriodEnd),
		CanceledAt:        moment(m.canceledAt),
		EndedAt:           moment(m.endedAt),
		// All items have the same period.
		CurrentPeriodStart: moment(m.periodStart),
		CurrentPeriodEnd:   moment(m.periodEnd),
		Discounts:          s.normalizedDiscounts(m.discount),
	}
	if len(m.metadata) > 0 {
		n.Metadata = maps.Clone(m.metadata)
	}
	n.ItemsTruncated = s.isCutOff(m.items)
	for _, it := range s.shown(m.items) {
		n.Items = append(n.Items, s.normalizedItem(it, m))
	}
	if !s.withoutItems {
		n.Created = moment(m.created)
	}
	if s.modern() {
		s.normalize2020(&n, m)
	}
	if s.era >= era2023 {
		s.normalize2023(&n, m)
	}
	n.Access, n.EndsAt = access(n.Status), endsAt(n)
	return n
}

func (s shape) normalize2020(n *events.Subscription, m *subscription) {
	n.CollectionMethod = m.method
	n.StartDate = moment(m.startDate)
	n.BillingCycleAnchor = moment(m.anchor)
	n.CancelAt = moment(m.cancelAt)
	n.DefaultPaymentMethodID = m.paymentMethod
	n.LatestInvoiceID = m.latestInvoice
	n.TestClockID = m.testClock
	if m.daysUntilDue != 0 {
		n.DaysUntilDue = new(m.daysUntilDue)
	}
	if m.pause != nil {
		n.PauseCollection = &events.PauseCollection{Behavior: m.pause.behavior, ResumesAt: moment(m.pause.resumesAt)}
	}
}

func (s shape) normalize2023(n *events.Subscription, m *subscription) {
	n.Description = m.description
	n.TrialEndBehavior = m.trialEndBehavior
	n.InvoiceSettings = &events.InvoiceSettings{Issuer: &events.InvoiceIssuer{Type: "self"}}
	if m.reason+m.feedback+m.comment != "" {
		n.CancellationDetails = &events.CancellationDetails{Reason: m.reason, Feedback: m.feedback, Comment: m.comment}
	}
	switch {
	case m.flexible && s.era >= eraAcacia:
		n.BillingMode = &events.BillingMode{
			Type: "flexible", Flexible: &events.BillingModeFlexible{ProrationDiscounts: "included"}, UpdatedAt: moment(m.created),
		}
	case s.era >= eraAcacia:
		n.BillingMode = &events.BillingMode{Type: "classic"}
	}
}

func (s shape) normalizedItem(it item, m *subscription) events.Item {
	p := it.price
	n := events.Item{PriceID: p.id, Currency: currency, Interval: p.interval, IntervalCount: new(int64(1))}
	if !p.metered() {
		n.Quantity = new(it.quantity)
	}
	if p.decimal == "" {
		n.UnitAmount = new(p.amount)
	}
	if !s.withoutItems {
		n.ID, n.Created = it.id, moment(it.created)
	}
	if s.modern() {
		n.ProductID, n.LookupKey, n.Nickname = p.product, p.lookupKey, p.nickname
		n.UnitAmountDecimal, n.BillingScheme, n.TaxBehavior = p.decimalAmount(), "per_unit", "unspecified"
		n.UsageType = "licensed"
		if p.metered() {
			n.UsageType = "metered"
		}
	}
	if s.era >= era2024 {
		n.MeterID = p.meter
	}
	if s.era >= eraAcacia {
		n.CurrentPeriodStart, n.CurrentPeriodEnd = moment(m.periodStart), moment(m.periodEnd)
	}
	return n
}

func (s shape) normalizedDiscounts(d *discount) []events.Discount {
	if d == nil {
		return nil
	}
	if s.era >= eraBasil {
		return []events.Discount{{ID: d.id}}
	}
	n := events.Discount{CouponID: d.coupon, PercentOff: d.percentOff, Start: moment(d.start), End: moment(d.end)}
	if d.amountOff != 0 {
		n.AmountOff, n.Currency = new(d.amountOff), currency
	}
	if s.modern() {
		n.ID, n.PromotionCodeID = d.id, d.promotionCode
	}
	return []events.Discount{n}
}

// access and endsAt do not call package events, so the truth can contradict it.
func access(status string) string {
	switch status {
	case events.StatusActive, events.StatusTrialing:
		return "granted"
	case events.StatusPastDue:
		return "grace"
	}
	return "none"
}

func endsAt(n events.Subscription) time.Time {
	if !n.EndedAt.IsZero() {
		return n.EndedAt
	}
	if !n.CancelAt.IsZero() {
		return n.CancelAt
	}
	if *n.CancelAtPeriodEnd {
		return n.CurrentPeriodEnd
	}
	return time.Time{}
}

func moment(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// truth returns the final state.
func (l *life) truth() Truth {
	t := Truth{Subscription: l.state, UserID: l.state.UserID, LastEventID: l.lastID, Tied: l.tied(), Kind: l.kind, Open: l.open, Also: l.otherState}
	for _, d := range l.deliveries {
		if ref := (EventRef{ID: d.ID, Type: d.Type}); !slices.Contains(t.Events, ref) {
			t.Events = append(t.Events, ref)
		}
	}
	return t
}

// namesCustomer reports whether the user of the customer, and so of all its subscriptions,
// is known from its events, or without events from the customer. Some stories lack the
// first events.
func (l *life) namesCustomer() bool {
	return slices.ContainsFunc(l.deliveries, func(d Delivery) bool {
		return d.Type == "checkout.session.completed" && !l.old || d.Type == "customer.created" && l.customer.metadata["user_id"] != ""
	})
}

// Recorded returns the subscription as its record has it: with the user that the events
// name. If there are two renderings, the record may have either.
func (t Truth) Recorded() []events.Subscription {
	states := []events.Subscription{t.Subscription}
	if t.Also != nil {
		states = append(states, *t.Also)
	}
	for i := range states {
		states[i].UserID = t.UserID
	}
	return states
}

// tied reports whether stamps do not say which event of the subscription is the last.
func (l *life) tied() bool {
	var last int64
	for _, d := range l.deliveries {
		if d.ID == l.lastID {
			last = d.Created.Unix()
		}
	}
	for _, d := range l.deliveries {
		if strings.HasPrefix(d.Type, subscriptionType) && d.ID != l.lastID && last-d.Created.Unix() <= 2 {
			return true
		}
	}
	return false
}
