package ordering_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/test/kit"
)

// genHistory makes the events of a subscription in true order. Only the created event
// can have a later stamp than the next. Nothing but the beginning is missing, and two
// events of one change have the same request.
func genHistory() *rapid.Generator[[]ordering.Fact] {
	return rapid.Custom(func(t *rapid.T) []ordering.Fact {
		h := &history{t: t, state: genState(t)}
		if rapid.Bool().Draw(t, "from the beginning") {
			h.add(ordering.Fact{Type: "customer.subscription.created", First: true})
			late := rapid.SampledFrom([]int{0, 0, 1, 2, 6}).Draw(t, "late")
			h.facts[0].Moment = h.facts[0].Moment.Add(time.Duration(late) * time.Second)
		}
		for n := rapid.IntRange(1, 8).Draw(t, "n"); len(h.facts) < n || len(h.facts) == 0; {
			h.next()
		}
		return h.facts
	})
}

type history struct {
	t      *rapid.T
	second int
	state  ordering.Digest
	facts  []ordering.Fact
}

func genState(t *rapid.T) ordering.Digest {
	name := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "state")
	return ordering.Digest{Full: name, Core: name}
}

// next adds a change, a change with two events, or a marker.
func (h *history) next() {
	h.second += rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 1, 1, 2, 9, 31}).Draw(h.t, "later")
	what := rapid.SampledFrom([]string{"change", "change", "change", "twice", "marker"}).Draw(h.t, "what")
	if what == "marker" {
		h.add(ordering.Fact{Type: "customer.subscription.trial_will_end"})
		return
	}
	f := ordering.Fact{Type: "customer.subscription.updated", Before: h.state}
	h.state = genState(h.t)
	if what == "twice" {
		f.Request = fmt.Sprintf("req_%d", len(h.facts))
		h.add(f)
	}
	h.add(f)
}

// add gives the event a random id.
func (h *history) add(f ordering.Fact) {
	f.EventID = fmt.Sprintf("evt_%02d_%d", rapid.IntRange(0, 99).Draw(h.t, "id"), len(h.facts))
	f.Moment, f.After = kit.At(0).Add(time.Duration(h.second)*time.Second), h.state
	h.facts = append(h.facts, f)
}

// horizon is from where on stamps do not order changes.
const horizon = 31 * time.Second

// possibleEnds tries all orders in which the events can have happened, and returns the
// states in which they can end. The created event is first, and stamps order events only
// before and after the horizon. Every event begins in the state in which the one before
// ended, and a change with two events counts once. What markers show can be older than
// their stamps, so they count only if no change is known within the horizon, or before it.
func possibleEnds(facts []ordering.Fact) []string {
	var changes []ordering.Fact
	for _, f := range withoutLateMarkers(facts) {
		again := func(o ordering.Fact) bool {
			return f.Request != "" && f.Request == o.Request && f.Before == o.Before && f.After == o.After
		}
		if !slices.ContainsFunc(changes, again) {
			changes = append(changes, f)
		}
	}
	ends := map[string]bool{}
	walk(changes, nil, ends)
	var states []string
	for state := range ends {
		states = append(states, state)
	}
	return slices.Sorted(slices.Values(states))
}

func newest(facts []ordering.Fact) time.Time {
	return slices.MaxFunc(facts, func(a, b ordering.Fact) int { return a.Moment.Compare(b.Moment) }).Moment
}

func withoutLateMarkers(facts []ordering.Fact) []ordering.Fact {
	start := newest(facts).Add(-horizon)
	isMarker := func(f ordering.Fact) bool { return f.Before == (ordering.Digest{}) && !f.First }
	isLate := func(f ordering.Fact) bool { return f.Moment.After(start) }
	if !slices.ContainsFunc(facts, func(f ordering.Fact) bool { return !isMarker(f) && isLate(f) }) {
		return facts
	}
	return slices.DeleteFunc(slices.Clone(facts), func(f ordering.Fact) bool { return isMarker(f) && isLate(f) })
}

func walk(rest []ordering.Fact, last *ordering.Fact, ends map[string]bool) {
	if len(rest) == 0 {
		ends[last.After.Full] = true
		return
	}
	for i, f := range rest {
		isNext := f.First || !slices.ContainsFunc(rest, func(o ordering.Fact) bool { return o.First || isBefore(o, f, newest(rest)) })
		follows := last == nil || !f.First && (f.After == last.After && f.Before == ordering.Digest{} || f.Before == last.After)
		if isNext && follows {
			walk(slices.Delete(slices.Clone(rest), i, i+1), &f, ends)
		}
	}
}

