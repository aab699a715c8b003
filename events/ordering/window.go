package ordering

import (
	"cmp"
	"slices"
	"time"
)

const (
	// window is how far apart events can be whose stamps do not order them.
	window = 2 * time.Second
	// horizon is how far apart events can be that states order if stamps do not. Stamps
	// that are 30 s late, in whole seconds, are within it.
	horizon = 31 * time.Second
	// maxRelevant bounds the size of a record. It is far more than Stripe sends about one
	// subscription within the horizon.
	maxRelevant = 1000
)

// relevantTo returns the facts that a verdict, now or later, can depend on: those
// within the horizon, and those of the last second before it, which can say where the
// changes began. A fact that is left out would be left out as well if more events
// were known.
//
// The event that created the subscription is older than all others, whatever its
// stamp. So it matters only while no event is known from before the horizon.
func relevantTo(facts []Fact) []Fact {
	created, kept := splitCreated(distinctByID(terminalOnly(facts)))
	if len(kept) == 0 {
		return created
	}
	kept = latest(kept, maxRelevant)
	if before := notAfter(kept, newest(kept).Add(-horizon)); len(before) > 0 {
		kept = after(kept, newest(before).Add(-time.Second))
	} else if len(kept) < maxRelevant {
		kept = append(kept, created...)
	}
	return distinctByID(kept)
}

// latest returns the n facts with the latest moments, of one moment those with the
// greatest ids.
func latest(facts []Fact, n int) []Fact {
	if len(facts) <= n {
		return facts
	}
	return sorted(facts, func(a, b Fact) int { return cmp.Or(compareMoments(b, a), compareIDs(b, a)) })[:n]
}

// splitCreated parts the events that created the subscription from the others.
// There should be one; of several, those of the latest moment count.
func splitCreated(facts []Fact) (created, others []Fact) {
	created = filter(facts, func(f Fact) bool { return f.First })
	if len(created) > 0 {
		last := newest(created)
		created = filter(created, func(f Fact) bool { return f.Moment.Equal(last) })
	}
	return created, filter(facts, func(f Fact) bool { return !f.First })
}

// createdFirst moves the event that created the subscription to the earliest moment
// of the others if its stamp is later. Stripe stamps it up to some seconds late, and
// renderings from before subscriptions had items do not say when it was created.
func createdFirst(facts []Fact) []Fact {
	others := filter(facts, func(f Fact) bool { return !f.First })
	if len(others) == 0 {
		return facts
	}
	earliest := slices.MinFunc(others, compareMoments).Moment
	facts = slices.Clone(facts)
	for i := range facts {
		if facts[i].First && facts[i].Moment.After(earliest) {
			facts[i].Moment = earliest
		}
	}
	return facts
}

// distinctByID keeps one fact of each event. If an event is known in two versions, the
// newer one counts, whatever the order in which they are given.
func distinctByID(facts []Fact) []Fact {
	facts = sorted(facts, func(a, b Fact) int { return cmp.Or(compareIDs(a, b), compareRenderings(b, a)) })
	return slices.CompactFunc(facts, func(a, b Fact) bool { return a.EventID == b.EventID })
}

// terminalOnly drops what cannot win once the subscription has ended.
func terminalOnly(facts []Fact) []Fact {
	if !slices.ContainsFunc(facts, func(f Fact) bool { return f.Terminal }) {
		return facts
	}
	return filter(facts, func(f Fact) bool { return f.Terminal })
}

// lastSeconds returns the facts whose stamps do not order them.
func lastSeconds(facts []Fact) []Fact { return after(facts, newest(facts).Add(-window)) }

func newest(facts []Fact) time.Time { return slices.MaxFunc(facts, compareMoments).Moment }

func after(facts []Fact, t time.Time) []Fact {
	return filter(facts, func(f Fact) bool { return f.Moment.After(t) })
}

func notAfter(facts []Fact, t time.Time) []Fact {
	return filter(facts, func(f Fact) bool { return !f.Moment.After(t) })
}

// sorted returns the facts in some order, and leaves the given list as it is.
func sorted(facts []Fact, compare func(a, b Fact) int) []Fact {
	facts = slices.Clone(facts)
	slices.SortFunc(facts, compare)
	return facts
}

func filter(facts []Fact, keep func(Fact) bool) []Fact {
	var kept []Fact
	for i, f := range facts {
		if !keep(f) {
			continue
		}
		if kept == nil {
			kept = make([]Fact, 0, len(facts)-i)
		}
		kept = append(kept, f)
	}
	return kept
}
