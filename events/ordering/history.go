package ordering

import (
	"slices"
	"time"
)

// This file puts the changes of the last seconds in order. Three updates of one second,
// for example, arrive as
//
//	evt_1: past_due → unpaid
//	evt_2: trialing → active
//	evt_3: active → past_due
//
// As steps they are one path, trialing → active → past_due → unpaid, and evt_1 is
// the last, since no other event leads away from its state.

// history is what happened within the horizon, with states named by one comparison.
type history struct {
	name comparison
	// facts are the events within the horizon, and changes those that make a step.
	facts, changes []Fact
	// steps are the steps of all changes, and visited the states that these lead from or to.
	steps   []step
	visited map[string]bool
	// byID has the facts by event id.
	byID map[string]*Fact
	// entry are the states in which the events before the horizon can end; nil if none
	// is known.
	entry []string
	// before are the steps of these events, and lastBefore is the latest moment of them.
	before     []step
	lastBefore time.Time
	// isEntryHidden is true if the events before the horizon cannot be compared.
	isEntryHidden bool
}

func newHistory(facts []Fact, name comparison, isFull bool) history {
	start := newest(facts).Add(-horizon)
	h := history{name: name, facts: after(facts, start)}
	h.changes = distinctSteps(h.facts, name)
	h.steps = stepsOf(h.changes, name)
	h.visited, h.byID = make(map[string]bool, len(h.steps)), make(map[string]*Fact, len(h.facts))
	for _, s := range h.steps {
		h.visited[s.from], h.visited[s.to] = true, true
	}
	for i := range h.facts {
		h.byID[h.facts[i].EventID] = &h.facts[i]
	}
	before := notAfter(facts, start)
	if len(before) > 0 {
		h.lastBefore = newest(before)
	}
	if isFull {
		// Another version renders the same state in another way.
		versions := map[string]bool{}
		for _, f := range h.facts {
			versions[f.APIVersion] = true
		}
		sameVersion := filter(before, func(f Fact) bool { return versions[f.APIVersion] })
		h.isEntryHidden = len(sameVersion) < len(before)
		before = sameVersion
	}
	h.before = stepsOf(distinctSteps(before, name), name)
	h.entry = statesAfter(before, name)
	return h
}

func (f Fact) isOfSameVersion(other Fact) bool { return f.APIVersion == other.APIVersion }

// distinctSteps returns the events that make a step, without further events of one
// request that make the same.
func distinctSteps(facts []Fact, name comparison) []Fact {
	type change struct {
		step
		request string
	}
	seen := map[change]bool{}
	facts = sorted(facts, compareAge)
	return filter(facts, func(f Fact) bool {
		s, ok := visitOf(f, name)
		c := change{s, f.Request}
		if !ok || f.Request != "" && seen[c] {
			return false
		}
		seen[c] = true
		return true
	})
}

func stepsOf(changes []Fact, name comparison) []step {
	steps := make([]step, len(changes))
	for i, f := range changes {
		steps[i], _ = visitOf(f, name)
	}
	return steps
}

// statesAfter returns the states in which some events can end.
func statesAfter(facts []Fact, name comparison) []string {
	steps := stepsOf(distinctSteps(facts, name), name)
	if len(steps) > 0 {
		return endsOfParts(steps)
	}
	return statesOf(facts, name)
}

// conclusion says in which states changes can end.
type conclusion struct {
	ends []string
	// isClear is true if the changes follow from each other, and from what was before.
	isClear bool
	// isDoubtful is true if another history is possible that lacks an event.
	isDoubtful bool
	// apart is true if the changes do not follow each other. The latest then counts.
	apart bool
}

// conclude finds out in which state the changes end. If they are one path, it holds, in
// whatever order they are stamped, since stamps can lie by seconds. If they are not in the
// order of their stamps, another history can be as likely: a change has two events, or the
// path comes through a state again and an event is missing.
func (h history) conclude() conclusion {
	ends, isPath := leave(h.steps, h.entry)
	if isPath && h.isInOrder(window) {
		isDoubtful := !h.isInOrder(1) && h.canLackAnEvent(ends)
		return conclusion{ends: ends, isClear: len(ends) == 1 && !h.dependsOnHiddenEntry(), isDoubtful: isDoubtful}
	}
	once := h
	once.changes = h.withoutRepeats(split(h.changes, window))
	once.steps = stepsOf(once.changes, h.name)
	onceEnds, isOnce := once.follow(split(once.changes, window), h.entry)
	isOnce = isOnce && len(once.changes) < len(h.changes)
	switch {
	case isPath:
		return conclusion{ends: ends, isClear: len(ends) == 1, isDoubtful: isOnce && !slices.Equal(ends, onceEnds)}
	case isOnce:
		return conclusion{ends: onceEnds, isClear: len(onceEnds) == 1}
	}
	if ends, ok := h.leaveFromBefore(); ok {
		return conclusion{ends: ends, isClear: true}
	}
	return once.concludeWithGap()
}

