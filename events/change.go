package events

import (
	"reflect"
	"slices"
	"time"
)

// Change is one word for what happened to a subscription. A consumer must bear
// words that it does not know: later releases may add some.
type Change string

// What can happen to a subscription. None of these words means that money
// moved: that is the event invoice.paid.
const (
	ChangeActivated           Change = "activated"
	ChangeTrialStarted        Change = "trial_started"
	ChangeTrialEnded          Change = "trial_ended"
	ChangeTrialChanged        Change = "trial_changed"
	ChangeRenewed             Change = "renewed"
	ChangePlan                Change = "plan_changed"
	ChangeQuantity            Change = "quantity_changed"
	ChangeItems               Change = "items_changed"
	ChangeCancelScheduled     Change = "cancel_scheduled"
	ChangeCancelUnscheduled   Change = "cancel_unscheduled"
	ChangeCancellationDetails Change = "cancellation_details_changed"
	ChangeCanceled            Change = "canceled"
	ChangeExpired             Change = "expired"
	ChangePastDue             Change = "past_due"
	ChangeUnpaid              Change = "unpaid"
	ChangeRecovered           Change = "recovered"
	ChangePaused              Change = "paused"
	ChangeResumed             Change = "resumed"
	ChangeCollectionPaused    Change = "collection_paused"
	ChangeCollectionResumed   Change = "collection_resumed"
	ChangeBillingCycle        Change = "billing_cycle_changed"
	ChangeCollectionMethod    Change = "collection_method_changed"
	ChangeSchedule            Change = "schedule_changed"
	ChangePaymentMethod       Change = "payment_method_changed"
	ChangeDiscount            Change = "discount_changed"
	ChangeMetadata            Change = "metadata_changed"
	ChangeUser                Change = "user_changed"
	ChangeOther               Change = "other"
)

// Changes returns the words for what an event of a type says happened to a
// subscription, in the order of the constants. before is needed on updated
// events only. On every type but created, updated and deleted there are none,
// since Stripe sends an updated event beside it.
func Changes(stripeType string, before, after *Subscription) []Change {
	switch stripeType {
	case StripeTypeCreated:
		return createdChanges(after)
	case StripeTypeDeleted:
		if after.Status == StatusIncompleteExpired {
			return []Change{ChangeExpired}
		}
		return []Change{ChangeCanceled}
	case StripeTypeUpdated:
		return updatedChanges(before, after)
	}
	return nil
}

func createdChanges(after *Subscription) []Change {
	switch after.Status {
	case StatusActive:
		return []Change{ChangeActivated}
	case StatusTrialing:
		return []Change{ChangeTrialStarted}
	}
	return nil
}

// words collects the words that hold.
type words []Change

func (w *words) add(word Change, holds bool) {
	if holds {
		*w = append(*w, word)
	}
}

func updatedChanges(b, a *Subscription) []Change {
	var w words
	w.statusChanges(b, a)
	w.itemChanges(b, a)
	w.cancellationChanges(b, a)
	w.paymentChanges(b, a)
	w.fieldChanges(b, a)
	if w == nil {
		return []Change{ChangeOther}
	}
	return w
}

func (w *words) statusChanges(b, a *Subscription) {
	wasTrial, isTrial := b.Status == StatusTrialing, a.Status == StatusTrialing
	w.add(ChangeActivated, a.Status == StatusActive && (b.Status == StatusIncomplete || wasTrial))
	w.add(ChangeTrialStarted, isTrial && !wasTrial)
	w.add(ChangeTrialEnded, wasTrial && !isTrial)
	w.add(ChangeTrialChanged, wasTrial && isTrial && !a.TrialEnd.Equal(b.TrialEnd))
}

func (w *words) itemChanges(b, a *Subscription) {
	p := pairItems(b.Items, a.Items)
	paying := b.Status != StatusTrialing && b.Status != StatusIncomplete
	w.add(ChangeRenewed, paying && p.renewed(b, a))
	w.add(ChangePlan, p.any(func(b, a *Item) bool { return a.PriceID != b.PriceID }))
	w.add(ChangeQuantity, p.any(func(b, a *Item) bool { return !equal(&a.Quantity, &b.Quantity) }))
	w.add(ChangeItems, p.left)
}

func (w *words) cancellationChanges(b, a *Subscription) {
	goesOn := !a.Terminal()
	wasScheduled, isScheduled := cancelScheduled(b), cancelScheduled(a)
	scheduled := goesOn && isScheduled && (!wasScheduled || cancelMoved(b, a))
	unscheduled := goesOn && wasScheduled && !isScheduled
	canceled := becomes(StatusCanceled, b, a)
	w.add(ChangeCancelScheduled, scheduled)
	w.add(ChangeCancelUnscheduled, unscheduled)
	differ := !equal(&a.CancellationDetails, &b.CancellationDetails)
	w.add(ChangeCancellationDetails, differ && !scheduled && !unscheduled && !canceled)
	w.add(ChangeCanceled, canceled)
	w.add(ChangeExpired, becomes(StatusIncompleteExpired, b, a))
}

