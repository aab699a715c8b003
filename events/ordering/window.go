package ordering

import (
	"slices"
	"time"
)

// window is how far apart events can be that are ordered by their states and not
// by their stamps.
const window = 2 * time.Second

// relevantTo returns the facts that a verdict, now or later, can depend on: those
// that compete, and those of the last second before them, which can say where a loop
// among the competing ones was entered. A fact that is left out would be left out
// as well if more events were known.
//
// The event that created the subscription is older than all others, whatever its
// stamp. So it matters only while no event is known from before the window.
func relevantTo(facts []Fact) []Fact {
	created, kept := splitCreated(terminalOnly(facts))
	if len(kept) == 0 {
		return distinctByID(created)
	}
	start := newest(kept).Add(-window)
	if before := notAfter(kept, start); len(before) > 0 {
		kept = after(kept, newest(before).Add(-time.Second))
	} else {
		kept = append(kept, created...)
	}
	return distinctByID(kept)
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

func distinctByID(facts []Fact) []Fact {
	slices.SortFunc(facts, compareIDs)
	return slices.CompactFunc(facts, func(a, b Fact) bool { return a.EventID == b.EventID })
}

// terminalOnly drops what cannot win once the subscription has ended.
func terminalOnly(facts []Fact) []Fact {
	if !slices.ContainsFunc(facts, func(f Fact) bool { return f.Terminal }) {
		return facts
	}
	return filter(facts, func(f Fact) bool { return f.Terminal })
}

// lastSeconds returns the facts that compete.
func lastSeconds(facts []Fact) []Fact { return after(facts, newest(facts).Add(-window)) }

func newest(facts []Fact) time.Time { return slices.MaxFunc(facts, compareMoments).Moment }

func after(facts []Fact, t time.Time) []Fact {
	return filter(facts, func(f Fact) bool { return f.Moment.After(t) })
}

func notAfter(facts []Fact, t time.Time) []Fact {
	return filter(facts, func(f Fact) bool { return !f.Moment.After(t) })
}

func filter(facts []Fact, keep func(Fact) bool) []Fact {
	return slices.DeleteFunc(slices.Clone(facts), func(f Fact) bool { return !keep(f) })
}
