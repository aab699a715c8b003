package stripesim

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// arrive creates the customer.
func (l *life) arrive() {
	n := l.rng.IntN(1_000_000)
	l.customer = customer{
		id: l.id("cus_", 14), created: l.now,
		email: fmt.Sprintf("customer-%06d@example.com", n),
		name:  pick(l, "Ada Example", "Jörg Müller", "Zoë O'Neill", "山田 花子", "Ana \"Ani\" <Sample>") + fmt.Sprintf(" %d", n),
	}
	l.sub = subscription{
		id: l.id("sub_1", 23), customer: l.customer.id, method: "charge_automatically", trialEndBehavior: "create_invoice",
		flexible: l.shape.flexible(),
		metadata: map[string]string{"plan_code": pick(l, "basic", "pro", "team")},
	}
	if base, _ := l.kind.parts(); base == TestClock {
		l.sub.testClock = l.id("clock_1", 24)
	}
	l.placeUserID()
	if l.first != nil {
		l.customer, l.sub.customer = l.first.customer, l.first.customer.id
		return
	}
	l.arrived = l.now
	c := l.customer
	l.emitAbout("customer.created", Object{
		Type: "customer", ID: c.id, Created: c.created, model: &c, Email: c.email, TestClock: l.sub.testClock,
	})
}

// placeUserID puts the user id where applications put it: into the metadata of the
// subscription, of the customer, of both, or of neither.
func (l *life) placeUserID() {
	place := pick(l, "subscription", "customer", "both", "")
	if !l.userIDs {
		place = ""
	}
	if place == "subscription" || place == "both" {
		l.sub.metadata["user_id"] = l.user
	}
	if place == "customer" || place == "both" {
		l.customer.metadata = map[string]string{"user_id": l.user}
	}
}

// initialize sets the fields of a new subscription.
func (l *life) initialize(status string) {
	l.wait(minute, hour)
	s := &l.sub
	s.status = status
	s.created, s.startDate, s.planStart, s.anchor = l.now, l.now, l.now, l.now
	s.periodStart, s.periodEnd = l.now, monthLater(l.now)
	s.items = []item{{id: l.id("si_", 14), price: l.price(), quantity: l.between(1, 5), created: l.now}}
	if l.shape.modern() && l.chance(0.2) {
		s.items = append(s.items, item{id: l.id("si_", 14), price: meteredPrice(), created: l.now})
	}
	l.addItems()
	if l.chance(0.2) {
		s.description = "Größe XL – \"special\" <order> & more"
	}
	if l.chance(0.1) {
		s.method, s.daysUntilDue = "send_invoice", 14
	}
}

// subscribe begins without a trial, and without a payment yet.
func subscribe(l *life) {
	l.initialize("incomplete")
	l.bill("subscription_create")
	l.begin(l.between(0, 6))
	l.emitInvoice("created")
	l.finalize()
}

// pay is the first payment.
func pay(l *life) {
	l.wait(5, 10*minute)
	l.sub.status = "active"
	l.sub.paymentMethod = l.id("pm_1", 23)
	l.update()
	l.settle()
	l.checkOut()
}

// abandon is what happens if the first payment does not come within a day.
func abandon(l *life) {
	l.until(l.sub.created + 23*hour)
	l.sub.status, l.sub.endedAt = "incomplete_expired", l.now
	l.update()
}

func trial(l *life) {
	l.startTrial("create_invoice")
	l.sub.paymentMethod = l.id("pm_1", 23)
	l.update()
}

func trialWithoutCard(l *life) { l.startTrial("pause") }

func (l *life) startTrial(behavior string) {
	l.initialize("trialing")
	s := &l.sub
	s.trialEndBehavior = behavior
	l.trialUntil(l.now + pick(l, 7*day, 14*day, 30*day))
	l.bill("subscription_create")
	l.due.amount = 0
	l.begin(l.between(0, 6))
	l.emitInvoice("created")
	l.finalize()
	l.settle()
	l.checkOut()
	l.wait(5, 30*minute)
}

func (l *life) trialUntil(end int64) {
	s := &l.sub
	s.trialStart, s.trialEnd = s.created, end
	s.periodEnd, s.anchor = end, end
}

func extendTrial(l *life) {
	l.wait(hour, day)
	l.trialUntil(l.sub.trialEnd + 7*day)
	l.update()
}

func trialWillEnd(l *life) {
	l.until(l.sub.trialEnd - 3*day)
	l.emit("trial_will_end")
}

func trialEnds(l *life) {
	l.until(l.sub.trialEnd)
	l.sub.status = "active"
	l.nextPeriod(l.sub.trialEnd)
	l.bill("subscription_cycle")
	l.update()
	l.emitInvoice("created")
	l.collect()
}

// trialPauses ends a trial without a payment method.
func trialPauses(l *life) {
	l.until(l.sub.trialEnd)
	l.sub.status = "paused"
	l.update()
	l.wait(3, 5)
	l.emit("paused")
}

