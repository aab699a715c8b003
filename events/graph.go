package events

import (
	"cmp"
	"slices"
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
}

// newGraph makes steps of the events that say what was before, each change once:
// Stripe sometimes makes two events of one, for the same request. States are
// compared in full where all events are rendered alike, and else by what every
// version renders.
func newGraph(facts []Fact) graph { return graphOf(facts, digestOf(facts)) }

// graphOf is newGraph for states that go by the name given.
func graphOf(facts []Fact, name func(State) string) graph {
	g := graph{touched: map[string]bool{}, told: map[string][]Fact{}}
	seen := map[change]bool{}
	for _, f := range facts {
		to := name(f.After)
		g.told[to] = append(g.told[to], f)
		from, ok := origin(f, name)
		if c := (change{from, to, f.Request}); !ok || from == to || f.Request != "" && seen[c] {
			continue
		} else {
			seen[c] = true
		}
		g.steps = append(g.steps, step{from, to})
		g.touched[from], g.touched[to] = true, true
	}
	return g
}

type change struct{ from, to, request string }

func digestOf(facts []Fact) func(State) string {
	for _, f := range facts {
		if f.APIVersion != facts[0].APIVersion {
			return func(s State) string { return s.Core }
		}
	}
	return func(s State) string { return s.Full }
}

func origin(f Fact, name func(State) string) (string, bool) {
	switch {
	case f.First:
		return nowhere, true
	case f.Before != State{}:
		return name(f.Before), true
	}
	return "", false
}

// ends returns one event for each state in which the events may end: the states
// entered more often than left, and those that no step touches.
func (g graph) ends() []Fact {
	var ends []Fact
	for _, state := range g.open() {
		ends = append(ends, slices.MaxFunc(g.told[state], later))
	}
	for state, facts := range g.told {
		if !g.touched[state] {
			ends = append(ends, slices.MaxFunc(facts, later))
		}
	}
	slices.SortFunc(ends, compareIDs)
	return ends
}

// open returns the states that are entered more often than left.
func (g graph) open() []string {
	var open []string
	for state, n := range balance(g.path()) {
		if n > 0 {
			open = append(open, state)
		}
	}
	return open
}

// path returns the steps. If they are not one path, the same change may have been
// told twice without a request to know it by: then equal steps count once.
func (g graph) path() []step {
	if isPath(g.steps) {
		return g.steps
	}
	return distinct(g.steps)
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
	return starts <= 1 && ends <= 1 && connected(steps)
}

// connected reports whether the steps are in one piece.
func connected(steps []step) bool {
	if len(steps) == 0 {
		return true
	}
	_, rest := cut(steps)
	return len(rest) == 0
}

// cut parts the piece of the first step from the other steps.
func cut(steps []step) (piece, rest []step) {
	reached := map[string]bool{steps[0].from: true}
	for grown := true; grown; {
		grown = false
		for _, s := range steps {
			if reached[s.from] != reached[s.to] {
				reached[s.from], reached[s.to], grown = true, true, true
			}
		}
	}
	for _, s := range steps {
		if reached[s.from] {
			piece = append(piece, s)
		} else {
			rest = append(rest, s)
		}
	}
	return piece, rest
}
