package ordering

import (
	"cmp"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
)

// Gap is a place in the events of one subscription where something is missing: an
// event leads from a state to which no known event leads.
type Gap struct {
	// After is the id of the latest known event before the gap, and Since its
	// moment.
	After string
	Since time.Time
	// Before is the id of the event that does not continue from the known events,
	// and Until its moment.
	Before string
	Until  time.Time
}

// Gaps returns the places where events of a subscription are missing, in order of
// time. Like [Fold] it is a function of the set of facts, and it orders events of
// the same seconds by their states, too.
//
// Nothing is known of what came before the first known event, so there is no gap
// before it. There is none before a …deleted event either, which does not say what
// it leads from. An event that only shows a state, such as a snapshot, makes a gap
// if its state is another than that of the events before it, unless a later change
// continues from those all the same. A snapshot that was not read because of an event,
// as in an import, makes none: it says what the missing events have led to.
func Gaps(facts []Fact) []Gap {
	var s gapSearch
	for _, near := range clusters(distinctByID(facts), horizon) {
		s = s.after(near)
	}
	s.confirm(len(s.suspicions))
	slices.SortFunc(s.gaps, func(a, b Gap) int {
		return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.Before, b.Before))
	})
	return s.gaps
}

// clusters sorts the facts by time, the event that created the subscription first, and
// splits them where nothing happened for some time. Each change occurs once.
func clusters(facts []Fact, gap time.Duration) [][]Fact {
	facts = slices.SortedFunc(slices.Values(createdFirst(facts)), func(a, b Fact) int {
		return cmp.Or(compareMoments(a, b), compareCreated(a, b), compareIDs(a, b))
	})
	var list [][]Fact
	for _, f := range distinctChanges(facts) {
		last := len(list) - 1
		if last < 0 || f.Moment.Sub(list[last][len(list[last])-1].Moment) >= gap {
			list, last = append(list, nil), last+1
		}
		list[last] = append(list[last], f)
	}
	return list
}

// distinctChanges drops further events of one request that lead from the same state to
// the same state.
func distinctChanges(facts []Fact) []Fact {
	type change struct{ before, after, request string }
	seen := map[change]bool{}
	return filter(facts, func(f Fact) bool {
		c := change{f.Before.Core, f.After.Core, f.Request}
		identifiable := f.Request != "" && f.Before != (Digest{})
		if identifiable && seen[c] {
			return false
		}
		seen[c] = true
		return true
	})
}

// gapSearch goes through the clusters of a subscription in order of time.
type gapSearch struct {
	// reached are the events in whose states the clusters so far can end. If nothing
	// is missing, it is one.
	reached []Fact
	// suspicions are later events that show a state to which no step leads.
	suspicions []suspicion
	// latest is the latest event of the clusters so far; nil before the first.
	latest *Fact
	gaps   []Gap
}

// suspicion is a gap before an event that only shows a state. The next change
// decides whether there is one. Say the known state is "trialing", and a snapshot
// shows "active": if the next update leads from "active" to "past_due", the event
// between "trialing" and "active" is missing. If it leads from "trialing" to
// "active", nothing is: the snapshot was stamped too early.
type suspicion struct {
	event Fact
	gap   Gap
}

// after searches events that are close to each other. Stamps order them as far as they
// are apart. If that leaves gaps, stamps may be wrong, and the events are searched at once.
func (s gapSearch) after(near []Fact) gapSearch {
	byStamps, atOnce := s.clone(), s.clone()
	for _, cluster := range clusters(near, window) {
		byStamps.add(cluster)
	}
	if byStamps.open() <= s.open() {
		return byStamps
	}
	if atOnce.add(near); atOnce.open() < byStamps.open() {
		return atOnce
	}
	return byStamps
}

func (s gapSearch) clone() gapSearch {
	s.gaps, s.suspicions = slices.Clone(s.gaps), slices.Clone(s.suspicions)
	return s
}

func (s gapSearch) open() int { return len(s.gaps) + len(s.suspicions) }

// add searches the next cluster.
func (s *gapSearch) add(cluster []Fact) {
	name := comparisonOf(slices.Concat(cluster, s.known()))
	g := newGraph(cluster, name)
	g.enterEnds(cluster, name)
	hasSteps := g.hasSteps()
	if start, ok := s.resume(g, name); ok {
		g.add(step{notCreated, name(start.After)}, start.Moment)
	}
	s.addGaps(cluster, g, name)
	if hasSteps {
		s.reached = g.reached()
	} else if s.reached == nil {
		s.reached = cluster[:1]
	}
	s.addSuspicions(cluster, g, name)
	s.latest = &cluster[len(cluster)-1]
}

// known returns the events from which a later one can continue.
func (s *gapSearch) known() []Fact {
	known := slices.Clone(s.reached)
	for _, each := range s.suspicions {
		known = append(known, each.event)
	}
	return known
}

// resume returns the known event from which the steps of a cluster continue, if there
// is one. That settles the suspicions: the ones up to that event are gaps, the later
// ones are not. A cluster without steps settles nothing.
func (s *gapSearch) resume(g graph, name comparison) (start Fact, ok bool) {
	if !g.hasSteps() {
		return Fact{}, false
	}
	known := s.known()
	i := indexOfStart(known, g, name)
	if i < 0 {
		s.confirm(len(s.suspicions))
		return Fact{}, false
	}
	s.confirm(max(0, i+1-len(s.reached)))
	return known[i], true
}