func trialResumes(l *life) {
	l.wait(day, 20*day)
	s := &l.sub
	s.status, s.paymentMethod, s.anchor = "active", l.id("pm_1", 23), l.now
	l.nextPeriod(l.now)
	l.bill("subscription_cycle")
	l.update()
	l.emitInvoice("created")
	l.finalize()
	l.settle()
	l.wait(3, 5)
	l.emit("resumed")
}

func renew(l *life) {
	l.cycle()
	l.collect()
}

func renewalFails(l *life) {
	l.cycle()
	l.wait(hour, hour+minute)
	l.finalize()
	l.failPayment()
	l.sub.status = "past_due"
	l.update()
}

func retryFails(l *life) {
	l.wait(2*day, 3*day)
	l.failPayment()
}

func recovers(l *life) {
	l.wait(hour, 2*day)
	l.settle()
	l.sub.status = "active"
	l.update()
}

func becomeUnpaid(l *life) {
	l.wait(3*day, 5*day)
	l.failPayment()
	l.sub.status = "unpaid"
	l.update()
}

// endUnpaid is how Stripe ends a subscription after the last failed payment.
func endUnpaid(l *life) {
	l.wait(3*day, 5*day)
	l.failPayment()
	l.end(l.now, "payment_failed")
	l.emit("deleted")
}

func cancelNow(l *life) {
	l.wait(hour, 3*day)
	s := &l.sub
	s.atPeriodEnd, s.cancelAt = false, 0
	l.end(l.now, "cancellation_requested")
	l.emit("deleted")
}

func cancelAtPeriodEnd(l *life) {
	l.wait(hour, 3*day)
	l.schedule()
	l.update()
}

func (l *life) schedule() {
	s := &l.sub
	s.atPeriodEnd, s.cancelAt, s.canceledAt, s.reason = true, s.periodEnd, l.now, "cancellation_requested"
}

func (l *life) withdraw() {
	s := &l.sub
	s.atPeriodEnd, s.cancelAt, s.canceledAt, s.reason, s.feedback, s.comment = false, 0, 0, "", "", ""
}

func cancelAtDate(l *life) {
	l.wait(hour, 3*day)
	s := &l.sub
	s.cancelAt, s.canceledAt, s.reason = s.periodEnd-l.between(2, 10)*day, l.now, "cancellation_requested"
	l.update()
}

func moveDate(l *life) {
	l.wait(hour, day)
	l.sub.cancelAt += pick(l, -day, day)
	l.update()
}

func giveFeedback(l *life) {
	l.wait(5, minute)
	l.sub.feedback = pick(l, "too_expensive", "customer_service", "unused")
	l.sub.comment = pick(l, "", "Too many e-mails.\nToo few “features”.")
	l.update()
}

func unschedule(l *life) {
	l.wait(hour, day)
	l.withdraw()
	l.update()
}

// toggleSchedule schedules a cancellation and withdraws it at once.
func toggleSchedule(l *life) {
	l.schedule()
	l.update()
	l.wait(3, 10)
	l.withdraw()
	l.update()
}

func endAsScheduled(l *life) {
	end := l.sub.periodEnd
	if l.sub.cancelAt != 0 {
		end = l.sub.cancelAt
	}
	l.until(end)
	l.end(end, l.sub.reason)
	l.emit("deleted")
}

// end keeps the time at which the cancellation was requested, if it was requested.
func (l *life) end(at int64, reason string) {
	s := &l.sub
	s.status, s.endedAt, s.reason = "canceled", at, reason
	if s.canceledAt == 0 {
		s.canceledAt = at
	}
}

// changeAfterEnd changes what can change after the end.
func changeAfterEnd(l *life) {
	l.wait(minute, hour)
	if l.chance(0.3) {
		l.sub.comment = l.id("Reason ", 6)
		if l.update() {
			return
		}
	}
	l.sub.metadata = withPair(l.sub.metadata, "archived_by", l.id("user_", 6))
	l.update()
}

func changePlan(l *life) {
	l.wait(hour, day)
	l.replacePrice(l.otherPrice(), l.now)
	l.update()
}

// changeInterval changes to a yearly price, which begins a new period at once.
func changeInterval(l *life) {
	l.wait(hour, day)
	l.sub.anchor = l.now
	l.sub.periodStart, l.sub.periodEnd = l.now, yearLater(l.now)
	l.sub.items = l.sub.items[:1] // the metered item is monthly
	l.replacePrice(l.yearlyPrice(), l.now)
	l.bill("subscription_update")
	l.update()
	l.emitInvoice("created")
	l.finalize()
	l.settle()
}

func (l *life) replacePrice(p price, now int64) {
	l.sub.items = slices.Clone(l.sub.items)
	l.sub.items[0].price, l.sub.planStart = p, now
}

func changeQuantity(l *life) {
	l.wait(hour, day)
	l.sub.items = slices.Clone(l.sub.items)
	first := &l.sub.items[0]
	if first.quantity > 1 && l.chance(0.4) {
		first.quantity--
	} else {
		first.quantity++
	}
	l.update()
}

