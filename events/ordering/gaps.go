package ordering

import (
	"cmp"
	"slices"
	"time"
)

// Gap is a place in the events of one subscription where something is missing:
// an event leads from a state to which no known event leads.
type Gap struct {
	// After is the id of the latest known event before the gap, and Since its
	// moment.
	After string
	Since time.Time
	// Before is the id of the event that does not go on from what was known, and
	// Until its moment.
	Before string
	Until  time.Time
}

// Gaps says where events of a subscription are missing, in the order of time.
// Like [Fold] it is a function of the set, and where Fold puts the events of a
// few seconds in order by what they say, so does Gaps.
//
// What is before the first known event is no gap: nothing is known of it. Nor is
// what is before the end of a subscription, since a …deleted event does not say
// what it leads from. An event that only tells how things stand, such as a
// snapshot, makes a gap if its state is another one than that of the events
// before it, and if no later change goes on from these all the same.
func Gaps(facts []Fact) []Gap {
	t := &thread{}
	for _, near := range nearby(facts) {
		t.follow(near)
	}
	t.confirm(len(t.doubts))
	slices.SortFunc(t.gaps, func(a, b Gap) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Before, b.Before))
	})
	return t.gaps
}

// nearby puts the events in order, each change once, and parts them where nothing
// happened for as long as [Fold] looks back.
func nearby(facts []Fact) [][]Fact {
	facts = slices.SortedFunc(slices.Values(facts), func(a, b Fact) int {
		return cmp.Or(a.Moment.Compare(b.Moment), compareIDs(a, b))
	})
	var groups [][]Fact
	seen := map[any]bool{}
	for _, f := range facts {
		again := change{f.Before.Core, f.After.Core, f.Request}
		if seen[f.EventID] || f.Request != "" && f.Before != (Digest{}) && seen[again] {
			continue
		}
		seen[f.EventID], seen[again] = true, true
		last := len(groups) - 1
		if last < 0 || f.Moment.Sub(end(groups[last])) >= window {
			groups, last = append(groups, nil), last+1
		}
		groups[last] = append(groups[last], f)
	}
	return groups
}

func end(sorted []Fact) time.Time { return sorted[len(sorted)-1].Moment }

// thread is how far the events of a subscription have been followed.
type thread struct {
	// ends are the events in whose states the steps may end.
	ends []Fact
	// doubts are events since then that tell of another state without saying how
	// it came about.
	doubts []doubt
	// latest is the latest event that was looked at.
	latest *Fact
	gaps   []Gap
}

type doubt struct {
	told Fact
	gap  Gap
}

// follow goes on to the events of some more seconds.
func (t *thread) follow(near []Fact) {
	name := digestOf(slices.Concat(near, t.ends, t.strays()))
	own := newGraph(entering(near, name), name)
	from := t.from(own, name)
	whole := own
	if from != nil {
		whole = newGraph(append(entering(near, name), entered(*from)), name)
	}
	t.miss(near, whole.unentered(), name)
	if len(own.steps) > 0 {
		t.ends = whole.final(near)
	}
	t.wonder(near, whole, name)
	latest := near[len(near)-1]
	t.latest = &latest
}

func (t *thread) strays() []Fact {
	facts := make([]Fact, len(t.doubts))
	for i, d := range t.doubts {
		facts[i] = d.told
	}
	return facts
}

// entering makes the end of a subscription a step from anywhere, unless another
// event leads to the same state: what it leads from it does not say.
func entering(near []Fact, name func(Digest) string) []Fact {
	arrived := balance(newGraph(near, name).steps)
	near = slices.Clone(near)
	for i, f := range near {
		n, touched := arrived[name(f.After)]
		if lifecycle(f.Type) == 2 && f.Before == (Digest{}) && (!touched || n < 0) {
			near[i] = entered(f)
			arrived[name(f.After)]++
		}
	}
	return near
}

// entered is an event as the first of its subscription.
func entered(f Fact) Fact {
	f.First, f.Before, f.Request = true, Digest{}, ""
	return f
}

