package normalize

import (
	"cmp"
	"time"

	"github.com/billbus/billbus/events"
)

// subscription reads a subscription object of any API version. From the envelope
// it uses the account and the mode only, so it can also read the object as it was
// before an update.
func (n *Normalizer) subscription(obj value, env envelope, warnings *notes) *events.Subscription {
	r := reader{object: obj, warnings: warnings}
	s := &events.Subscription{
		ID:                  r.text("id"),
		CustomerID:          r.reference("customer"),
		CustomerAccountID:   r.reference("customer_account"),
		AccountID:           env.account,
		Livemode:            env.livemode,
		Status:              r.text("status"),
		CollectionMethod:    collectionMethod(r),
		Created:             r.moment("created"),
		StartDate:           r.moment("start_date"),
		BillingCycleAnchor:  r.moment("billing_cycle_anchor"),
		BillingMode:         billingMode(r),
		TrialStart:          r.moment("trial_start"),
		TrialEnd:            r.moment("trial_end"),
		TrialEndBehavior:    r.child("trial_settings").child("end_behavior").text("missing_payment_method"),
		CancelAt:            r.moment("cancel_at"),
		CancelAtPeriodEnd:   r.flag("cancel_at_period_end"),
		CanceledAt:          r.moment("canceled_at"),
		EndedAt:             r.moment("ended_at"),
		CancellationDetails: cancellationDetails(r),
		PauseCollection:     pauseCollection(r),
		StatusDetails:       statusDetails(r),
	}
	readReferences(r, s)
	billed := r.text("currency")
	s.PendingUpdate = pendingUpdate(r, billed)
	s.Items, s.ItemsTruncated = items(r, billed)
	s.Currency = cmp.Or(billed, currency(s.Items))
	s.CurrentPeriodStart, s.CurrentPeriodEnd = period(r, s.Items)
	s.UserID = n.userID(s.Metadata)
	s.Access = events.Access(s.Status)
	s.EndsAt = events.EndsAt(s)
	if s.EndsAt.IsZero() && s.Status == events.StatusIncompleteExpired {
		s.EndsAt = env.created
	}
	return s
}

// readReferences reads what the subscription refers to, and how it is invoiced.
func readReferences(r reader, s *events.Subscription) {
	s.DefaultPaymentMethodID = r.reference("default_payment_method")
	s.DefaultSourceID = r.reference("default_source")
	s.LatestInvoiceID = r.reference("latest_invoice")
	s.ScheduleID = r.reference("schedule")
	s.TestClockID = r.reference("test_clock")
	s.DaysUntilDue = r.integer("days_until_due")
	s.BillingThresholds = billingThresholds(r)
	s.InvoiceSettings = invoiceSettings(r)
	s.OnBehalfOfID = r.reference("on_behalf_of")
	s.TransferData = transferData(r)
	s.ApplicationFeePercent = r.percent("application_fee_percent")
	s.DefaultTaxRates = r.references("default_tax_rates")
	s.Description = r.text("description")
	s.Metadata = metadata(r)
	s.Discounts = discounts(r)
}

// collectionMethod was called billing until 2019.
func collectionMethod(r reader) string {
	if method := r.text("collection_method"); method != "" {
		return method
	}
	return r.text("billing")
}

// currency returns that of the items. It is a field of the subscription since 2022;
// before, all items of a subscription had the same one.
func currency(items []events.Item) string {
	for _, item := range items {
		if item.Currency != "" {
			return item.Currency
		}
	}
	return ""
}

// period is a field of the items only since 2025. It then returns what Stripe
// still renders in older versions: the latest start and the earliest end.
func period(r reader, items []events.Item) (start, end time.Time) {
	for _, item := range items {
		if item.CurrentPeriodStart.After(start) {
			start = item.CurrentPeriodStart
		}
		if e := item.CurrentPeriodEnd; !e.IsZero() && (end.IsZero() || e.Before(end)) {
			end = e
		}
	}
	return cmp.Or(r.moment("current_period_start"), start), cmp.Or(r.moment("current_period_end"), end)
}

func billingMode(r reader) *events.BillingMode {
	mode := r.child("billing_mode")
	b := events.BillingMode{Type: mode.text("type"), UpdatedAt: mode.moment("updated_at")}
	if flexible := mode.child("flexible"); flexible.exists() {
		b.Flexible = present(events.BillingModeFlexible{ProrationDiscounts: flexible.text("proration_discounts")})
	}
	return present(b)
}

