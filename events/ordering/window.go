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
func relevantTo(facts []Fact) []Fact {
	facts = terminalOnly(facts)
	start := newest(facts).Add(-window)
	if before := notAfter(facts, start); len(before) > 0 {
		start = newest(before).Add(-time.Second)
	}
	kept := after(facts, start)
	slices.SortFunc(kept, compareIDs)
	return slices.CompactFunc(kept, func(a, b Fact) bool { return a.EventID == b.EventID })
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