// indexOfStart prefers the event in whose state a path starts to one whose state is
// somewhere on a path; -1 if there is neither.
func indexOfStart(known []Fact, g graph, name comparison) int {
	entered := g.entered(g.steps)
	if i := slices.IndexFunc(known, func(f Fact) bool { return entered[name(f.After)] < 0 }); i >= 0 {
		return i
	}
	return slices.IndexFunc(known, func(f Fact) bool { return g.visited[name(f.After)] })
}

// confirm makes gaps of the first n suspicions and drops the others.
func (s *gapSearch) confirm(n int) {
	for _, each := range s.suspicions[:n] {
		if !each.event.isAnchor() {
			s.gaps = append(s.gaps, each.gap)
		}
	}
	s.suspicions = nil
}

// addGaps adds a gap before each event of the cluster that leads from a state to which
// no event leads, except before the first event that is known at all.
func (s *gapSearch) addGaps(cluster []Fact, g graph, name comparison) {
	found := eventsOf(g.unexplained(), cluster, name)
	slices.SortFunc(found, compareAge)
	if s.latest == nil && len(found) > 0 && !slices.ContainsFunc(cluster, func(f Fact) bool { return f.First }) {
		found = found[1:]
	}
	for _, f := range found {
		s.gaps = append(s.gaps, s.gapBefore(f, cluster))
	}
}

// eventsOf returns an event for each of the steps.
func eventsOf(steps []step, cluster []Fact, name comparison) []Fact {
	var found []Fact
	for _, want := range steps {
		i := slices.IndexFunc(cluster, func(f Fact) bool {
			s, ok := stepOf(f, name)
			return ok && s == want && !slices.Contains(found, f)
		})
		if i >= 0 {
			found = append(found, cluster[i])
		}
	}
	return found
}

// gapBefore returns the gap between f and the latest event with an earlier stamp.
func (s *gapSearch) gapBefore(f Fact, cluster []Fact) Gap {
	before := cluster[0]
	if s.latest != nil {
		before = *s.latest
	}
	for _, other := range cluster {
		if other.Moment.Before(f.Moment) || before.EventID == f.EventID {
			before = other
		}
	}
	return Gap{After: before.EventID, Since: before.Moment, Before: f.EventID, Until: f.Moment}
}

// addSuspicions suspects a gap before each event of the cluster whose state is
// neither on a path nor known.
func (s *gapSearch) addSuspicions(cluster []Fact, g graph, name comparison) {
	for _, f := range cluster {
		same := func(other Fact) bool { return name(other.After) == name(f.After) }
		isHalfWay := slices.ContainsFunc(cluster, func(change Fact) bool { return isBetween(f, change) })
		if !g.visited[name(f.After)] && !isHalfWay && !slices.ContainsFunc(s.known(), same) {
			s.suspicions = append(s.suspicions, suspicion{f, s.gapBefore(f, cluster)})
		}
	}
}

// enterEnds notes that the states of …deleted events are entered, from wherever: these
// events do not say what they lead from. It skips states to which another event leads.
func (g *graph) enterEnds(cluster []Fact, name comparison) {
	entered := balance(g.steps)
	for _, f := range cluster {
		state := name(f.After)
		n, visited := entered[state]
		if f.Type == events.StripeTypeDeleted && f.Before == (Digest{}) && (!visited || n < 0) {
			g.endEntries = append(g.endEntries, state)
			g.visited[state] = true
			entered[state]++
		}
	}
}

func (g graph) hasSteps() bool { return len(g.steps)+len(g.endEntries) > 0 }

// entered is [balance] with the states that enterEnds noted.
func (g graph) entered(steps []step) map[string]int {
	n := balance(steps)
	for _, state := range g.endEntries {
		n[state]++
	}
	return n
}

// unexplained returns the steps that lead from a state to which none leads: for each
// state as many as it is left more often than entered, the latest first, and one step
// of each loop that no path enters.
func (g graph) unexplained() []step {
	steps := g.path()
	entered := g.entered(steps)
	var found []step
	for _, s := range slices.Backward(steps) {
		if s.from != notCreated && entered[s.from] < 0 {
			entered[s.from]++
			found = append(found, s)
		}
	}
	for _, part := range connected(steps) {
		if g.isUnenteredLoop(part) {
			found = append(found, part[0])
		}
	}
	return found
}

func (g graph) isUnenteredLoop(steps []step) bool {
	for state, n := range balance(steps) {
		if n != 0 || slices.Contains(g.endEntries, state) {
			return false
		}
	}
	return true
}

// reached returns an event for each state in which paths end, the latest first; if
// there are only loops, for each state on them.
func (g graph) reached() []Fact {
	entered := g.entered(g.path())
	var ends, visited []Fact
	for state, showing := range g.showing {
		latest := slices.MaxFunc(showing, compareAge)
		if entered[state] > 0 {
			ends = append(ends, latest)
		}
		if g.visited[state] {
			visited = append(visited, latest)
		}
	}
	if len(ends) == 0 {
		ends = visited
	}
	slices.SortFunc(ends, func(a, b Fact) int { return compareAge(b, a) })
	return ends
}
