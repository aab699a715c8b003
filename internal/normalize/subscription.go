package normalize

import (
	"time"

	"github.com/billbus/billbus/events"
)

// subscription reads a subscription object, whichever version rendered it. It
// is a function of the object and of the event's account and mode, so that the
// state before an update can be read in the same way.
func (n *Normalizer) subscription(obj value, env envelope, sink *sink) *events.Subscription {
	r := sink.reader(obj, "")
	s := &events.Subscription{
		ID:                     r.text("id"),
		CustomerID:             r.reference("customer"),
		AccountID:              env.account,
		Livemode:               env.livemode,
		Status:                 r.text("status"),
		CollectionMethod:       collectionMethod(r),
		Created:                r.moment("created"),
		StartDate:              r.moment("start_date"),
		BillingCycleAnchor:     r.moment("billing_cycle_anchor"),
		BillingMode:            billingMode(r),
		TrialStart:             r.moment("trial_start"),
		TrialEnd:               r.moment("trial_end"),
		TrialEndBehavior:       trialEndBehavior(r),
		CancelAt:               r.moment("cancel_at"),
		CancelAtPeriodEnd:      r.flag("cancel_at_period_end"),
		CanceledAt:             r.moment("canceled_at"),
		EndedAt:                r.moment("ended_at"),
		CancellationDetails:    cancellationDetails(r),
		PauseCollection:        pauseCollection(r),
		StatusDetails:          statusDetails(r),
		DefaultPaymentMethodID: r.reference("default_payment_method"),
		DefaultSourceID:        r.reference("default_source"),
		LatestInvoiceID:        r.reference("latest_invoice"),
		ScheduleID:             r.reference("schedule"),
		PendingUpdate:          pendingUpdate(r),
		TestClockID:            r.reference("test_clock"),
		DaysUntilDue:           r.integer("days_until_due"),
		Description:            r.text("description"),
		Metadata:               metadata(r),
		Discounts:              discounts(r),
	}
	s.Items, s.ItemsTruncated = items(r)
	s.Currency = currency(r, s.Items)
	s.CurrentPeriodStart, s.CurrentPeriodEnd = period(r, s.Items)
	s.UserID = n.userID(s.Metadata)
	s.Access = events.Access(s.Status)
	s.EndsAt = events.EndsAt(s)
	return s
}

// collectionMethod was called billing until 2019.
func collectionMethod(r reader) string {
	if method := r.text("collection_method"); method != "" {
		return method
	}
	return r.text("billing")
}

// currency stands on the subscription since 2022. All items of a subscription
// have the same.
func currency(r reader, items []events.Item) string {
	if c := r.text("currency"); c != "" {
		return c
	}
	for _, item := range items {
		if item.Currency != "" {
			return item.Currency
		}
	}
	return ""
}

// period stands on the items alone since 2025. What is read then is what Stripe
// itself renders in older versions: the latest start and the earliest end.
func period(r reader, items []events.Item) (start, end time.Time) {
	start, end = r.moment("current_period_start"), r.moment("current_period_end")
	return orMoment(start, latestStart(items)), orMoment(end, earliestEnd(items))
}

func orMoment(t, other time.Time) time.Time {
	if t.IsZero() {
		return other
	}
	return t
}

func latestStart(items []events.Item) time.Time {
	var latest time.Time
	for _, item := range items {
		if item.CurrentPeriodStart.After(latest) {
			latest = item.CurrentPeriodStart
		}
	}
	return latest
}

func earliestEnd(items []events.Item) time.Time {
	var earliest time.Time
	for _, item := range items {
		end := item.CurrentPeriodEnd
		if !end.IsZero() && (earliest.IsZero() || end.Before(earliest)) {
			earliest = end
		}
	}
	return earliest
}

func trialEndBehavior(r reader) string {
	settings, _ := r.child("trial_settings")
	behavior, _ := settings.child("end_behavior")
	return behavior.text("missing_payment_method")
}

func billingMode(r reader) *events.BillingMode {
	mode, _ := r.child("billing_mode")
	b := events.BillingMode{Type: mode.text("type"), UpdatedAt: mode.moment("updated_at")}
	if flexible, ok := mode.child("flexible"); ok {
		b.Flexible = present(events.BillingModeFlexible{ProrationDiscounts: flexible.text("proration_discounts")})
	}
	return present(b)
}

func cancellationDetails(r reader) *events.CancellationDetails {
	details, _ := r.child("cancellation_details")
	return present(events.CancellationDetails{
		Reason:   details.text("reason"),
		Feedback: details.text("feedback"),
		Comment:  details.text("comment"),
	})
}

// pauseCollection is set wherever Stripe sets it, even if nothing in it can be
// read: its presence is what says that nothing is collected.
func pauseCollection(r reader) *events.PauseCollection {
	pause, ok := r.child("pause_collection")
	if !ok || pause.object.isEmpty() {
		return nil
	}
	return &events.PauseCollection{Behavior: pause.text("behavior"), ResumesAt: pause.moment("resumes_at")}
}

// pendingUpdate is set wherever Stripe sets it, like pauseCollection.
func pendingUpdate(r reader) *events.PendingUpdate {
	update, ok := r.child("pending_update")
	if !ok || update.object.isEmpty() {
		return nil
	}
	return &events.PendingUpdate{ExpiresAt: update.moment("expires_at")}
}

func statusDetails(r reader) *events.StatusDetails {
	details, _ := r.child("status_details")
	paused, _ := details.child("paused")
	sub, _ := paused.child("subscription")
	return present(events.StatusDetails{Paused: present(events.PausedDetails{
		Type:           paused.text("type"),
		TransitionedAt: paused.moment("transitioned_at"),
		Subscription:   present(events.PausedSubscription{Type: sub.text("type")}),
	})})
}

// present is nil for a group of which nothing is set.
func present[T comparable](t T) *T {
	var zero T
	if t == zero {
		return nil
	}
	return new(t) // not &t, which would allocate in the other case too
}

// metadata is an object of strings; PHP writes an empty one as an array.
func metadata(r reader) map[string]string {
	if r.get("metadata").isEmpty() {
		return nil
	}
	pairs, ok := r.child("metadata")
	if !ok {
		return nil
	}
	m := make(map[string]string, min(count(pairs.object), 50))
	for key, val := range r.get("metadata").members() {
		text, ok := val.text()
		if !ok {
			delete(m, key) // the last of several counts, as everywhere
			if !val.isNull() {
				pairs.fault(shorten(key), "not a string")
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
