package ordering

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
)

// EntitlementsFact is what one message says about what a customer may use, and when.
type EntitlementsFact struct {
	events.Entitlements
	EventID string `json:"event_id"`
	// Moment is when the event was created or, for a list that was read from Stripe's
	// API, when it was read. It is in seconds.
	Moment time.Time `json:"moment"`
	// Read is true for a list that was read from Stripe's API.
	Read bool `json:"read,omitempty"`
}

// EntitlementsFactOf returns the fact in a message. It reports false if the message has no
// entitlements of a customer.
func EntitlementsFactOf(m events.Message) (EntitlementsFact, bool) {
	e := m.Data.Entitlements
	if e == nil || e.CustomerID == "" || m.Data.Ignored != "" {
		return EntitlementsFact{}, false
	}
	return EntitlementsFact{*e, m.ID, m.Time.Truncate(time.Second), m.Type == events.SubjectEntitlementsSnapshot}, true
}

// compareSecond compares how far two facts reach: a list is read from Stripe's API after the
// events that were received by then, so it is later than those of its second.
func (f EntitlementsFact) compareSecond(g EntitlementsFact) int {
	switch c := f.Moment.Compare(g.Moment); {
	case c != 0, f.Read == g.Read:
		return c
	case f.Read:
		return 1
	}
	return -1
}

// CustomerEntitlements is what a customer may use.
type CustomerEntitlements struct {
	// Features are sorted by their lookup keys and ids.
	Features []events.Feature
	// Truncated is true if the latest list was cut off. Features that it does not list
	// may be gone.
	Truncated bool
	// EventID is the event, or the snapshot, with the latest list.
	EventID string
	// Ambiguous is true if another list of the same second gives other features.
	Ambiguous bool
	// Known are the facts that a later decision can depend on, in no particular order.
	// All others can be forgotten. There are not more than features, and lists of two
	// seconds.
	Known []EntitlementsFact
}

// Entitlements decides from all facts about a customer what the customer may use. It
// depends on the set of facts only, not on their sequence, and a fact can be repeated.
//
// The newest list counts. Of one second, that which was read from Stripe's API counts;
// otherwise, one is taken by its event id.
//
// A list that was cut off takes nothing away, because what it does not list may be behind
// the cut: it adds to the latest complete list and to what other lists have added since.
// So a customer with more than ten features loses one only by a complete list, which the
// bridge reads from Stripe if it has a key.
func Entitlements(facts []EntitlementsFact) CustomerEntitlements {
	if len(facts) == 0 {
		return CustomerEntitlements{}
	}
	known := withoutCovered(sinceComplete(facts))
	last := known[len(known)-1]
	decided := CustomerEntitlements{Features: featuresAfter(last, known), Truncated: last.Truncated, EventID: last.EventID, Known: known}
	for _, other := range known {
		if other.compareSecond(last) == 0 && !slices.Equal(featuresAfter(other, known), decided.Features) {
			decided.Ambiguous = true
		}
	}
	return decided
}

// sinceComplete returns the latest complete list, others that may be the latest one, and
// everything that is later, in order.
func sinceComplete(facts []EntitlementsFact) []EntitlementsFact {
	all := slices.SortedFunc(slices.Values(facts), func(a, b EntitlementsFact) int {
		return cmp.Or(a.compareSecond(b), cmp.Compare(a.EventID, b.EventID))
	})
	all = slices.CompactFunc(all, func(a, b EntitlementsFact) bool { return a.EventID == b.EventID })
	base := all[0]
	for _, f := range all {
		if !f.Truncated {
			base = f
		}
	}
	return slices.DeleteFunc(all, func(f EntitlementsFact) bool { return f.compareSecond(base) < 0 })
}

// withoutCovered drops lists that were cut off if later ones have all of their features.
// What takes the later ones away takes these away as well.
func withoutCovered(known []EntitlementsFact) []EntitlementsFact {
	last, latest := known[len(known)-1], map[events.Feature]EntitlementsFact{}
	for _, f := range known {
		for _, feature := range f.Features {
			latest[feature] = f
		}
	}
	return slices.DeleteFunc(known, func(f EntitlementsFact) bool {
		isLatest := func(feature events.Feature) bool { return f.compareSecond(latest[feature]) == 0 }
		return f.Truncated && f.compareSecond(last) < 0 && !slices.ContainsFunc(f.Features, isLatest)
	})
}

// featuresAfter returns the features of a customer if a fact is the last of those known.
func featuresAfter(last EntitlementsFact, known []EntitlementsFact) []events.Feature {
	features := slices.Clone(last.Features)
	if last.Truncated {
		for _, f := range known {
			features = append(features, f.Features...)
		}
	}
	slices.SortFunc(features, func(a, b events.Feature) int {
		return cmp.Or(strings.Compare(a.LookupKey, b.LookupKey), strings.Compare(a.FeatureID, b.FeatureID))
	})
	return slices.Compact(features)
}
