package ordering

import (
	"fmt"
	"slices"
	"strings"

	"github.com/billbus/billbus/events"
)

// This file chooses the event that holds the state in which the changes end, and asks
// whether events that only show a state know of a later one.

// decide compares states in full first. Where that does not give one path, the events
// are of several versions, or lack items, and are compared by what they have in common.
// If versions differ and there is no path at all, an event may be missing, or a field.
func decide(facts []Fact) Verdict {
	var v Verdict
	for i, name := range comparisons(facts) {
		h := newHistory(facts, name, i == 0)
		var isClear bool
		if v, isClear = h.verdict(); isClear {
			return exceptHidden(v, h.facts)
		}
	}
	if late := after(facts, newest(facts).Add(-horizon)); v.Ordering == Determined && !ofOneVersion(late) {
		return ambiguous(v.Winner, "The events are of several API versions and do not follow each other as far as all of them show.", late)
	}
	return v
}

// exceptHidden is the verdict if events of several versions show the last state as far as
// all versions go. One of an older version can be about something that this version does
// not show, and be the last, unless the winner leads away from what it shows. And one that
// only shows a state can be older than its stamp and than others that show more.
func exceptHidden(v Verdict, facts []Fact) Verdict {
	w, strictest, common := v.Winner, comparisons(facts)[0], comparisonOf(facts)
	canBeLater := func(f Fact) bool {
		if common(f.After) != common(w.After) || leadsOn(facts, f, w) || w.isSnapshot() && (w.Because == f.EventID || w.Moment.Sub(f.Moment) >= window) {
			return false
		}
		s, ok := visitOf(f, common)
		hidesChange := f.Type == events.StripeTypeUpdated && f.APIVersion < w.APIVersion && (!ok || s.from == s.to)
		isOther := f.APIVersion > w.APIVersion || f.isOfSameVersion(w) && strictest(f.After) != strictest(w.After)
		isStale := (w.isSnapshot() || w.isAnnouncement()) && isOther
		return hidesChange || isStale
	}
	if later := filter(facts, canBeLater); !ofOneVersion(facts) && len(later) > 0 {
		return ambiguous(w, w.EventID+" shows the last state, as do others, and API versions differ in what they show.", append(later, w))
	}
	return v
}

// leadsOn reports whether a change leads on from the state to which another one led, as far
// as the oldest version shows them, and not the other way round as well.
func leadsOn(facts []Fact, from, to Fact) bool {
	name := byFields(facts, oldest(facts))
	if from.Before == (Digest{}) || to.Before == (Digest{}) {
		return false
	}
	return name(to.Before) == name(from.After) && name(to.After) != name(from.After) && name(from.Before) != name(to.After)
}

// verdict reports whether the events follow each other, next to the verdict.
func (h history) verdict() (v Verdict, isClear bool) {
	others := h.unexplained()
	if !slices.ContainsFunc(h.changes, func(f Fact) bool { return !f.First }) && len(others) > 0 {
		return h.latestOf(h.eventsAt(statesOf(others, h.name)))
	}
	if len(h.changes) == 0 {
		return h.latestOf(h.eventsAt(statesAfter(lastSeconds(h.facts), h.name)))
	}
	c := h.conclude()
	v = h.verdictOn(c)
	if later := h.laterThanChanges(others, c); len(later) > 0 {
		return h.verdictWithout(later, c, v), false
	}
	return v, c.isClear && v.Ordering == Determined
}

// verdictOn is the verdict if all events are part of the changes.
func (h history) verdictOn(c conclusion) Verdict {
	ends := h.eventsAt(c.ends)
	switch {
	case c.apart:
		v, _ := h.latestOf(ends)
		return v
	case len(ends) > 1:
		return circular(ends, len(h.facts))
	case c.isDoubtful:
		return ambiguous(ends[0], fmt.Sprintf("The changes end in %s if only stamps are wrong, and maybe elsewhere if an event is missing.", ends[0].EventID), h.facts)
	}
	winner, isSure := h.refine(ends[0])
	switch {
	case !isSure:
		return ambiguous(winner, "Events of several API versions show the last state, and it is not clear which of them is the last.",
			filter(h.facts, func(f Fact) bool { return h.name(f.After) == h.name(winner.After) }))
	case h.isOnlyOneLately(winner):
		return determined(winner, explainOnly(winner))
	}
	return determined(winner, fmt.Sprintf("%s is where the changes of these seconds end (%d events).", winner.EventID, len(h.facts)))
}

