package stripesim

import (
	"fmt"
	"slices"
)

// takeTraits prepares what the traits of a kind need.
func (l *life) takeTraits(able []shape) {
	if l.kind.has(TwoVersions) {
		others := slices.DeleteFunc(slices.Clone(able), func(s shape) bool { return s.version == l.shape.version })
		if len(others) > 0 {
			l.versions = []shape{l.shape, pick(l, others...)}
		}
	}
	if l.kind.has(Truncated) {
		l.shape.listed = 10
		for i := range l.versions {
			l.versions[i].listed = 10
		}
	}
}

// addItems makes twelve items of a new subscription.
func (l *life) addItems() {
	if !l.kind.has(Truncated) {
		return
	}
	for i := len(l.sub.items); i < 12; i++ {
		p := l.addOn()
		p.id = fmt.Sprintf("%s_%d", p.id, i)
		l.sub.items = append(l.sub.items, item{id: l.id("si_", 14), price: p, quantity: 1, created: l.now})
	}
}

// beforeChange adds what competes with the next change.
func (l *life) beforeChange() {
	if len(l.versions) > 0 {
		l.shape = pick(l, l.versions...)
	}
	if l.frozen && l.kind.has(Announced) && l.chance(0.5) && l.was.id != "" {
		l.announce()
	}
	if l.frozen && l.kind.has(StaleSnapshot) && l.chance(0.5) && l.was.id != "" {
		l.addSnapshot(&l.was, "")
	}
}

// announce adds an event that shows the subscription before a change, or half way through
// it.
func (l *life) announce() {
	shown := l.was
	if l.chance(0.5) {
		shown.metadata, shown.trialEnd, shown.items = l.sub.metadata, l.sub.trialEnd, l.sub.items
	}
	word := pick(l, "trial_will_end", "pending_update_applied", "pending_update_expired")
	data := object{"object": l.shape.subscription(&shown, l.livemode)}
	l.deliver(l.id("evt_1", 23), subscriptionType+word, l.now+l.between(0, 2), data)
	l.tell(&shown, nil)
}

// lateness is by how much a stamp is late.
func (l *life) lateness() int64 {
	if !l.frozen || !l.kind.has(Late) {
		return 0
	}
	return pick(l, 0, 0, l.between(1, 12))
}

// afterChange adds a snapshot that was read because of the last event.
func (l *life) afterChange() {
	if l.frozen && l.kind.has(StaleSnapshot) && l.chance(0.3) {
		l.addSnapshot(&l.sub, l.lastID)
	}
}

// finish reads the items that the events do not list.
func (l *life) finish() {
	if l.kind.has(Truncated) {
		l.now += l.between(0, 1)
		last := l.lastID
		l.readFromAPI()
		l.deliveries[len(l.deliveries)-1].Because = last
	}
}

// describe changes what only newer renderings show.
func describe(l *life) {
	l.sub.description = pick(l, "", "Pro", "Team")
	l.update()
}

// endTrialNow changes several fields at once.
func endTrialNow(l *life) {
	l.sub.status, l.sub.trialEnd = "active", l.now
	l.nextPeriod(l.now)
	l.sub.latestInvoice = l.id("in_1", 23)
	l.update()
}
