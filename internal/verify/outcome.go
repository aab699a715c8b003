package verify

import (
	"cmp"
	"slices"
	"time"

	"github.com/billbus/billbus/events/ordering"
)

// Word is an outcome in one word.
type Word string

// The outcomes of an event.
const (
	Won        Word = "won"        // it holds the present state
	Superseded Word = "superseded" // another event holds a later state
	Ambiguous  Word = "ambiguous"  // it was chosen, but the events do not determine which is the last
	Recorded   Word = "recorded"   // it shows no subscription state
)

// Outcome says what became of an event.
type Outcome struct {
	Word Word `json:"outcome"`
	// By is the event that superseded it.
	By string `json:"superseded_by,omitempty"`
	// Why is one sentence that explains it.
	Why string `json:"why,omitempty"`
}

// Outcomes returns the outcome of each event of one subscription, by event id. If
// several events won over an event in the course of time, the first has superseded it.
func Outcomes(facts []ordering.Fact) map[string]Outcome {
	outcomes := make(map[string]Outcome, len(facts))
	var verdict ordering.Verdict
	open := map[string]ordering.Fact{} // those not superseded yet
	for _, moment := range byMoment(facts) {
		verdict = ordering.Fold(append(slices.Clone(verdict.Relevant), moment...))
		for _, f := range moment {
			open[f.EventID] = f
		}
		for id, f := range open {
			if id != verdict.Winner.EventID {
				outcomes[id] = Outcome{Superseded, verdict.Winner.EventID, why(f, verdict)}
				delete(open, id)
			}
		}
	}
	if len(facts) > 0 {
		outcomes[verdict.Winner.EventID] = Outcome{winning(verdict), "", verdict.Explanation}
	}
	return outcomes
}

// why explains why the winner of a verdict superseded an event. It does not quote the
// verdict's own explanation where that says which event is the latest: it may no longer
// be.
func why(f ordering.Fact, v ordering.Verdict) string {
	switch winner := v.Winner; {
	case winner.Terminal && !f.Terminal:
		return winner.EventID + " ended the subscription."
	case winner.Moment.Sub(f.Moment) >= apart:
		return winner.EventID + " is later, of " + winner.Moment.UTC().Format(time.RFC3339) + "."
	}
	return v.Explanation
}

// apart is the least distance of two moments at which they are worth mentioning.
const apart = 2 * time.Second

func winning(v ordering.Verdict) Word {
	if v.Ordering == ordering.Ambiguous {
		return Ambiguous
	}
	return Won
}

// byMoment groups events by their moments, in order.
func byMoment(facts []ordering.Fact) [][]ordering.Fact {
	sorted := slices.SortedFunc(slices.Values(facts), func(a, b ordering.Fact) int {
		return cmp.Or(a.Moment.Compare(b.Moment), cmp.Compare(a.EventID, b.EventID))
	})
	var groups [][]ordering.Fact
	for i, f := range sorted {
		if i == 0 || !f.Moment.Equal(sorted[i-1].Moment) {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], f)
	}
	return groups
}