func (h history) isOnlyOneLately(f Fact) bool {
	last := lastSeconds(h.facts)
	return len(last) == 1 && last[0].EventID == f.EventID
}

// latestOf chooses between events that do not follow each other. If there is more than
// one, an event is missing. It never reports that they are clear.
func (h history) latestOf(ends []Fact) (Verdict, bool) {
	ends = candidates(ends)
	winner := slices.MaxFunc(ends, compareAge)
	ties := filter(ends, func(f Fact) bool { return f.Moment.Equal(winner.Moment) })
	switch {
	case h.isOnlyOneLately(winner):
		return determined(winner, explainOnly(winner)), len(ends) == 1
	case len(ends) == 1:
		return determined(winner, fmt.Sprintf("%s is where the changes of these seconds end (%d events).", winner.EventID, len(h.facts))), true
	case len(ties) == 1:
		return determined(winner, fmt.Sprintf("%s has the latest moment, %s, of %d events that do not follow each other.",
			winner.EventID, stamp(winner), len(ends))), false
	}
	return ambiguous(winner, fmt.Sprintf("%d events of %s do not follow each other; %s was taken by its type and id.", len(ties), stamp(winner), winner.EventID), ties), false
}

func circular(ends []Fact, events int) Verdict {
	winner := slices.MaxFunc(ends, compareAge)
	return ambiguous(winner, fmt.Sprintf("%d events lead round in a circle, and nothing says where it began; %s was taken by its stamp and id.", events, winner.EventID), ends)
}

// candidates drops the event that created the subscription if there is another, and
// events that caused another to be read, which therefore comes after them.
func candidates(facts []Fact) []Fact {
	causes := map[string]bool{}
	for _, f := range facts {
		causes[f.Because] = true
	}
	dropped := func(f Fact) bool { return f.First || causes[f.EventID] }
	if others := filter(facts, func(f Fact) bool { return !dropped(f) }); len(others) > 0 {
		return others
	}
	return facts
}

// unexplained returns the events that show a state that the changes do not explain.
func (h history) unexplained() []Fact {
	return filter(h.facts, func(f Fact) bool {
		_, isChange := visitOf(f, h.name)
		return !isChange && !h.explains(f)
	})
}

// explains reports whether an event shows a state on the path of the changes, or half
// way through one of them. What a snapshot shows was not left before the event that
// caused it.
func (h history) explains(f Fact) bool {
	if h.visited[h.name(f.After)] {
		cause, ok := h.byID[f.Because]
		return !ok || !h.isChange(*cause) || leads(h.steps, h.name(cause.After), h.name(f.After))
	}
	return slices.ContainsFunc(h.changes, func(change Fact) bool { return isBetween(f, change) })
}

func (h history) isChange(f Fact) bool {
	_, ok := visitOf(f, h.name)
	return ok
}

// laterThanChanges returns the events, of those that the changes do not explain, that
// can be later than all changes: by their stamps, or because a snapshot was read because
// of the last change.
func (h history) laterThanChanges(unexplained []Fact, c conclusion) []Fact {
	last := newest(h.changes)
	return filter(unexplained, func(f Fact) bool { return !f.Moment.Before(last) || h.isReadAfter(f, c) })
}

func (h history) isReadAfter(f Fact, c conclusion) bool {
	cause, ok := h.byID[f.Because]
	return ok && len(c.ends) == 1 && h.name(cause.After) == c.ends[0]
}

// verdictWithout is the verdict if some events show states that the changes do not
// explain. The latest wins. An announcement is no evidence of a change.
func (h history) verdictWithout(later []Fact, c conclusion, of Verdict) Verdict {
	ends := h.eventsAt(statesOf(later, h.name))
	if !slices.ContainsFunc(later, func(f Fact) bool { return h.isReadAfter(f, c) }) {
		ends = append(ends, of.Winner)
	}
	v, _ := h.latestOf(ends)
	if v.Ordering == Determined && v.Winner.isAnnouncement() {
		return ambiguous(v.Winner, v.Winner.EventID+" shows a state to which no known change leads.", ends)
	}
	return v
}

// statesOf returns the states that events show, each once.
func statesOf(facts []Fact, name comparison) []string {
	var states []string
	seen := map[string]bool{}
	for _, f := range facts {
		if state := name(f.After); !seen[state] {
			states, seen[state] = append(states, state), true
		}
	}
	return states
}

