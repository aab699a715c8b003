// Package gaps describes the report in which subscribers say where events are missing, for
// "bridge backfill", which has no access to the database.
package gaps

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/events/ordering"
)

const (
	// Key is where the report is in the bucket of the state view.
	Key = "gaps"
	// EventsKept is how long Stripe keeps events, and so how long a gap can be filled.
	EventsKept = 30 * 24 * time.Hour

	// stampError is more than timestamps of events are off.
	stampError = time.Minute
	// refreshInterval is how often a subscriber says that it still looks after a gap.
	refreshInterval = 5 * time.Minute
	// abandonedAfter is when nobody does any more.
	abandonedAfter = 3 * refreshInterval
	// maxGaps keeps the report within the size of a message. The latest gaps stay.
	maxGaps = 1000
)

// Gap is a place in the events of a subscription where at least one is missing.
type Gap struct {
	Subscription string `json:"subscription"` // the key of its record
	After        string `json:"after"`        // the id of the event before the gap
	Before       string `json:"before"`       // the id of the event after it
	// Since and Until are when the missing event was created, at the earliest and at the
	// latest.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	// CheckedAt is when a subscriber said that the gap is open.
	CheckedAt time.Time `json:"checked_at"`
}

// Of returns a gap of a subscription, which is open at the given time.
func Of(subscription string, g ordering.Gap, at time.Time) Gap {
	return Gap{subscription, g.After, g.Before, g.Since.Add(-stampError).UTC(), g.Until.Add(stampError).UTC(), at.UTC()}
}

// Found returns what [Of] was given.
func (g Gap) Found() ordering.Gap {
	return ordering.Gap{After: g.After, Since: g.Since.Add(stampError), Before: g.Before, Until: g.Until.Add(-stampError)}
}

// Mode returns "live" or "test".
func (g Gap) Mode() string { return g.part(0) }

// Account returns the account, or "platform".
func (g Gap) Account() string { return g.part(1) }

func (g Gap) part(n int) string { return strings.Split(g.Subscription+"::", ":")[n] }

// Fillable reports whether Stripe may still have the missing event.
func (g Gap) Fillable(now time.Time) bool { return now.Sub(g.Until) < EventsKept }

func (g Gap) is(other Gap) bool {
	return g.Subscription == other.Subscription && g.After == other.After && g.Before == other.Before
}

// Report is the gaps that subscribers know, at most 1000.
type Report struct {
	Gaps []Gap `json:"gaps"`
}

// Decode returns an empty report for a value that cannot be read: the next update replaces
// it.
func Decode(value []byte) (r Report) {
	if json.Unmarshal(value, &r) != nil {
		return Report{}
	}
	return r
}

// Abandoned returns the gaps of others that no subscriber looks after any more.
func (r Report) Abandoned(now time.Time, mine func(Gap) bool) []Gap {
	return slices.DeleteFunc(slices.Clone(r.Gaps), func(g Gap) bool {
		return mine(g) || now.Sub(g.CheckedAt) < abandonedAfter || !g.Fillable(now)
	})
}

// Updated returns a report with the gaps that one subscriber looks after, in place of those
// that it has looked after so far. Gaps that can no longer be filled are left out.
func (r Report) Updated(open []Gap, mine func(Gap) bool, now time.Time) Report {
	next := slices.DeleteFunc(slices.Clone(r.Gaps), func(g Gap) bool {
		return mine(g) || slices.ContainsFunc(open, g.is)
	})
	for _, g := range open {
		i := slices.IndexFunc(r.Gaps, g.is)
		if i >= 0 && now.Sub(r.Gaps[i].CheckedAt) < refreshInterval {
			g.CheckedAt = r.Gaps[i].CheckedAt // not every update needs a write
		}
		next = append(next, g)
	}
	next = slices.DeleteFunc(next, func(g Gap) bool { return !g.Fillable(now) })
	slices.SortFunc(next, func(a, b Gap) int {
		return cmp.Or(b.Until.Compare(a.Until), cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Before, b.Before))
	})
	return Report{next[:min(len(next), maxGaps)]}
}

// Equal reports whether two reports say the same.
func (r Report) Equal(other Report) bool {
	return slices.EqualFunc(r.Gaps, other.Gaps, func(a, b Gap) bool {
		return a.is(b) && a.Since.Equal(b.Since) && a.Until.Equal(b.Until) && a.CheckedAt.Equal(b.CheckedAt)
	})
}
