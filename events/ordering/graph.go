package ordering

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// nowhere is the state before the first event.
const nowhere = "nowhere"

// step leads from a state to another.
type step struct {
	from, to string
}

// graph is a set of events as steps between states, and the events that stand
// for each state.
type graph struct {
	steps []step
	// touched are the states that a step leads from or to.
	touched map[string]bool
	// told are the events by the state that they tell of.
	told map[string][]Fact
	// last is the moment of the last step.
	last time.Time
}

// newGraph makes steps of the events that say what was before, each change once:
// Stripe sometimes makes two events of one, for the same request.
func newGraph(facts []Fact, name func(Digest) string) graph {
	g := graph{touched: map[string]bool{}, told: map[string][]Fact{}}
	seen := map[change]bool{}
	for _, f := range facts {
		to := name(f.After)
		g.told[to] = append(g.told[to], f)
		from, ok := origin(f, name)
		if c := (change{from, to, f.Request}); ok && from != to && (f.Request == "" || !seen[c]) {
			seen[c] = true
			g.add(step{from, to}, f.Moment)
		}
	}
	return g
}

func (g *graph) add(s step, moment time.Time) {
	g.steps = append(g.steps, s)
	g.touched[s.from], g.touched[s.to] = true, true
	if moment.After(g.last) {
		g.last = moment
	}
}

type change struct{ from, to, request string }

// digestOf says how states are compared: in full where all events are rendered
// alike, and else by what every version renders.
func digestOf(facts []Fact) func(Digest) string {
	for _, f := range facts {
		if f.APIVersion != facts[0].APIVersion {
			return func(s Digest) string { return s.Core }
		}
	}
	return func(s Digest) string { return s.Full }
}

func origin(f Fact, name func(Digest) string) (string, bool) {
	switch {
	case f.First:
		return nowhere, true
	case f.Before != Digest{}:
		return name(f.Before), true
	}
	return "", false
}

// ends returns one event for each state in which the events may end; none if they
// lead round in a circle.
func (g graph) ends() []Fact { return g.latest(g.open()) }

// latest returns the latest event of each state.
func (g graph) latest(states []string) []Fact {
	var facts []Fact
	for _, state := range states {
		facts = append(facts, slices.MaxFunc(g.told[state], later))
	}
	return facts
}

// open returns the states in which the steps end, and those that no step has
// led to.
func (g graph) open() []string {
	open, closed := g.pathEnds()
	for _, state := range slices.Sorted(maps.Keys(g.told)) {
		if !slices.Contains(open, state) && g.isApart(state) {
			open = append(open, state)
		}
	}
	if len(closed) == len(g.touched) && len(open) == 0 {
		return nil
	}
	// A circle is a way of its own if there is another.
	for _, state := range closed {
		if len(g.told[state]) > 0 && !slices.Contains(open, state) {
			open = append(open, state)
		}
	}
	return open
}

// isApart reports whether a state was told of without a step to it: no step
// touches it, or it was still so, or again, after all of them.
func (g graph) isApart(state string) bool {
	return !g.touched[state] || slices.MaxFunc(g.told[state], later).Moment.After(g.last)
}

// path returns the steps. If they are not one path, the same change may have been
// told twice without a request to know it by: then equal steps count once.
func (g graph) path() []step {
	if isPath(g.steps) {
		return g.steps
	}
	return distinct(g.steps)
}

// pathEnds returns the states that are entered more often than left, and those
// of circles that nothing leads to.
func (g graph) pathEnds() (open, closed []string) {
	for _, piece := range pieces(g.path()) {
		n := balance(piece)
		ends := slices.DeleteFunc(slices.Sorted(maps.Keys(n)), func(state string) bool { return n[state] <= 0 })
		if open = append(open, ends...); len(ends) == 0 {
			closed = slices.AppendSeq(closed, maps.Keys(n))
		}
	}
	return open, slices.Sorted(slices.Values(closed))
}

// exits follows events that lead round in a circle, moment by moment, and returns
// one event for each state in which they may end: what leads round within one
// moment ends where it was entered.
func exits(facts []Fact) []Fact {
	name := digestOf(facts)
	var g graph
	var states []string
	for len(facts) > 0 {
		first := slices.MinFunc(facts, func(a, b Fact) int { return a.Moment.Compare(b.Moment) }).Moment
		later := func(f Fact) bool { return f.Moment.After(first) }
		g = newGraph(without(facts, later), name)
		states = g.exits(states)
		facts = without(facts, func(f Fact) bool { return !later(f) })
	}
	return g.latest(states)
}

func (g graph) exits(entered []string) []string {
	if open := g.open(); len(open) > 0 {
		return open
	}
	entered = slices.DeleteFunc(entered, func(state string) bool { return !g.touched[state] })
	if len(entered) > 0 {
		return entered
	}
	return slices.Sorted(maps.Keys(g.touched))
}

func distinct(steps []step) []step {
	steps = slices.SortedFunc(slices.Values(steps), func(a, b step) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	return slices.Compact(steps)
}

// balance says how much more often each state is entered than left.
func balance(steps []step) map[string]int {
	n := map[string]int{}
	for _, s := range steps {
		n[s.from]--
		n[s.to]++
	}
	return n
}

// isPath reports whether the steps can be one path or circle: in one piece, with
// at most one start and one end.
func isPath(steps []step) bool {
	starts, ends := 0, 0
	for _, n := range balance(steps) {
		starts, ends = starts+max(-n, 0), ends+max(n, 0)
	}
	return starts <= 1 && ends <= 1 && len(pieces(steps)) <= 1
}

// pieces takes the steps apart where none leads from one to the other.
func pieces(steps []step) [][]step {
	var list [][]step
	for len(steps) > 0 {
		reached := reach(steps)
		apart := func(s step) bool { return !reached[s.from] }
		list = append(list, slices.DeleteFunc(slices.Clone(steps), apart))
		steps = slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return !apart(s) })
	}
	return list
}

// reach returns the states that hang together with the first step.
func reach(steps []step) map[string]bool {
	reached := map[string]bool{steps[0].from: true}
	for grown := true; grown; {
		grown = false
		for _, s := range steps {
			if reached[s.from] != reached[s.to] {
				reached[s.from], reached[s.to], grown = true, true, true
			}
		}
	}
	return reached
}
