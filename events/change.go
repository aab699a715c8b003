package events

import (
	"slices"
	"time"
)

// Change is a word for something that happened to a subscription. A reader must accept
// words that it does not know: later releases may add some.
type Change string

// What can happen to a subscription. None of these words means that a payment was made:
// that is the event invoice.paid.
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

// Changes returns the words for what happened to a subscription by an event of a Stripe
// type, in the order of the constants. Only an updated event needs before. Types other
// than created, updated and deleted have no words, since Stripe sends an updated event
// with them.
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

// words collects the words that apply.
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
	p := pairItems(comparableItems(b, a), comparableItems(a, b))
	paying := b.Status != StatusTrialing && b.Status != StatusIncomplete
	w.add(ChangeRenewed, paying && p.renewed(b, a))
	w.add(ChangePlan, p.any(func(b, a *Item) bool { return a.PriceID != b.PriceID }))
	w.add(ChangeQuantity, p.any(func(b, a *Item) bool { return !equal(&a.Quantity, &b.Quantity) }))
	w.add(ChangeItems, p.unpaired)
}

func (w *words) cancellationChanges(b, a *Subscription) {
	continues := !a.Terminal()
	wasScheduled, isScheduled := cancelScheduled(b), cancelScheduled(a)
	scheduled := continues && isScheduled && (!wasScheduled || cancelMoved(b, a))
	unscheduled := continues && wasScheduled && !isScheduled
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

// cancelMoved reports whether the cancellation is scheduled for another date. A
// different cancel_at is not enough: cancel_at_period_end alone can mean the same date.
func cancelMoved(b, a *Subscription) bool {
	return !a.CancelAt.Equal(b.CancelAt) && !cancelMoment(a).Equal(cancelMoment(b))
}

// cancelMoment returns the date for which a cancellation is scheduled. Older renderings
// of a cancellation at the period's end have no cancel_at.
func cancelMoment(s *Subscription) time.Time {
	if s.CancelAt.IsZero() && atPeriodEnd(s) {
		return s.CurrentPeriodEnd
	}
	return s.CancelAt
}

// comparableItems returns the items of s. If other lists only some of its items, those
// that it lacks are left out: they may only be cut off there.
func comparableItems(s, other *Subscription) []Item {
	if !other.ItemsTruncated {
		return s.Items
	}
	return slices.DeleteFunc(slices.Clone(s.Items), func(item Item) bool {
		return !slices.ContainsFunc(other.Items, func(o Item) bool { return o.ID == item.ID })
	})
}

// pairs are the same items before and after a change.
type pairs struct {
	before, after []*Item
	unpaired      bool // some items have no counterpart
}

// pairItems pairs items by id, and the rest by position if there are as many before as
// after. In renderings without items, the item made from the plan has no id.
func pairItems(before, after []Item) pairs {
	if sameOrder(before, after) {
		return pairs{before: pointers(before), after: pointers(after)}
	}
	byID := make(map[string]*Item, len(after))
	for _, a := range pointers(after) {
		byID[a.ID] = a
	}
	var p pairs
	var rest []*Item
	for _, b := range pointers(before) {
		a := byID[b.ID]
		if a == nil || b.ID == "" {
			rest = append(rest, b)
			continue
		}
		p.before, p.after = append(p.before, b), append(p.after, a)
		delete(byID, b.ID)
	}
	return p.byPosition(rest, p.rest(after))
}

// sameOrder reports whether items can be paired by position. They nearly always can, and
// it is cheap.
func sameOrder(before, after []Item) bool {
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

func (p pairs) rest(after []Item) []*Item {
	taken := make(map[*Item]bool, len(p.after))
	for _, a := range p.after {
		taken[a] = true
	}
	return slices.DeleteFunc(pointers(after), func(a *Item) bool { return taken[a] })
}

func (p pairs) byPosition(before, after []*Item) pairs {
	if p.unpaired = len(before) != len(after); !p.unpaired {
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

// renewed reports whether a new period has begun: the period of an item, or of the
// subscription if items have none.
func (p pairs) renewed(b, a *Subscription) bool {
	known := false
	begun := p.any(func(b, a *Item) bool {
		known = known || !a.CurrentPeriodStart.IsZero() && !b.CurrentPeriodEnd.IsZero()
		return begins(a.CurrentPeriodStart, b.CurrentPeriodStart, b.CurrentPeriodEnd)
	})
	return begun || !known && begins(a.CurrentPeriodStart, b.CurrentPeriodStart, b.CurrentPeriodEnd)
}

// begins reports whether a period comes after the old one.
func begins(start, oldStart, oldEnd time.Time) bool {
	return !start.IsZero() && !oldEnd.IsZero() && !start.Before(oldEnd) && !start.Equal(oldStart)
}
