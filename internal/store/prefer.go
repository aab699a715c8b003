package store

import (
	"cmp"

	"github.com/billbus/billbus/events"
)

// Preferred reports whether a reading of an event takes the place of the one that is
// stored. One that admits the event comes before one that ignores it: a setting that
// is tightened later removes nothing. Next, one that was made on purpose, of what
// was stored, comes before that of the webhook; of two of these, the one by later
// rules, and then the later one. Of equal ones the first that was stored stays.
//
// This is an order, and it does not depend on when readings arrive. So it does not
// matter in which sequence, and by how many subscribers, they are compared.
func Preferred(own, stored events.Message) bool { return compareReadings(own.Data, stored.Data) > 0 }

func compareReadings(a, b events.Data) int {
	if c := cmp.Compare(rank(a.Ignored == ""), rank(b.Ignored == "")); c != 0 || a.RereadAt.IsZero() && b.RereadAt.IsZero() {
		return c
	}
	return cmp.Or(
		cmp.Compare(rank(!a.RereadAt.IsZero()), rank(!b.RereadAt.IsZero())),
		cmp.Compare(a.Normalizer, b.Normalizer),
		a.RereadAt.Compare(b.RereadAt),
	)
}

func rank(preferred bool) int {
	if preferred {
		return 1
	}
	return 0
}

// isReread reports whether a message was made from what was stored. Unlike a message
// that is new, it may contradict the fact that a record has kept.
func isReread(m events.Message) bool { return !m.Data.RereadAt.IsZero() }