// eventsAt returns the latest event of each state.
func (h history) eventsAt(states []string) []Fact {
	showing := map[string][]Fact{}
	for _, state := range states {
		showing[state] = nil
	}
	for _, f := range h.facts {
		state := h.name(f.After)
		if _, ok := showing[state]; ok {
			showing[state] = append(showing[state], f)
		}
	}
	var found []Fact
	for _, state := range states {
		if len(showing[state]) > 0 {
			found = append(found, slices.MaxFunc(candidates(showing[state]), compareAge))
		}
	}
	return found
}

// refine chooses one of several events that show the last state as far as all versions
// go. It compares those of the newest version in full, and reports whether that leaves
// one state.
func (h history) refine(end Fact) (winner Fact, isSure bool) {
	state, strictest := h.name(end.After), comparisons(h.facts)[0]
	same := filter(h.facts, func(f Fact) bool { return h.name(f.After) == state })
	if others := filter(same, func(f Fact) bool { return !f.First }); len(others) > 0 {
		same = others
	}
	newer := slices.MaxFunc(same, func(a, b Fact) int { return strings.Compare(a.APIVersion, b.APIVersion) })
	isNewer := func(f Fact) bool { return f.isSnapshot() || f.isOfSameVersion(newer) }
	cameBack := slices.ContainsFunc(h.steps, func(s step) bool { return s.from == state && s.to != state })
	if cameBack && slices.ContainsFunc(same, func(f Fact) bool { return !isNewer(f) && f.Type == events.StripeTypeUpdated }) {
		// The last visit can be in an older version, and differ in what it does not show.
		return slices.MaxFunc(same, compareAge), false
	}
	if w, ok := walkOf(stepsOf(distinctSteps(filter(h.facts, isNewer), strictest), strictest)); ok && !w.isLoop() {
		if last := showingLast(same, w, strictest); len(last) > 0 {
			return latestSnapshot(last)
		}
	}
	if cameBack && !alikeOtherwise(filter(h.changes, isNewer), h.name) {
		// An earlier visit to the state can have differed in what is not compared.
		winner, isSure = latestSnapshot(same)
		return winner, isSure && (winner.isSnapshot() || !hasTie(same, winner))
	}
	same = filter(same, isNewer)
	if w, ok := walkOf(distinct(stepsOf(distinctSteps(same, strictest), strictest))); ok && !w.isLoop() {
		return latestSnapshot(showingLast(same, w, strictest))
	}
	winner, isSure = latestSnapshot(same)
	return winner, isSure && (winner.isSnapshot() || !hasTie(same, winner))
}

// latestSnapshot returns the latest event, and reports whether no other snapshot of its
// moment shows another state.
func latestSnapshot(facts []Fact) (winner Fact, isSure bool) {
	winner = slices.MaxFunc(facts, compareAge)
	return winner, !winner.isSnapshot() || !hasTie(filter(facts, Fact.isSnapshot), winner)
}

func hasTie(facts []Fact, winner Fact) bool {
	return slices.ContainsFunc(facts, func(f Fact) bool {
		return f.Moment.Equal(winner.Moment) && f.After.Full != winner.After.Full
	})
}

// showingLast returns the events that show where a walk ends, and the snapshots that were
// read because of them, or later and show no state that the walk has left.
func showingLast(facts []Fact, w walk, name comparison) []Fact {
	last := filter(facts, func(f Fact) bool { return name(f.After) == w.end })
	if len(last) == 0 {
		return nil
	}
	moment := newest(last)
	return filter(facts, func(f Fact) bool {
		isCause := func(o Fact) bool { return o.EventID == f.Because }
		isLater := f.Moment.After(moment) && !slices.Contains(w.states, name(f.After))
		return name(f.After) == w.end || f.isSnapshot() && (isLater || slices.ContainsFunc(last, isCause))
	})
}

// alikeOtherwise reports whether no change is about anything but what is compared.
func alikeOtherwise(changes []Fact, name comparison) bool {
	full := map[string]string{}
	for _, f := range changes {
		for _, d := range []Digest{f.Before, f.After} {
			known, ok := full[name(d)]
			if ok && d != (Digest{}) && known != d.Full {
				return false
			}
			full[name(d)] = d.Full
		}
	}
	return true
}
