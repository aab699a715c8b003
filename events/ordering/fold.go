package ordering

import (
	"fmt"
	"time"
)

// Rule is the number of the normalizing and ordering rules. A record that was
// decided by a lower one is decided again from the audit trail.
const Rule = 3

// Certainty says whether the known events determine which of them is the last.
type Certainty string

const (
	// Determined means that the rule names one event.
	Determined Certainty = "determined"
	// Ambiguous means that the rule cannot order some events. One of them was
	// taken by its id, so that everyone takes the same.
	Ambiguous Certainty = "ambiguous"
)

// Verdict is the result of [Fold].
type Verdict struct {
	// Winner is the event whose subscription is the current state.
	Winner Fact
	// Ordering says how certain that is.
	Ordering Certainty
	// Explanation says in one sentence why this event won.
	Explanation string
	// Candidates are the events that may hold the current state, Winner among them, if
	// Ordering is [Ambiguous].
	Candidates []Fact
	// Relevant are the facts that a later verdict can depend on, by event id:
	// Fold(Relevant ∪ new) equals Fold(all ∪ new). There are as many as
	// Stripe sends within half a minute, however long the history is.
	Relevant []Fact
}

// Fold decides which event of one subscription holds its current state. The order
// and the repetition of facts change nothing.
//
// A subscription that has ended stays ended: if any event is terminal, only
// terminal ones compete. The event that created it never wins against another,
// whatever the stamps. The rest of the last 30 seconds is one history: an updated event
// is a step from one state to another, and the state in which the steps end is the
// current one. If stamps and steps contradict each other, the steps count. An event that
// only shows a state does not win over a step that leads away from that state. If there
// are several ends, an event is missing or was sent twice under two ids. Then the later
// moment wins; if the moments are equal, the result is ambiguous.
// See https://docs.stripe.com/webhooks#event-ordering
//
// Fold panics if facts is empty.
func Fold(facts []Fact) Verdict {
	if len(facts) == 0 {
		panic("ordering: Fold of no facts")
	}
	relevant := relevantTo(facts)
	v := decide(createdFirst(relevant))
	v.Relevant = relevant
	return v
}

func determined(f Fact, why string) Verdict {
	return Verdict{Winner: f, Ordering: Determined, Explanation: why}
}

func ambiguous(f Fact, why string, candidates []Fact) Verdict {
	return Verdict{Winner: f, Ordering: Ambiguous, Explanation: why, Candidates: candidates}
}

func explainOnly(f Fact) string {
	if f.Terminal {
		return f.EventID + " ended the subscription, and no later event is known."
	}
	return fmt.Sprintf("%s has the latest moment, %s, and no later event is known.", f.EventID, stamp(f))
}

func stamp(f Fact) string { return f.Moment.UTC().Format(time.RFC3339) }
