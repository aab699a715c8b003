package verify

import (
	"cmp"
	"slices"
	"time"

	"github.com/billbus/billbus/events/ordering"
)

// Word says what became of an event.
type Word string

// What became of an event.
const (
	Won        Word = "won"        // it holds the present state
	Superseded Word = "superseded" // another event holds a later state
	Ambiguous  Word = "ambiguous"  // it was taken for the last one, which the events do not determine
	Recorded   Word = "recorded"   // it holds no subscription state
)

// Outcome is what became of an event.
type Outcome struct {
	Word Word `json:"outcome"`
	// By is the event that superseded it.
	By string `json:"superseded_by,omitempty"`
	// Why is one sentence of the ordering rule.
	Why string `json:"why,omitempty"`
}

// Outcomes says what became of each event of one subscription, by event id. An
// event is superseded by the first that won over it, as time went on.
func Outcomes(facts []ordering.Fact) map[string]Outcome {
	outcomes := make(map[string]Outcome, len(facts))
	var verdict ordering.Verdict
	open := map[string]ordering.Fact{} // not superseded yet
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

// why says what a verdict had against an event. What was the latest event then need
// not be it now.
func why(f ordering.Fact, v ordering.Verdict) string {
	switch winner := v.Winner; {
	case winner.Terminal && !f.Terminal:
		return winner.EventID + " ended the subscription."
	case winner.Moment.Sub(f.Moment) >= apart:
		return winner.EventID + " is later, of " + winner.Moment.UTC().Format(time.RFC3339) + "."
	}
	return v.Explanation
}

// apart is how far apart two moments are between which the later one decides.
const apart = 2 * time.Second

func winning(v ordering.Verdict) Word {
	if v.Ordering == ordering.Ambiguous {
		return Ambiguous
	}
	return Won
}

// byMoment parts the events by their moments, in order.
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