func (w *words) paymentChanges(b, a *Subscription) {
	overdue := b.Status == StatusPastDue || b.Status == StatusUnpaid
	w.add(ChangePastDue, becomes(StatusPastDue, b, a))
	w.add(ChangeUnpaid, becomes(StatusUnpaid, b, a))
	w.add(ChangeRecovered, overdue && Access(a.Status) == AccessGranted)
	w.add(ChangePaused, becomes(StatusPaused, b, a))
	w.add(ChangeResumed, becomes(StatusPaused, a, b) && !a.Terminal())
	altered := !equal(&a.PauseCollection, &b.PauseCollection)
	w.add(ChangeCollectionPaused, altered && a.PauseCollection != nil)
	w.add(ChangeCollectionResumed, altered && a.PauseCollection == nil)
}

func (w *words) fieldChanges(b, a *Subscription) {
	w.add(ChangeBillingCycle, !a.BillingCycleAnchor.Equal(b.BillingCycleAnchor))
	w.add(ChangeCollectionMethod, a.CollectionMethod != b.CollectionMethod)
	w.add(ChangeSchedule, a.ScheduleID != b.ScheduleID)
	w.add(ChangePaymentMethod, a.DefaultPaymentMethodID != b.DefaultPaymentMethodID || a.DefaultSourceID != b.DefaultSourceID)
	w.add(ChangeDiscount, !equal(&a.Discounts, &b.Discounts))
	w.add(ChangeMetadata, !equal(&a.Metadata, &b.Metadata))
	w.add(ChangeUser, a.UserID != b.UserID)
}

func becomes(status string, b, a *Subscription) bool { return a.Status == status && b.Status != status }

func cancelScheduled(s *Subscription) bool { return !s.CancelAt.IsZero() || atPeriodEnd(s) }

func atPeriodEnd(s *Subscription) bool { return s.CancelAtPeriodEnd != nil && *s.CancelAtPeriodEnd }

// cancelMoved reports whether cancel_at is another one, and the date with it: the
// same date may be told by cancel_at_period_end alone.
func cancelMoved(b, a *Subscription) bool {
	return !a.CancelAt.Equal(b.CancelAt) && !cancelMoment(a).Equal(cancelMoment(b))
}

// cancelMoment is the date for which a cancellation is scheduled. Older
// renderings of a cancellation at the period's end have no cancel_at.
func cancelMoment(s *Subscription) time.Time {
	if s.CancelAt.IsZero() && atPeriodEnd(s) {
		return s.CurrentPeriodEnd
	}
	return s.CancelAt
}

// equal compares values of one type of the contract.
func equal[T any](a, b *T) bool { return same(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()) }

// pairs are items before and after that are the same item, and whether some
// have no counterpart.
type pairs struct {
	before, after []*Item
	left          bool
}

// pairItems pairs items by id, and what is left over by position if equally
// many are left: a plan has no id in renderings without items.
func pairItems(before, after []Item) pairs {
	if samePlaces(before, after) {
		return pairs{before: pointers(before), after: pointers(after)}
	}
	byID := make(map[string]*Item, len(after))
	for _, a := range pointers(after) {
		byID[a.ID] = a
	}
	var p pairs
	var left []*Item
	for _, b := range pointers(before) {
		a := byID[b.ID]
		if a == nil || b.ID == "" {
			left = append(left, b)
			continue
		}
		p.before, p.after = append(p.before, b), append(p.after, a)
		delete(byID, b.ID)
	}
	return p.byPlace(left, p.unpaired(after))
}

// samePlaces is how it nearly always is, and what is cheap.
func samePlaces(before, after []Item) bool {
	return len(before) == len(after) &&
		(len(before) < 2 || slices.EqualFunc(before, after, func(b, a Item) bool { return a.ID == b.ID }))
}

func pointers(items []Item) []*Item {
	list := make([]*Item, len(items))
	for i := range items {
		list[i] = &items[i]
	}
	return list
}

func (p pairs) unpaired(after []Item) []*Item {
	taken := make(map[*Item]bool, len(p.after))
	for _, a := range p.after {
		taken[a] = true
	}
	return slices.DeleteFunc(pointers(after), func(a *Item) bool { return taken[a] })
}

func (p pairs) byPlace(before, after []*Item) pairs {
	if p.left = len(before) != len(after); !p.left {
		p.before, p.after = append(p.before, before...), append(p.after, after...)
	}
	return p
}

func (p pairs) any(holds func(b, a *Item) bool) bool {
	for i := range p.before {
		if holds(p.before[i], p.after[i]) {
			return true
		}
	}
	return false
}

// renewed reports whether a new period has begun: that of an item, or the
// subscription's where items have none.
func (p pairs) renewed(b, a *Subscription) bool {
	known := false
	begun := p.any(func(b, a *Item) bool {
		known = known || !a.CurrentPeriodStart.IsZero() && !b.CurrentPeriodEnd.IsZero()
		return begins(a.CurrentPeriodStart, b.CurrentPeriodStart, b.CurrentPeriodEnd)
	})
	return begun || !known && begins(a.CurrentPeriodStart, b.CurrentPeriodStart, b.CurrentPeriodEnd)
}

// begins reports whether a period is another than the one before, and not a part
// of it.
func begins(start, oldStart, oldEnd time.Time) bool {
	return !start.IsZero() && !oldEnd.IsZero() && !start.Before(oldEnd) && !start.Equal(oldStart)
}
