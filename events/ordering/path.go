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

// visitOf is stepOf, but also returns the step of a change of something that is not
// compared, which leads from a state to itself.
func visitOf(f Fact, name comparison) (step, bool) {
	s, _ := stepOf(f, name)
	return s, s != step{}
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

// path returns the steps, each once if it may have been sent twice.
func (g graph) path() []step { return distinct(g.steps) }

// distinct returns the steps if they form one path. If not, a change may have been sent
// twice without a request to recognize it by, so equal steps count once.
func distinct(steps []step) []step {
	if isPath(steps) {
		return steps
	}
	return compact(steps)
}

// compact counts equal steps once.
func compact(steps []step) []step {
	return slices.Compact(slices.SortedFunc(slices.Values(steps), func(a, b step) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	}))
}

// walk is a way that takes every step once.
type walk struct {
	start, end string // equal for a loop
	states     []string
}

// walkOf reports false if there is no way that takes every step once.
func walkOf(steps []step) (walk, bool) {
	if len(steps) == 0 || !isPath(steps) {
		return walk{}, false
	}
	n := balance(steps)
	w := walk{states: slices.Sorted(maps.Keys(n))}
	for state, entered := range n {
		if entered < 0 {
			w.start = state
		} else if entered > 0 {
			w.end = state
		}
	}
	return w, true
}

func (w walk) isLoop() bool { return w.start == w.end }

// leave returns the states in which the walk ends if it begins in one of some states, or
// anywhere if they are nil. It reports false if it cannot.
func (w walk) leave(entry []string) (ends []string, ok bool) {
	if !w.isLoop() {
		return []string{w.end}, entry == nil || slices.Contains(entry, w.start)
	}
	if entry == nil {
		return w.states, true
	}
	ends = slices.DeleteFunc(slices.Clone(entry), func(state string) bool { return !slices.Contains(w.states, state) })
	return ends, len(ends) > 0
}

// leave returns the states in which a walk over all steps ends, if there is one.
func leave(steps []step, entry []string) (ends []string, ok bool) {
	w, ok := walkOf(steps)
	if !ok {
		return nil, false
	}
	return w.leave(entry)
}

// endsOfParts returns the states in which paths end, and the states of loops that are
// not part of a path.
func endsOfParts(steps []step) []string {
	var ends []string
	for _, part := range connected(steps) {
		n := balance(distinct(part))
		states := slices.Sorted(maps.Keys(n))
		partEnds := slices.DeleteFunc(slices.Clone(states), func(state string) bool { return n[state] <= 0 })
		if len(partEnds) == 0 {
			partEnds = states
		}
		ends = append(ends, partEnds...)
	}
	return ends
}

func isOnWay(steps []step, state string) bool {
	return slices.ContainsFunc(steps, func(s step) bool { return s.from == state || s.to == state })
}

// leads reports whether steps lead from one state to another, or the states are one.
func leads(steps []step, from, to string) bool {
	if from == to {
		return true
	}
	next := map[string][]string{}
	for _, s := range steps {
		next[s.from] = append(next[s.from], s.to)
	}
	reached, open := map[string]bool{from: true}, []string{from}
	for len(open) > 0 && !reached[to] {
		var state string
		state, open = open[len(open)-1], open[:len(open)-1]
		for _, after := range next[state] {
			if !reached[after] {
				reached[after], open = true, append(open, after)
			}
		}
	}
	return reached[to]
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
	group := map[string]string{} // a state that represents all that are connected with it
	var find func(state string) string
	find = func(state string) string {
		parent, ok := group[state]
		if !ok || parent == state {
			return state
		}
		group[state] = find(parent)
		return group[state]
	}
	for _, s := range steps {
		group[find(s.from)] = find(s.to)
	}
	var parts [][]step
	places := map[string]int{}
	for _, s := range steps {
		i, ok := places[find(s.from)]
		if !ok {
			i = len(parts)
			places[find(s.from)] = i
			parts = append(parts, nil)
		}
		parts[i] = append(parts[i], s)
	}
	return parts
}
