package ordering

import (
	"fmt"
	"maps"
	"slices"
)

// This file orders the events of the last two seconds, whose stamps say nothing.
// Three updates of one second, for example, arrive as
//
//	evt_1: past_due → unpaid
//	evt_2: trialing → active
//	evt_3: active → past_due
//
// As steps they are one path, trialing → active → past_due → unpaid, and evt_1 is
// the last, since no other event leads away from its state.

// lastStates returns one event for each state in which the events can end. There is
// none if the steps form a loop: active → paused, paused → active.
func lastStates(competing []Fact) []Fact {
	g := newGraph(competing, comparisonOf(competing))
	return g.eventsAt(g.ends())
}

// exitsOfLoop goes through events that end in a loop, moment by moment, and returns
// one event for each state in which they can end. A loop within one moment is left
// where it was entered: if trialing → active comes before, active → paused and
// paused → active end in active.
func exitsOfLoop(facts []Fact) []Fact {
	name := comparisonOf(facts)
	var g graph
	var ends []string
	for len(facts) > 0 {
		first := slices.MinFunc(facts, compareMoments).Moment
		g = newGraph(notAfter(facts, first), name)
		ends = g.endsAfter(ends)
		facts = after(facts, first)
	}
	return g.eventsAt(ends)
}

// endsAfter returns the states in which the steps can end if they began in one of
// the states in before.
func (g graph) endsAfter(before []string) []string {
	if ends := g.ends(); len(ends) > 0 {
		return ends
	}
	entries := slices.DeleteFunc(before, func(state string) bool { return !g.visited[state] })
	if len(entries) > 0 {
		return entries
	}
	return slices.Sorted(maps.Keys(g.visited))
}

// ends returns the states in which the events can end: those in which paths end, and
// those that are shown without being on a path. It returns nil if everything is on
// loops.
func (g graph) ends() []string {
	ends, onLoops := g.pathEnds()
	for _, state := range slices.Sorted(maps.Keys(g.showing)) {
		if !slices.Contains(ends, state) && g.isOffPath(state) {
			ends = append(ends, state)
		}
	}
	if len(onLoops) == len(g.visited) && len(ends) == 0 {
		return nil
	}
	// Next to another end, a loop can end in each of its states.
	for _, state := range onLoops {
		if len(g.showing[state]) > 0 && !slices.Contains(ends, state) {
			ends = append(ends, state)
		}
	}
	return ends
}

// isOffPath reports whether a state is shown that the steps do not account for:
// no step touches it, or an event still shows it after the last step.
func (g graph) isOffPath(state string) bool {
	return !g.visited[state] || newest(g.showing[state]).After(g.lastStep)
}

// eventsAt returns the latest event of each state.
func (g graph) eventsAt(states []string) []Fact {
	var facts []Fact
	for _, state := range states {
		facts = append(facts, slices.MaxFunc(g.showing[state], compareAge))
	}
	return facts
}

// latestEnd chooses between the ends of several events. If there is more than one,
// an event is missing.
func latestEnd(ends []Fact, events int) Verdict {
	// The event that created the subscription is no end if there is another.
	if others := filter(ends, func(f Fact) bool { return !f.First }); len(others) > 0 {
		ends = others
	}
	winner := slices.MaxFunc(ends, compareAge)
	ties := len(filter(ends, func(f Fact) bool { return f.Moment.Equal(winner.Moment) }))
	switch {
	case len(ends) == 1:
		return determined(winner, fmt.Sprintf("%s is where the changes of these seconds end (%d events).", winner.EventID, events))
	case ties == 1:
		return determined(winner, fmt.Sprintf("%s has the latest moment, %s, of %d events that do not follow each other.",
			winner.EventID, stamp(winner), len(ends)))
	}
	return ambiguous(winner, fmt.Sprintf("%d events of %s do not follow each other; %s was taken by its type and id.", ties, stamp(winner), winner.EventID))
}

func greatestID(ends []Fact, events int) Verdict {
	winner := slices.MaxFunc(ends, compareIDs)
	return ambiguous(winner, fmt.Sprintf("%d events lead round in a circle, and %s has the greatest id.", events, winner.EventID))
}
