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
	ChangeTax                 Change = "tax_changed"
	ChangeTransfer            Change = "transfer_changed"
	ChangePendingUpdate       Change = "pending_update_changed"
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
	p := pairItems(comparableItems(b, a), comparableItems(a, b))
	w.statusChanges(b, a, p)
	w.itemChanges(b, a, p)
	w.cancellationChanges(b, a)
	w.paymentChanges(b, a)
	w.fieldChanges(b, a, p)
	if w == nil {
		return []Change{ChangeOther}
	}
	return w
}

func (w *words) statusChanges(b, a *Subscription, p pairs) {
	wasTrial, isTrial := b.Status == StatusTrialing, a.Status == StatusTrialing
	w.add(ChangeActivated, a.Status == StatusActive && (b.Status == StatusIncomplete || wasTrial))
	w.add(ChangeTrialStarted, isTrial && !wasTrial || p.any(func(b, a *Item) bool { return b.CurrentTrial == nil && a.CurrentTrial != nil }))
	w.add(ChangeTrialEnded, wasTrial && !isTrial || p.any(func(b, a *Item) bool { return b.CurrentTrial != nil && a.CurrentTrial == nil }))
	w.add(ChangeTrialChanged, wasTrial && isTrial && !a.TrialEnd.Equal(b.TrialEnd) || p.any(otherTrial))
}

// otherTrial reports whether an item stays on trial, but not on the same terms.
func otherTrial(b, a *Item) bool {
	return b.CurrentTrial != nil && a.CurrentTrial != nil && !equal(a.CurrentTrial, b.CurrentTrial)
}

func (w *words) itemChanges(b, a *Subscription, p pairs) {
	w.add(ChangeRenewed, renews(b.Status) && p.renewed(b, a))
	w.add(ChangePlan, p.any(func(b, a *Item) bool { return a.PriceID != b.PriceID }) || p.replaced())
	w.add(ChangeQuantity, p.any(func(b, a *Item) bool { return !equal(&a.Quantity, &b.Quantity) }))
	w.add(ChangeItems, len(p.added)+len(p.removed) > 0)
}

// renews reports whether a new period of a subscription with that status is its next
// one. After a trial, an incomplete start or a pause, it is the first.
func renews(status string) bool {
	return status != StatusTrialing && status != StatusIncomplete && status != StatusPaused
}

func (w *words) cancellationChanges(b, a *Subscription) {
	continues := !a.Terminal()
	wasScheduled, isScheduled := cancelScheduled(b), cancelScheduled(a)
	scheduled := continues && isScheduled && (!wasScheduled || !EndsAt(a).Equal(EndsAt(b)))
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

func (w *words) fieldChanges(b, a *Subscription, p pairs) {
	w.add(ChangeBillingCycle, !a.BillingCycleAnchor.Equal(b.BillingCycleAnchor))
	w.add(ChangeCollectionMethod, a.CollectionMethod != b.CollectionMethod)
	w.add(ChangeSchedule, a.ScheduleID != b.ScheduleID)
	w.add(ChangePaymentMethod, a.DefaultPaymentMethodID != b.DefaultPaymentMethodID || a.DefaultSourceID != b.DefaultSourceID)
	w.add(ChangeDiscount, !equal(&a.Discounts, &b.Discounts) || p.any(func(b, a *Item) bool { return !equal(&a.Discounts, &b.Discounts) }))
	w.add(ChangeTax, !equal(&a.DefaultTaxRates, &b.DefaultTaxRates) || p.any(func(b, a *Item) bool { return !equal(&a.TaxRates, &b.TaxRates) }))
	w.add(ChangeTransfer, otherTransfer(b, a))
	w.add(ChangePendingUpdate, !equal(&a.PendingUpdate, &b.PendingUpdate))
	w.add(ChangeMetadata, !equal(&a.Metadata, &b.Metadata))
	w.add(ChangeUser, a.UserID != b.UserID)
}

func becomes(status string, b, a *Subscription) bool { return a.Status == status && b.Status != status }

func otherTransfer(b, a *Subscription) bool {
	return a.OnBehalfOfID != b.OnBehalfOfID || a.ApplicationFeePercent != b.ApplicationFeePercent || !equal(&a.TransferData, &b.TransferData)
}

func cancelScheduled(s *Subscription) bool {
	return !s.CancelAt.IsZero() || s.CancelAtPeriodEnd != nil && *s.CancelAtPeriodEnd
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

// pairs are the same items before and after a change, and those without a counterpart.
type pairs struct {
	before, after  []*Item
	removed, added []*Item
}

// pairItems pairs items by id. Those that are left are paired by position if there are as
// many before as after, and one of the two has no id: in renderings without items, the
// item made from the plan has none.
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
		if a == nil || nameless(b) {
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
	return slices.EqualFunc(before, after, func(b, a Item) bool { return a.ID == b.ID })
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
	if len(before) != len(after) {
		p.removed, p.added = before, after
		return p
	}
	for i, b := range before {
		if a := after[i]; nameless(a) || nameless(b) {
			p.before, p.after = append(p.before, b), append(p.after, a)
		} else {
			p.removed, p.added = append(p.removed, b), append(p.added, a)
		}
	}
	return p
}

// replaced reports whether the plan is another one although no item has another price:
// all licensed items were replaced, by ones of other prices. If one stays, it is unknown
// which of them is the plan. Nothing is known of an item without id.
func (p pairs) replaced() bool {
	if slices.ContainsFunc(p.before, licensed) || slices.ContainsFunc(p.removed, nameless) || slices.ContainsFunc(p.added, nameless) {
		return false
	}
	removed, added := pricesOf(p.removed), pricesOf(p.added)
	return len(removed) > 0 && len(added) > 0 &&
		!slices.ContainsFunc(added, func(price string) bool { return slices.Contains(removed, price) })
}

func nameless(it *Item) bool { return it.ID == "" }

func licensed(it *Item) bool { return it.UsageType != "metered" }

// pricesOf returns the prices of the licensed items.
func pricesOf(items []*Item) []string {
	var prices []string
	for _, it := range items {
		if licensed(it) {
			prices = append(prices, it.PriceID)
		}
	}
	return prices
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