func cancellationDetails(r reader) *events.CancellationDetails {
	details := r.child("cancellation_details")
	return present(events.CancellationDetails{
		Reason:           details.text("reason"),
		Feedback:         details.text("feedback"),
		FeedbackOptionID: details.reference("feedback_option"),
		Comment:          details.text("comment"),
	})
}

// pauseCollection is set if Stripe sets it, even if nothing in it can be read:
// its presence means that collection is paused.
func pauseCollection(r reader) *events.PauseCollection {
	pause := r.child("pause_collection")
	if !pause.exists() || pause.object.isEmpty() {
		return nil
	}
	return &events.PauseCollection{Behavior: pause.text("behavior"), ResumesAt: pause.moment("resumes_at")}
}

// pendingUpdate is set if Stripe sets it, like pauseCollection.
func pendingUpdate(r reader, billed string) *events.PendingUpdate {
	update := r.child("pending_update")
	if !update.exists() || update.object.isEmpty() {
		return nil
	}
	return &events.PendingUpdate{
		ExpiresAt:          update.moment("expires_at"),
		BillingCycleAnchor: update.moment("billing_cycle_anchor"),
		CancelAtPeriodEnd:  update.flag("cancel_at_period_end"),
		TrialEnd:           update.moment("trial_end"),
		TrialFromPlan:      update.flag("trial_from_plan"),
		Metadata:           metadata(update),
		Discounts:          discounts(update),
		SubscriptionItems:  itemList(update, "subscription_items", update.array("subscription_items"), billed),
	}
}

func billingThresholds(r reader) *events.BillingThresholds {
	thresholds := r.child("billing_thresholds")
	return present(events.BillingThresholds{
		AmountGTE:               thresholds.integer("amount_gte"),
		ResetBillingCycleAnchor: thresholds.flag("reset_billing_cycle_anchor"),
	})
}

func invoiceSettings(r reader) *events.InvoiceSettings {
	settings := r.child("invoice_settings")
	if !settings.exists() {
		return nil
	}
	issuer := settings.child("issuer")
	s := &events.InvoiceSettings{
		AccountTaxIDs: settings.references("account_tax_ids"),
		CustomFields:  customFields(settings),
		Description:   settings.text("description"),
		Footer:        settings.text("footer"),
		Issuer:        present(events.InvoiceIssuer{Type: issuer.text("type"), AccountID: issuer.reference("account")}),
	}
	if s.AccountTaxIDs == nil && s.CustomFields == nil && s.Description == "" && s.Footer == "" && s.Issuer == nil {
		return nil
	}
	return s
}

func customFields(r reader) []events.InvoiceCustomField {
	var list []events.InvoiceCustomField
	for i, v := range r.array("custom_fields").elements() {
		if f := r.element("custom_fields", i, v); f.exists() {
			list = append(list, events.InvoiceCustomField{Name: f.text("name"), Value: f.text("value")})
		}
	}
	return list
}

func transferData(r reader) *events.TransferData {
	data := r.child("transfer_data")
	return present(events.TransferData{
		DestinationID: data.reference("destination"),
		AmountPercent: data.percent("amount_percent"),
	})
}

func statusDetails(r reader) *events.StatusDetails {
	paused := r.child("status_details").child("paused")
	return present(events.StatusDetails{Paused: present(events.PausedDetails{
		Type:           paused.text("type"),
		TransitionedAt: paused.moment("transitioned_at"),
		Subscription:   present(events.PausedSubscription{Type: paused.child("subscription").text("type")}),
	})})
}

// present returns nil for a group in which nothing is set.
func present[T comparable](t T) *T {
	var zero T
	return optional(t, t != zero)
}

// metadata is an object of strings. PHP encodes an empty one as an array.
func metadata(r reader) map[string]string {
	v := r.get("metadata")
	if !v.exists() || v.isEmpty() {
		return nil
	}
	pairs := r.child("metadata")
	if !pairs.exists() {
		return nil
	}
	m := make(map[string]string, min(count(pairs.object), 50))
	for key, val := range pairs.object.members() {
		text, ok := val.text()
		if !ok {
			delete(m, key) // if a key is repeated, the last one counts
			if !val.isNull() {
				pairs.warn(shorten(key), "not a string")
			}
			continue
		}
		m[key] = text
	}
	if len(m) == 0 {
		return nil
	}
	return m
}