// isBefore reports whether stamps alone put an event before another.
func isBefore(a, b ordering.Fact, newest time.Time) bool {
	start := newest.Add(-horizon)
	return a.Moment.Before(b.Moment) && !a.Moment.After(start)
}

func line(facts []ordering.Fact) string {
	var b strings.Builder
	for _, f := range facts {
		fmt.Fprintf(&b, "\n  %s %s %q -> %q %s %s", f.Moment.Format(time.TimeOnly), f.EventID, f.Before.Full, f.After.Full, f.Request, f.Type)
	}
	return b.String()
}

// check runs rapid.Check several times, for properties that are quick and need many
// examples.
func check(t *testing.T, times int, property func(*rapid.T)) {
	t.Helper()
	for range times {
		rapid.Check(t, property)
	}
}

// TestFoldAgainstAllPossibleOrders compares the verdict with all orders in which the
// events can have happened. If all have the same end, the verdict has to be that end and
// determined; otherwise it has to be ambiguous.
func TestFoldAgainstAllPossibleOrders(t *testing.T) {
	t.Parallel()
	var all, ambiguous, forgotten int
	check(t, 30, func(t *rapid.T) {
		facts := genHistory().Draw(t, "history")
		got, truth := ordering.Fold(facts), facts[len(facts)-1].After.Full
		possible := possibleEnds(got.Relevant)
		if !slices.Contains(possible, truth) {
			t.Fatalf("the end is %s, but only %v are possible:%s", truth, possible, line(facts))
		}
		if (len(possible) > 1) != (got.Ordering == ordering.Ambiguous) {
			t.Fatalf("got %s where %v are possible: %s%s", got.Ordering, possible, got.Explanation, line(facts))
		}
		if end := got.Winner.After.Full; got.Ordering == ordering.Determined && end != truth {
			t.Fatalf("got %s, which is %s, want %s: %s%s", got.Winner.EventID, end, truth, got.Explanation, line(facts))
		} else if !slices.Contains(possible, end) {
			t.Fatalf("got %s, which is %s and not one of the possible %v%s", got.Winner.EventID, end, possible, line(facts))
		}
		all++
		if got.Ordering == ordering.Ambiguous {
			ambiguous++
			if len(possibleEnds(facts)) == 1 {
				forgotten++
			}
		}
	})
	t.Logf("%d of %d histories are ambiguous; for %d of them, events that are not kept would determine the end", ambiguous, all, forgotten)
}

// TestFoldOfEveryPermutation folds small histories in every order, and larger ones in
// some orders with repetitions; at once and event by event.
func TestFoldOfEveryPermutation(t *testing.T) {
	t.Parallel()
	check(t, 3, func(t *rapid.T) {
		facts := genHistory().Draw(t, "history")
		want := ordering.Fold(facts)
		same := func(arrival []ordering.Fact) {
			if got := ordering.Fold(arrival); !cmp.Equal(want, got) {
				t.Fatalf("got %s, want %s%s", got.Explanation, want.Explanation, line(arrival))
			}
		}
		if len(facts) <= 6 && rapid.IntRange(0, 3).Draw(t, "every order") == 0 {
			permute(facts, len(facts), same)
			return
		}
		arrival := repeatedAndShuffled(t, facts)
		same(arrival)
		var kept []ordering.Fact
		for _, f := range arrival {
			kept = ordering.Fold(append(kept, f)).Relevant
		}
		same(kept)
	})
}

// permute visits every order of the first n.
func permute(facts []ordering.Fact, n int, visit func([]ordering.Fact)) {
	if n <= 1 {
		visit(facts)
		return
	}
	for i := range n {
		permute(facts, n-1, visit)
		j := 0
		if n%2 == 0 {
			j = i
		}
		facts[j], facts[n-1] = facts[n-1], facts[j]
	}
}

// TestShuffledIDsDecideNothing checks that a determined verdict does not depend on ids.
func TestShuffledIDsDecideNothing(t *testing.T) {
	t.Parallel()
	check(t, 10, func(t *rapid.T) {
		facts := genHistory().Draw(t, "history")
		renamed := slices.Clone(facts)
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for i, n := range random.Perm(len(renamed)) {
			renamed[i].EventID = fmt.Sprintf("evt_%d", n)
		}
		a, b := ordering.Fold(facts), ordering.Fold(renamed)
		if a.Ordering != b.Ordering || a.Ordering == ordering.Determined && a.Winner.After != b.Winner.After {
			t.Fatalf("got %s, and with other ids %s%s", a.Explanation, b.Explanation, line(facts))
		}
	})
}
