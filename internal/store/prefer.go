package store

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/billbus/billbus/events"
)

// Preferred reports whether a reading of an event takes the place of the one that is
// stored. One that admits the event comes before one that ignores it: a setting that
// is tightened later removes nothing. Next, one that shows a subscription comes before
// one that shows none, and one in a newer API version before one in an older one. Then
// one that was made on purpose, of what was stored, comes before that of the webhook; of
// two of these, the one by later rules, and then the later one. Of equal ones the first
// that was stored stays.
//
// This is an order, and it does not depend on when readings arrive. So it does not
// matter in which sequence, and by how many subscribers, they are compared. Only one
// that shows another subscription is never preferred: the record of the first would keep
// the event.
func Preferred(own, stored events.Message) bool {
	if a, b := shown(own), shown(stored); a != "" && b != "" && a != b {
		return false
	}
	return compareReadings(own, stored) > 0
}

func compareReadings(a, b events.Message) int {
	return cmp.Or(
		cmp.Compare(rank(a.Data.Ignored == ""), rank(b.Data.Ignored == "")),
		cmp.Compare(rank(shown(a) != ""), rank(shown(b) != "")),
		compareVersions(a.StripeAPIVersion, b.StripeAPIVersion),
		cmp.Compare(rank(isReread(a)), rank(isReread(b))),
		compareRereads(a.Data, b.Data),
	)
}

// shown returns the key of the subscription whose state a reading shows; "" if it shows
// none.
func shown(m events.Message) string {
	if m.Data.Ignored != "" {
		return ""
	}
	return m.SubscriptionKey()
}

var dated = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}`)

// compareVersions compares API versions by their dates. One without a date, or none, is
// older than all others.
func compareVersions(a, b string) int {
	return cmp.Or(cmp.Compare(rank(dated.MatchString(a)), rank(dated.MatchString(b))), strings.Compare(a, b))
}

func compareRereads(a, b events.Data) int {
	if a.RereadAt.IsZero() {
		return 0
	}
	return cmp.Or(cmp.Compare(a.Normalizer, b.Normalizer), a.RereadAt.Compare(b.RereadAt))
}

func rank(preferred bool) int {
	if preferred {
		return 1
	}
	return 0
}

// Replacement returns an entry as it is stored when it replaces another reading.
func Replacement(e Entry, stored events.Message) Entry {
	e.Data.Overlap = e.StripeAPIVersion != stored.StripeAPIVersion
	return e
}

func isReread(m events.Message) bool { return !m.Data.RereadAt.IsZero() }

// contradicts reports whether a message may contradict the fact that a record has kept:
// it replaced another reading, which may have been admitted.
func contradicts(m events.Message) bool { return isReread(m) || m.Data.Overlap }
