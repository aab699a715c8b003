package ordering

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// step leads from one state of a subscription to another. States are named by a
// [comparison].
type step struct{ from, to string }

// notCreated is the state before a subscription was created.
const notCreated = "not created"

// stepOf returns the step that an event makes; false for an event that only shows a
// state, or that changes nothing that is compared.
func stepOf(f Fact, name comparison) (step, bool) {
	s := step{name(f.Before), name(f.After)}
	if f.First {
		s.from = notCreated
	} else if f.Before == (Digest{}) {
		return step{}, false
	}
	return s, s.from != s.to
}

// graph holds events as steps between states.
type graph struct {
	steps []step
	// visited are the states that a step leads from or to.
	visited map[string]bool
	// showing are the events that show each state, with a step or without.
	showing map[string][]Fact
	// lastStep is the moment of the last step.
	lastStep time.Time
	// endEntries are states that an event enters without a step; see enterEnds.
	endEntries []string
}

func newGraph(facts []Fact, name comparison) graph {
	g := graph{visited: map[string]bool{}, showing: map[string][]Fact{}}
	type change struct {
		step
		request string
	}
	seen := map[change]bool{}
	for _, f := range facts {
		state := name(f.After)
		g.showing[state] = append(g.showing[state], f)
		s, ok := stepOf(f, name)
		// Stripe sometimes sends two events for one change of one request.
		if c := (change{s, f.Request}); ok && (f.Request == "" || !seen[c]) {
			seen[c] = true
			g.add(s, f.Moment)
		}
	}
	return g
}

func (g *graph) add(s step, moment time.Time) {
	g.steps = append(g.steps, s)
	g.visited[s.from], g.visited[s.to] = true, true
	if moment.After(g.lastStep) {
		g.lastStep = moment
	}
}

// path returns the steps. If they do not form one path, a change may have been sent
// twice without a request to recognize it by, so equal steps count once.
func (g graph) path() []step {
	if isPath(g.steps) {
		return g.steps
	}
	steps := slices.SortedFunc(slices.Values(g.steps), func(a, b step) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	return slices.Compact(steps)
}

// pathEnds returns the states in which paths end, and the states of loops to which
// no path leads.
func (g graph) pathEnds() (ends, onLoops []string) {
	for _, part := range connected(g.path()) {
		n := balance(part)
		states := slices.Sorted(maps.Keys(n))
		partEnds := slices.DeleteFunc(slices.Clone(states), func(state string) bool { return n[state] <= 0 })
		if ends = append(ends, partEnds...); len(partEnds) == 0 {
			onLoops = append(onLoops, states...)
		}
	}
	slices.Sort(onLoops)
	return ends, onLoops
}

// balance returns how much more often each state is entered than left. In the path
// A → B → C it is -1 for A, where the path starts, 0 for B, and 1 for C, where it
// ends; in a loop it is 0 everywhere. So nothing has to be searched, and a path that
// goes back and forth (A → B → A → B) is no special case.
func balance(steps []step) map[string]int {
	n := map[string]int{}
	for _, s := range steps {
		n[s.from]--
		n[s.to]++
	}
	return n
}

// isPath reports whether the steps can be one path or loop: connected, with at most
// one start and one end.
func isPath(steps []step) bool {
	starts, ends := 0, 0
	for _, n := range balance(steps) {
		starts, ends = starts+max(-n, 0), ends+max(n, 0)
	}
	return starts <= 1 && ends <= 1 && len(connected(steps)) <= 1
}

// connected splits steps into parts that have no state in common.
func connected(steps []step) [][]step {
	var parts [][]step
	for len(steps) > 0 {
		reached := reachable(steps)
		isApart := func(s step) bool { return !reached[s.from] }
		parts = append(parts, slices.DeleteFunc(slices.Clone(steps), isApart))
		steps = slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return !isApart(s) })
	}
	return parts
}

// reachable returns the states that are connected to the first step, in either
// direction.
func reachable(steps []step) map[string]bool {
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