func addItem(l *life) {
	l.wait(hour, day)
	add := item{id: l.id("si_", 14), price: l.addOn(), quantity: l.between(1, 3), created: l.now}
	l.sub.items = append(slices.Clone(l.sub.items), add)
	l.update()
}

func removeItem(l *life) {
	l.wait(hour, day)
	l.sub.items = slices.Clone(l.sub.items[:len(l.sub.items)-1])
	l.update()
}

func changeCard(l *life) {
	l.wait(minute, hour)
	l.sub.paymentMethod = l.id("pm_1", 23)
	l.update()
}

// changeMetadata sets, changes or removes a pair. There are few values, so earlier states
// come back.
func changeMetadata(l *life) {
	l.wait(minute, day)
	key := pick(l, "team", "note", "seats")
	value := pick(l, "", "blue", "grün", "line\nbreak \"quoted\" <b> & 😀")
	if l.sub.metadata[key] == value {
		value += "2"
	}
	if value == "" {
		l.sub.metadata = maps.Clone(l.sub.metadata)
		delete(l.sub.metadata, key)
	} else {
		l.sub.metadata = withPair(l.sub.metadata, key, value)
	}
	l.update()
}

func withPair(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	m[key] = value
	return m
}

func grantDiscount(l *life) {
	l.wait(hour, day)
	d := discount{id: l.id("di_1", 23), coupon: pick(l, "WELCOME", "FRIENDS"), name: "Welcome", start: l.now}
	if l.chance(0.5) {
		d.percentOff = pick(l, "25", "12.5")
	} else {
		d.amountOff = 500
	}
	if l.chance(0.5) {
		d.end = l.now + 92*day
	}
	if l.chance(0.3) {
		d.promotionCode = l.id("promo_1", 23)
	}
	l.sub.discount = &d
	l.update()
}

func endDiscount(l *life) {
	l.wait(hour, day)
	l.sub.discount = nil
	l.update()
}

func pauseCollecting(l *life) {
	l.wait(hour, day)
	l.sub.pause = &pause{behavior: pick(l, "keep_as_draft", "mark_uncollectible", "void")}
	if l.chance(0.5) {
		l.sub.pause.resumesAt = l.now + 10*day
	}
	l.update()
}

func resumeCollecting(l *life) {
	l.wait(day, 5*day)
	l.sub.pause = nil
	l.update()
}

// cycle begins the next period and drafts its invoice.
func (l *life) cycle() {
	l.until(l.sub.periodEnd)
	l.nextPeriod(l.sub.periodEnd)
	l.bill("subscription_cycle")
	l.update()
	l.emitInvoice("created")
}

func (l *life) nextPeriod(start int64) {
	l.sub.periodStart, l.sub.periodEnd = start, monthLater(start)
}

func monthLater(t int64) int64 { return time.Unix(t, 0).UTC().AddDate(0, 1, 0).Unix() }

func yearLater(t int64) int64 { return time.Unix(t, 0).UTC().AddDate(1, 0, 0).Unix() }

// bill drafts an invoice.
func (l *life) bill(reason string) {
	l.due = &invoice{
		id: l.id("in_1", 23), number: l.id("", 8) + fmt.Sprintf("-%04d", l.between(1, 9)), status: "draft", reason: reason,
		created: l.now, periodStart: l.sub.periodStart, periodEnd: l.sub.periodEnd, lines: l.sub.items, amount: l.sub.amount(),
	}
	l.sub.latestInvoice = l.due.id
}

func (l *life) emitInvoice(word string) {
	inv, m, c := *l.due, l.sub, l.customer
	l.emitAbout("invoice."+word, Object{
		Type: "invoice", ID: inv.id, Created: inv.created, model: &subscriptionInvoice{inv, &m, &c},
		Status: inv.status, Customer: m.customer, Subscription: m.id,
	})
}

// collect finalizes the invoice after an hour, as Stripe does, and pays it.
func (l *life) collect() {
	l.wait(hour, hour+minute)
	l.finalize()
	l.settle()
}

func (l *life) finalize() {
	l.due.status, l.due.finalizedAt = "open", l.now
	l.emitInvoice("finalized")
}

func (l *life) settle() {
	inv := l.due
	inv.status, inv.paidAt, inv.nextAttempt = "paid", l.now, 0
	inv.attempts++
	l.emitInvoice("paid")
}

func (l *life) failPayment() {
	l.due.attempts++
	l.due.nextAttempt = l.now + 3*day
	l.emitInvoice("payment_failed")
}

// checkOut completes a Checkout session, for about half of the subscriptions. Its event
// comes after the subscription's.
func (l *life) checkOut() {
	if !l.shape.modern() || l.chance(0.5) {
		return
	}
	prefix := "cs_test_"
	if l.livemode {
		prefix = "cs_live_"
	}
	m, c := l.sub, l.customer
	s := &session{l.id(prefix, 58), l.user, &m, &c}
	l.emitAbout("checkout.session.completed", Object{
		Type: "checkout.session", ID: s.id, Created: c.created, model: s, Status: "complete", Customer: c.id, Subscription: m.id,
	})
}