// from finds the event from which the steps of a graph go on, and settles what
// was in doubt until then. Without steps nothing is settled.
func (t *thread) from(g graph, name func(Digest) string) *Fact {
	if len(g.steps) == 0 {
		return nil
	}
	known := append(slices.Clone(t.ends), t.strays()...)
	arrived := balance(g.steps)
	i := slices.IndexFunc(known, func(f Fact) bool { return arrived[name(f.After)] < 0 })
	if i < 0 {
		i = slices.IndexFunc(known, func(f Fact) bool { return g.touched[name(f.After)] })
	}
	switch {
	case i < 0:
		t.confirm(len(t.doubts))
		return nil
	case i >= len(t.ends):
		t.confirm(i - len(t.ends) + 1)
	}
	t.doubts = nil
	return &known[i]
}

// confirm makes gaps of the first n doubts, and forgets the others.
func (t *thread) confirm(n int) {
	for _, d := range t.doubts[:n] {
		t.gaps = append(t.gaps, d.gap)
	}
	t.doubts = nil
}

// miss notes a gap before each event that leads from a state which was not
// entered. Before the first known event there is none.
func (t *thread) miss(near []Fact, unentered []step, name func(Digest) string) {
	var events []Fact
	for _, s := range unentered {
		for _, f := range near {
			if from, ok := origin(f, name); ok && from == s.from && name(f.After) == s.to && !contains(events, f) {
				events = append(events, f)
				break
			}
		}
	}
	slices.SortFunc(events, later)
	if t.latest == nil && len(events) > 0 && !slices.ContainsFunc(near, func(f Fact) bool { return f.First }) {
		events = events[1:]
	}
	for _, f := range events {
		t.gaps = append(t.gaps, t.gap(near, f))
	}
}

func contains(facts []Fact, f Fact) bool {
	return slices.ContainsFunc(facts, func(have Fact) bool { return have.EventID == f.EventID })
}

// gap is the one before f.
func (t *thread) gap(near []Fact, f Fact) Gap {
	before := near[0]
	if t.latest != nil {
		before = *t.latest
	}
	for _, other := range near {
		if other.Moment.Before(f.Moment) || before.EventID == f.EventID {
			before = other
		}
	}
	return Gap{After: before.EventID, Since: before.Moment, Before: f.EventID, Until: f.Moment}
}

// wonder notes the events that tell of a state which no step leads to.
func (t *thread) wonder(near []Fact, g graph, name func(Digest) string) {
	if len(t.ends) == 0 {
		t.ends = []Fact{near[0]}
	}
	known := func(f Fact) bool {
		same := func(other Fact) bool { return name(other.After) == name(f.After) }
		return g.touched[name(f.After)] || slices.ContainsFunc(t.ends, same) || slices.ContainsFunc(t.strays(), same)
	}
	for _, f := range near {
		if !known(f) {
			t.doubts = append(t.doubts, doubt{f, t.gap(near, f)})
		}
	}
}

// unentered returns a step out of each state that is left more often than
// entered, and one of each circle into which nothing leads.
func (g graph) unentered() []step {
	steps := g.path()
	arrived := balance(steps)
	var missing []step
	for i := len(steps) - 1; i >= 0; i-- {
		if s := steps[i]; s.from != nowhere && arrived[s.from] < 0 {
			arrived[s.from]++
			missing = append(missing, s)
		}
	}
	return append(missing, circles(steps)...)
}

// circles returns the first step of each piece that has neither start nor end.
func circles(steps []step) []step {
	var first []step
	for _, piece := range pieces(steps) {
		if !slices.ContainsFunc(piece, func(s step) bool { return balance(piece)[s.from] != 0 }) {
			first = append(first, piece[0])
		}
	}
	return first
}

// final returns an event for each state in which the steps end; if they lead round
// in a circle, for each state of it.
func (g graph) final(near []Fact) []Fact {
	arrived := balance(g.path())
	pick := func(wanted func(state string) bool) []Fact {
		var ends []Fact
		for state, told := range g.told {
			told = without(told, func(f Fact) bool { return !contains(near, f) })
			if len(told) > 0 && wanted(state) {
				ends = append(ends, slices.MaxFunc(told, later))
			}
		}
		slices.SortFunc(ends, func(a, b Fact) int { return later(b, a) })
		return ends
	}
	if ends := pick(func(state string) bool { return arrived[state] > 0 }); len(ends) > 0 {
		return ends
	}
	return pick(func(state string) bool { return g.touched[state] })
}
