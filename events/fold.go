package events

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rule numbers the normalizing and ordering rules. State that was decided by
// an older rule is decided again from the audit.
const Rule = 1

// Ordering says whether the known events determine which of them is the last.
type Ordering string

const (
	// Determined means that the rule names one event.
	Determined Ordering = "determined"
	// Ambiguous means that the rule cannot tell some events apart, and that one
	// of them was taken by its id, so that everybody takes the same.
	Ambiguous Ordering = "ambiguous"
)

// Fact is what the ordering rule needs to know of one event of a subscription.
type Fact struct {
	// EventID is unique within a set of facts.
	EventID string
	// Type is Stripe's event type; [SubjectSnapshot] where no event of Stripe's
	// told of it.
	Type string
	// APIVersion is the one in which Stripe rendered the event.
	APIVersion string
	// Moment is when what the event tells of happened; see [FactOf].
	Moment time.Time
	// Terminal is true if the subscription had ended by this event.
	Terminal bool
}

// Verdict is what [Fold] says about a set of facts.
type Verdict struct {
	// Winner is the event whose subscription is the present state.
	Winner Fact
	// Ordering says how sure that is.
	Ordering Ordering
	// Explanation says in one sentence why this event won.
	Explanation string
	// Relevant are the facts that any later verdict can depend on, by event id:
	// Fold(Relevant ∪ new) is Fold(all ∪ new).
	Relevant []Fact
}

// FactOf extracts the fact from a message; false if the message holds no
// subscription. Messages that were not admitted hold none that counts.
//
// The moment is the event's created, which Stripe stamps in whole seconds, to
// the millisecond that stores keep. Stripe stamps a …created event up to seconds
// after the object it tells of, and so possibly after the first update: there
// the lesser of the two stamps counts.
func FactOf(m Message) (Fact, bool) {
	sub := m.Data.Subscription
	if sub == nil || m.Data.Ignored != "" {
		return Fact{}, false
	}
	moment := m.Time
	if m.StripeType == stripeSubscription+"created" && !sub.Created.IsZero() && sub.Created.Before(moment) {
		moment = sub.Created
	}
	return Fact{
		EventID:    m.ID,
		Type:       cmp.Or(m.StripeType, m.Type),
		APIVersion: m.StripeAPIVersion,
		// A finer moment would come back from a store as an earlier one, and lose
		// against itself.
		Moment:   moment.UTC().Truncate(time.Millisecond),
		Terminal: sub.Terminal() || m.StripeType == stripeSubscription+"deleted",
	}, true
}

// Fold says which of the events of one subscription holds its present state.
// It is a function of the set: neither order nor repetition changes it.
//
// A subscription that has ended cannot come back, so terminal events win over
// all others; then the later moment wins; within one moment the lifecycle
// decides (created is first, deleted last). Stripe's stamps are whole seconds
// and its documentation says not to order by them, so what is still tied is
// ambiguous, and the greatest event id is taken.
// See https://docs.stripe.com/webhooks#event-ordering
//
// Fold panics if facts is empty: no events, no state.
func Fold(facts []Fact) Verdict {
	if len(facts) == 0 {
		panic("events: Fold of no facts")
	}
	relevant := top(facts)
	winner := relevant[len(relevant)-1]
	verdict := Verdict{Winner: winner, Ordering: Determined, Relevant: relevant}
	verdict.Explanation = fmt.Sprintf("%s %s, and no later event is known.", winner.EventID, describeFact(winner))
	if len(relevant) > 1 {
		verdict.Ordering = Ambiguous
		verdict.Explanation = fmt.Sprintf(
			"%d events of %s cannot be told apart by their stamps, and %s has the greatest id.",
			len(relevant), winner.Moment.UTC().Format(time.RFC3339), winner.EventID)
	}
	return verdict
}

func describeFact(f Fact) string {
	if f.Terminal {
		return "ended the subscription"
	}
	return "has the latest moment, " + f.Moment.UTC().Format(time.RFC3339)
}

// top returns the facts that no other fact beats, each event once, by id.
func top(facts []Fact) []Fact {
	var best []Fact
	for _, f := range facts {
		switch {
		case len(best) == 0 || rank(f, best[0]) > 0:
			best = append(best[:0], f)
		case rank(f, best[0]) == 0:
			best = append(best, f)
		}
	}
	slices.SortFunc(best, func(a, b Fact) int { return strings.Compare(a.EventID, b.EventID) })
	return slices.CompactFunc(best, func(a, b Fact) bool { return a.EventID == b.EventID })
}

// rank compares by everything but the event id: a total preorder.
func rank(a, b Fact) int {
	return cmp.Or(
		compareBool(a.Terminal, b.Terminal),
		a.Moment.Compare(b.Moment),
		cmp.Compare(lifecycle(a.Type), lifecycle(b.Type)),
	)
}

func lifecycle(stripeType string) int {
	switch stripeType {
	case stripeSubscription + "created":
		return 0
	case stripeSubscription + "deleted":
		return 2
	}
	return 1
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
