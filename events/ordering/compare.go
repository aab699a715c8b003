package ordering

import (
	"slices"
	"strings"
)

// comparison names the state of a digest. States with one name are the same.
type comparison func(Digest) string

func inFull(d Digest) string { return d.Full }

func inCore(d Digest) string { return d.Core }

// comparisons returns the ways in which the states of facts can be compared, the
// strictest first. One is enough for events of one version. Items are not compared if an
// event does not have all of them.
func comparisons(facts []Fact) []comparison {
	isPartial := slices.ContainsFunc(facts, Fact.isTruncated)
	strictest := inFull
	if isPartial {
		strictest = byFields(facts, newestVersion)
	}
	if ofOneVersion(facts) {
		return []comparison{strictest}
	}
	return []comparison{strictest, byFields(facts, oldest(facts)), byFields(facts, min(oldest(facts), sinceItems))}
}

// comparisonOf compares states by what every event shows.
func comparisonOf(facts []Fact) comparison {
	list := comparisons(facts)
	return list[len(list)-1]
}

func ofOneVersion(facts []Fact) bool {
	return !slices.ContainsFunc(facts, func(f Fact) bool { return f.APIVersion != facts[0].APIVersion })
}

func oldest(facts []Fact) string {
	return slices.MinFunc(facts, func(a, b Fact) int { return strings.Compare(a.APIVersion, b.APIVersion) }).APIVersion
}

// byFields compares states by the fields that all events have since some version.
func byFields(facts []Fact, version string) comparison {
	places, ok := fieldsSince(version, facts)
	if !ok {
		return inCore
	}
	return func(d Digest) string {
		if !d.hasFields() {
			return ""
		}
		var b strings.Builder
		for _, i := range places {
			b.WriteString(d.at(i))
		}
		return b.String()
	}
}

// fieldsSince returns the places of the fields that all events have since some version,
// without the items if an event lacks some. It reports false if an event does not have
// single fields.
func fieldsSince(version string, facts []Fact) (places []int, ok bool) {
	if !slices.ContainsFunc(facts, func(f Fact) bool { return !f.hasFields() }) {
		isPartial := slices.ContainsFunc(facts, Fact.isTruncated)
		for i, f := range fields {
			if f.since <= version && (!isPartial || !f.isOfItems()) {
				places = append(places, i)
			}
		}
	}
	return places, len(places) > 0
}

// isBetween reports whether a state is half way through a change: each field has the
// value of before or after the change.
func isBetween(shown, change Fact) bool {
	if change.Before == (Digest{}) || !shown.hasFields() || !change.hasFields() {
		return false
	}
	version := newestVersion
	if !shown.isOfSameVersion(change) {
		version = min(shown.APIVersion, change.APIVersion)
	}
	isPartial := shown.isTruncated() || change.isTruncated()
	for i, f := range fields {
		if f.since > version || isPartial && f.isOfItems() {
			continue
		}
		if got := shown.After.at(i); got != change.Before.at(i) && got != change.After.at(i) {
			return false
		}
	}
	return true
}
