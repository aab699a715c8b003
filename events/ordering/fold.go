package ordering

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
)

// Rule numbers the normalizing and ordering rules. Digest that was decided by
// an older rule is decided again from the audit.
const Rule = 2

// window is how far apart events can be that are put in order by the states they
// lead from and to, and not by their stamps.
const window = 2 * time.Second

// Certainty says whether the known events determine which of them is the last.
type Certainty string

const (
	// Determined means that the rule names one event.
	Determined Certainty = "determined"
	// Ambiguous means that the rule cannot tell some events apart, and that one
	// of them was taken by its id, so that everybody takes the same.
	Ambiguous Certainty = "ambiguous"
)

// Verdict is what [Fold] says about a set of facts.
type Verdict struct {
	// Winner is the event whose subscription is the present state.
	Winner Fact
	// Ordering says how sure that is.
	Ordering Certainty
	// Explanation says in one sentence why this event won.
	Explanation string
	// Relevant are the facts that any later verdict can depend on, by event id:
	// Fold(Relevant ∪ new) is Fold(all ∪ new).
	Relevant []Fact
}

// Fold says which of the events of one subscription holds its present state.
// It is a function of the set: neither order nor repetition changes it.
//
// A subscription that has ended cannot come back: if any event is terminal, only
// terminal ones compete. Of these, the ones of the last two seconds do. Stripe
// stamps whole seconds and says not to order by them, so within these seconds
// the events are put in order by what they say: an update is a step from one
// state to another, and the state in which the steps end is the present one. An
// event that does not say what was before is in order if some step touches its
// state, and an end of its own if none does or if it is later than all of them.
// With several ends, which means that an event is missing or was told twice, the
// later moment wins; if that is the same, it is ambiguous. Two facts with one
// event id have to be equal.
// See https://docs.stripe.com/webhooks#event-ordering
//
// Fold panics if facts is empty: no events, no state.
func Fold(facts []Fact) Verdict {
	if len(facts) == 0 {
		panic("ordering: Fold of no facts")
	}
	relevant := relevant(facts)
	v := decide(relevant)
	v.Relevant = relevant
	return v
}

// relevant returns the facts on which a verdict, now or later, can depend: of the
// class that competes, those in the window, and those of the last second before
// it in which there were any. Whatever is left out here would be left out as well
// if more were known.
func relevant(facts []Fact) []Fact {
	terminal := slices.ContainsFunc(facts, func(f Fact) bool { return f.Terminal })
	kept := without(facts, func(f Fact) bool { return terminal && !f.Terminal })
	start := newest(kept).Add(-window)
	if before := without(kept, func(f Fact) bool { return f.Moment.After(start) }); len(before) > 0 {
		start = newest(before).Add(-time.Second)
	}
	kept = without(kept, func(f Fact) bool { return !f.Moment.After(start) })
	slices.SortFunc(kept, compareIDs)
	return slices.CompactFunc(kept, func(a, b Fact) bool { return a.EventID == b.EventID })
}

func without(facts []Fact, drop func(Fact) bool) []Fact {
	return slices.DeleteFunc(slices.Clone(facts), drop)
}

func newest(facts []Fact) time.Time {
	return slices.MaxFunc(facts, func(a, b Fact) int { return a.Moment.Compare(b.Moment) }).Moment
}

// decide finds where the events in the window end. If they lead round in a circle,
// it is left where it was entered, which what was before them may say.
func decide(facts []Fact) Verdict {
	last := newest(facts)
	tooOld := func(f Fact) bool { return !f.Moment.After(last.Add(-window)) }
	competing := without(facts, tooOld)
	if len(competing) == 1 {
		return determined(competing[0], alone(competing[0]))
	}
	ends := newGraph(competing, digestOf(competing)).ends()
	if len(ends) > 0 {
		return choose(competing, ends)
	}
	if ends = exits(facts); len(ends) == 1 {
		return choose(competing, ends)
	}
	winner := slices.MaxFunc(ends, compareIDs)
	return ambiguous(winner, fmt.Sprintf("%d events lead round in a circle, and %s has the greatest id.", len(competing), winner.EventID))
}

func choose(competing, ends []Fact) Verdict {
	// What came first is no end if there is another.
	if more := without(ends, func(f Fact) bool { return f.First }); len(more) > 0 {
		ends = more
	}
	if len(ends) == 1 {
		return determined(ends[0], fmt.Sprintf("%s is where the changes of these seconds end (%d events).", ends[0].EventID, len(competing)))
	}
	winner := slices.MaxFunc(ends, later)
	ties := 0
	for _, end := range ends {
		if end.Moment.Equal(winner.Moment) {
			ties++
		}
	}
	if ties == 1 {
		return determined(winner, fmt.Sprintf("%s has the latest moment, %s, of %d events that do not follow each other.",
			winner.EventID, stamp(winner), len(ends)))
	}
	return ambiguous(winner, fmt.Sprintf("%d events of %s do not follow each other; %s was taken by its type and id.", ties, stamp(winner), winner.EventID))
}

func determined(f Fact, why string) Verdict {
	return Verdict{Winner: f, Ordering: Determined, Explanation: why}
}

func ambiguous(f Fact, why string) Verdict {
	return Verdict{Winner: f, Ordering: Ambiguous, Explanation: why}
}

func alone(f Fact) string {
	if f.Terminal {
		return f.EventID + " ended the subscription, and no later event is known."
	}
	return f.EventID + " has the latest moment, " + stamp(f) + ", and no later event is known."
}

func stamp(f Fact) string { return f.Moment.UTC().Format(time.RFC3339) }

// later orders by moment, then by the lifecycle, then by id.
func later(a, b Fact) int {
	return cmp.Or(a.Moment.Compare(b.Moment), cmp.Compare(lifecycle(a.Type), lifecycle(b.Type)), compareIDs(a, b))
}

func compareIDs(a, b Fact) int { return strings.Compare(a.EventID, b.EventID) }

func lifecycle(stripeType string) int {
	switch stripeType {
	case events.StripeTypeCreated:
		return 0
	case events.StripeTypeDeleted:
		return 2
	}
	return 1
}
