package stripesim

import "slices"

// story is a sequence of steps that a subscription goes through. Old renderings cannot
// show some of them.
type story struct {
	steps []step
	needs func(shape) bool
}

type step func(*life)

func (s story) fits(by shape) bool { return s.needs == nil || s.needs(by) }

// stories returns what can happen to a subscription. Small changes come in between.
func stories() []story {
	return []story{
		{steps: []step{trial, trialWillEnd, trialEnds, renew}},
		{steps: []step{subscribe, pay, renew, renew, renew}},
		{steps: []step{subscribe, pay, changePlan, renew, changeInterval}},
		{steps: []step{subscribe, pay, changeQuantity, renew, changeQuantity}},
		{steps: []step{subscribe, pay, renewalFails, retryFails, recovers, renew}},
		{steps: []step{subscribe, pay, renewalFails, retryFails, becomeUnpaid}},
		{steps: []step{subscribe, pay, renewalFails, becomeUnpaid, recovers}},
		{steps: []step{subscribe, pay, renewalFails, retryFails, endUnpaid}},
		{steps: []step{subscribe, pay, cancelAtPeriodEnd, giveFeedback, endAsScheduled}},
		{steps: []step{subscribe, pay, cancelAtPeriodEnd, unschedule, renew}},
		{steps: []step{subscribe, pay, cancelAtDate, endAsScheduled}, needs: shape.modern},
		{steps: []step{subscribe, pay, cancelAtDate, moveDate, unschedule, renew}, needs: shape.modern},
		{steps: []step{subscribe, pay, renew, cancelNow}},
		{steps: []step{subscribe, pay, cancelAtPeriodEnd, cancelNow, changeAfterEnd}},
		{steps: []step{trial, cancelNow}},
		{steps: []step{trial, extendTrial, trialWillEnd, trialEnds}},
		{steps: []step{subscribe, abandon}},
		{steps: []step{subscribe, pay, changeMetadata, changeMetadata, changeMetadata}},
		{steps: []step{subscribe, pay, grantDiscount, renew, endDiscount}},
		{steps: []step{subscribe, pay, addItem, renew, removeItem}, needs: shape.modern},
		{steps: []step{subscribe, pay, pauseCollecting, resumeCollecting, renew}, needs: shape.modern},
		{steps: []step{subscribe, pay, pauseCollecting, cancelNow}, needs: shape.modern},
		{steps: []step{trialWithoutCard, trialWillEnd, trialPauses, trialResumes, renew}, needs: shape.pausesTrials},
		{steps: []step{trialWithoutCard, trialWillEnd, trialPauses, cancelNow}, needs: shape.pausesTrials},
	}
}

// play plays a story, beginning with the customer.
func (l *life) play(s story) {
	l.arrive()
	rush := -1
	if l.rushed {
		rush = len(s.steps) - 1 - int(min(l.rng.ExpFloat64(), float64(len(s.steps)-1)))
	}
	for i, next := range s.steps {
		next(l)
		l.frozen = i == rush
		if l.frozen {
			l.rush()
		} else if l.chance(0.3) {
			l.smallChange()
		}
	}
	l.frozen = false
}

// rush makes several changes in one second.
func (l *life) rush() {
	for n := 0; n < pick(l, 2, 3, 4, 5); {
		if l.smallChange() {
			n++
		}
	}
}

// smallChange makes a change that no story needs. It reports whether this rendering
// shows it.
func (l *life) smallChange() bool {
	before := len(l.deliveries)
	pick(l, l.smallChanges()...)(l)
	return len(l.deliveries) > before
}

// smallChanges returns the changes that are possible in the current state.
func (l *life) smallChanges() []step {
	if l.sub.ended() {
		return []step{changeAfterEnd}
	}
	steps := []step{changeMetadata, changeMetadata}
	if l.sub.status == "active" || l.sub.status == "trialing" {
		steps = append(steps, changeQuantity, changePlan, changeCard)
	}
	if l.sub.status == "active" && l.frozen && !l.sub.scheduled() {
		steps = append(steps, toggleSchedule)
	}
	if l.kind.has(TwoVersions) {
		steps = append(steps, describe, describe)
	}
	if l.kind.has(Announced) && l.sub.status == "trialing" && l.frozen {
		steps = append(steps, endTrialNow, endTrialNow)
	}
	return slices.Clip(steps)
}