// leaveFromBefore returns the end of the changes if they are one path with those before
// the horizon. This is so if a change before these is stamped late, within the horizon.
// It cannot be if all changes are much later than these.
func (h history) leaveFromBefore() (ends []string, ok bool) {
	canBeLate := func(f Fact) bool { return f.Moment.Sub(h.lastBefore) < horizon }
	if !slices.ContainsFunc(h.changes, canBeLate) {
		return nil, false
	}
	ends, ok = leave(slices.Concat(h.before, h.steps), nil)
	isEntered := func(s step) bool { return s.to == ends[0] }
	return ends, ok && len(ends) == 1 && slices.ContainsFunc(h.steps, isEntered)
}

// isInOrder reports whether changes follow each other in the order of their stamps where
// these are some time apart.
func (h history) isInOrder(gap time.Duration) bool {
	_, ok := h.follow(split(h.changes, gap), h.entry)
	return ok
}

// canLackAnEvent reports whether the latest changes lead elsewhere than all together, and
// these come through a state again. Then an event may be missing before the latest.
func (h history) canLackAnEvent(ends []string) bool {
	if len(balance(h.steps)) > len(h.steps) {
		return false
	}
	moment := newest(h.changes)
	last := filter(h.changes, func(f Fact) bool { return f.Moment.Equal(moment) })
	return !slices.Equal(endsOfParts(stepsOf(last, h.name)), ends)
}

// dependsOnHiddenEntry reports whether the changes form a loop, which ends where it began,
// and that cannot be compared.
func (h history) dependsOnHiddenEntry() bool {
	w, ok := walkOf(h.steps)
	return h.isEntryHidden && ok && w.isLoop()
}

// withoutRepeats drops changes that a group has twice, if no request tells the two apart.
func (h history) withoutRepeats(groups [][]Fact) []Fact {
	kept := make([]Fact, 0, len(h.changes))
	for _, group := range groups {
		steps := stepsOf(group, h.name)
		if _, ok := walkOf(steps); ok {
			kept = append(kept, group...)
			continue
		}
		seen := map[step]bool{}
		for i, f := range group {
			if f.Request != "" || !seen[steps[i]] {
				kept = append(kept, f)
			}
			if f.Request == "" {
				seen[steps[i]] = true
			}
		}
	}
	return kept
}

// concludeWithGap does the same where an event is missing.
func (h history) concludeWithGap() conclusion {
	groups := split(h.changes, window)
	if ends, ok := h.follow(groups, nil); ok && h.entry != nil {
		return conclusion{ends: ends, isDoubtful: len(groups) == 1 && h.canResume(ends)}
	}
	if ends, ok := leave(h.steps, nil); ok {
		return conclusion{ends: ends, isDoubtful: h.canResume(ends)}
	}
	byStamps := h.latestEnds()
	if ends, ok := leave(compact(h.steps), nil); ok {
		return conclusion{ends: ends, isDoubtful: !slices.Equal(ends, byStamps.ends)}
	}
	return byStamps
}

// canResume reports whether the state before the changes is on their way, but neither
// its beginning nor its end. Then the missing event may have led round.
func (h history) canResume(ends []string) bool {
	return slices.ContainsFunc(h.entry, func(state string) bool {
		return isOnWay(h.steps, state) && !slices.Contains(ends, state)
	})
}

// latestEnds returns the ends of the changes whose stamps are within the window of the
// latest. It is doubtful if these changes go on in one that is stamped earlier.
func (h history) latestEnds() conclusion {
	last := lastSeconds(h.changes)
	if ends, ok := h.follow([][]Fact{last}, nil); ok {
		return conclusion{ends: ends, isDoubtful: len(ends) == 1 && h.goesOn(ends[0])}
	}
	return conclusion{ends: endsOfParts(stepsOf(last, h.name)), apart: true}
}

// goesOn reports whether a state is left by a change that is part of one path with
// those that lead to it.
func (h history) goesOn(state string) bool {
	for _, part := range connected(h.steps) {
		if w, ok := walkOf(part); ok && isOnWay(part, state) {
			return w.end != state && !w.isLoop()
		}
	}
	return false
}

// follow goes through groups of changes one after the other, and returns the states in
// which the last can end. It reports false if one does not begin where another ends.
func (h history) follow(groups [][]Fact, entry []string) (ends []string, ok bool) {
	for _, group := range groups {
		w, ok := walkOf(stepsOf(group, h.name))
		if !ok {
			return nil, false
		}
		entry, ok = w.leave(entry)
		if !ok || len(entry) == 0 {
			return nil, false
		}
	}
	return entry, true
}

// split sorts facts by moment and splits them where nothing happened for some time.
func split(facts []Fact, gap time.Duration) [][]Fact {
	var groups [][]Fact
	for _, f := range sorted(facts, compareAge) {
		last := len(groups) - 1
		if last < 0 || f.Moment.Sub(groups[last][len(groups[last])-1].Moment) >= gap {
			groups, last = append(groups, nil), last+1
		}
		groups[last] = append(groups[last], f)
	}
	return groups
}
