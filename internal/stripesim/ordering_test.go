package stripesim_test

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripesim"
)

var (
	perKind = flag.Int("histories", defaultHistories, "histories of each kind to put in order")
	seed    = flag.Uint64("seed", 1, "seed of the histories to put in order")
)

// repeat says in a failure how to get it again.
func repeat() string {
	return fmt.Sprintf("repeat with -args -seed %d -histories %d", *seed, *perKind)
}

// subscription is a generated history as the ordering rule sees it.
type subscription struct {
	id    string
	kind  stripesim.Kind
	open  bool
	facts []ordering.Fact // in true order
	// deliveries are these events, with all their renderings.
	deliveries []stripesim.Delivery
	truth      []string          // the final state, in each rendering of the last event
	states     map[string]string // by event id
}

func (s subscription) last() ordering.Fact { return s.facts[len(s.facts)-1] }

// isRight reports whether an event shows the final state.
func (s subscription) isRight(winner ordering.Fact) bool {
	last := s.last()
	if winner.APIVersion == last.APIVersion {
		return winner.After.Full == last.After.Full
	}
	return winner.After.Core == last.After.Core
}

// isRightButItems reports whether an event shows the final state except for items, which
// take no part if events list only some of them, as far as every version goes.
func (s subscription) isRightButItems(t *testing.T, winner ordering.Fact) bool {
	t.Helper()
	var got, want events.Subscription
	for id, into := range map[string]*events.Subscription{winner.EventID: &got, s.last().EventID: &want} {
		if err := json.Unmarshal([]byte(s.states[id]), into); err != nil {
			t.Fatal(err)
		}
	}
	return strings.Contains(string(s.kind), string(stripesim.Truncated)) && got.Status == want.Status && maps.Equal(got.Metadata, want.Metadata) &&
		got.CancelAt.Equal(want.CancelAt) && got.DefaultPaymentMethodID == want.DefaultPaymentMethodID
}

func (s subscription) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s of kind %s, open %v; %s\n", s.id, s.kind, s.open, repeat())
	for _, f := range s.facts {
		fmt.Fprintf(&b, "  %s %s %-20s %.6s -> %.6s %s %s\n", f.Moment.Format(time.TimeOnly), f.EventID, strings.TrimPrefix(f.Type, "customer."), f.Before.Full, f.After.Full, f.APIVersion, f.Request)
	}
	return b.String()
}

// ofEachKind generates some histories of every kind.
func ofEachKind(n int) stripesim.History {
	kinds := stripesim.Kinds()
	return stripesim.Generate(stripesim.Config{Seed: *seed, Subscriptions: n * len(kinds), Ties: 1, Kinds: kinds})
}

// subscriptions reads the JSON of a history.
func subscriptions(t *testing.T, h stripesim.History) []subscription {
	t.Helper()
	n, rng := normalizer(t), rand.New(rand.NewPCG(h.Seed, 1))
	groups := bySubscription(h)
	list := make([]subscription, 0, len(h.Truth))
	for _, key := range slices.Sorted(maps.Keys(h.Truth)) {
		truth := h.Truth[key]
		s := subscription{
			id: truth.Subscription.ID, kind: truth.Kind, open: truth.Open,
			truth: []string{encode(t, truth.Subscription), encode(t, truth.Also)}, states: map[string]string{},
		}
		s.deliveries = slices.DeleteFunc(groups[s.id], func(d stripesim.Delivery) bool { return !isSubscription(d) && d.Type != stripesim.Snapshot })
		for _, d := range oneRendering(rng, s.deliveries) {
			m := read(t, n, d)
			if fact, ok := ordering.FactOf(m); ok {
				s.facts, s.states[m.ID] = append(s.facts, fact), encode(t, m.Data.Subscription)
			}
		}
		list = append(list, s)
	}
	return list
}

// oneRendering keeps one of the renderings of each event, as a store does.
func oneRendering(rng *rand.Rand, deliveries []stripesim.Delivery) []stripesim.Delivery {
	var kept []stripesim.Delivery
	for _, d := range deliveries {
		switch last := len(kept) - 1; {
		case d.Type == stripesim.Snapshot || last < 0 || kept[last].ID != d.ID:
			kept = append(kept, d)
		case rng.IntN(2) == 0:
			kept[last] = d
		}
	}
	return kept
}

func read(t *testing.T, n *normalize.Normalizer, d stripesim.Delivery) events.Message {
	t.Helper()
	if d.Type != stripesim.Snapshot {
		return normalized(t, n, d)
	}
	m, err := n.Snapshot(d.Body, normalize.Reading{
		APIVersion: d.APIVersion, At: d.Created, Origin: events.OriginThin, Reason: events.ReasonThin, ReceivedAt: d.Created,
	})
	if err != nil || len(m.Data.Warnings) > 0 {
		t.Fatalf("%v, %v\n%s", err, m.Data.Warnings, d.Body)
	}
	m.Data.BecauseOf = d.Because
	return m
}

// TestOrderingReport puts histories of every kind in order. Where nothing is missing
// the verdict has to be exact, and nothing that is wrong may be called determined,
// except where a complete history leaves the same events. With -v it prints the table
// of docs/ordering.md.
func TestOrderingReport(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(*seed, 2))
	counts := map[stripesim.Kind]*tally{}
	for _, s := range subscriptions(t, ofEachKind(*perKind)) {
		if counts[s.kind] == nil {
			counts[s.kind] = &tally{others: make([]int, len(alternatives))}
		}
		arrival := shuffled(rng, s.facts)
		v := ordering.Fold(arrival)
		counts[s.kind].add(s, v, arrival)
		checkVerdict(t, s, v)
	}
	t.Logf("seed %d\n%s", *seed, table(counts))
}

func checkVerdict(t *testing.T, s subscription, v ordering.Verdict) {
	t.Helper()
	complete := isComplete(s.kind)
	isAmbiguous := v.Ordering == ordering.Ambiguous
	switch {
	case complete && s.open != isAmbiguous && !s.kind.MayBeAmbiguous():
		t.Errorf("got %s: %s\n%s", v.Ordering, v.Explanation, s)
	case complete && !s.open && !isAmbiguous && !slices.Contains(s.truth, s.states[v.Winner.EventID]):
		t.Errorf("got %s, want %s: %s\n%s", s.states[v.Winner.EventID], s.truth[0], v.Explanation, s)
	case !isAmbiguous && !s.isRight(v.Winner) && s.kind != stripesim.DoubledSilently && (complete || !canEndIn(s.facts, v.Winner.After)):
		t.Errorf("got %s, which is wrong: %s\n%s", v.Winner.EventID, v.Explanation, s)
	}
}

func isComplete(kind stripesim.Kind) bool {
	return slices.Contains(stripesim.SentKinds(), kind) || kind == stripesim.StaleSnapshot || kind == stripesim.Truncated
}

// canEndIn reports whether the events are those of a history that ends in some state, in
// which nothing is missing, nothing was sent twice, and stamps are right. It tries all orders.
func canEndIn(facts []ordering.Fact, end ordering.Digest) bool {
	changes := slices.DeleteFunc(slices.Clone(facts), func(f ordering.Fact) bool { return !f.First && f.Before == ordering.Digest{} })
	slices.SortStableFunc(changes, func(a, b ordering.Fact) int {
		return cmp.Or(cmp.Compare(count(b.First), count(a.First)), a.Moment.Compare(b.Moment))
	})
	return canGoOn(changes, nil, end)
}

func canGoOn(rest []ordering.Fact, last *ordering.Fact, end ordering.Digest) bool {
	if len(rest) == 0 {
		return last.After == end
	}
	for i, f := range rest {
		if !f.Moment.Equal(rest[0].Moment) {
			return false
		}
		follows := last == nil || f.Before == last.After
		if follows && canGoOn(slices.Delete(slices.Clone(rest), i, i+1), &f, end) {
			return true
		}
	}
	return false
}

// TestCombinations puts complete histories in order whose events come in every way. None
// may be wrong and determined. It prints how often the rule does not know although one
// truth alone explains the events.
func TestCombinations(t *testing.T) {
	t.Parallel()
	kinds := stripesim.Combinations()
	n := max(1, *perKind/20)
	h := stripesim.Generate(stripesim.Config{Seed: *seed, Subscriptions: n * len(kinds), Ties: 1, Kinds: kinds})
	rng := rand.New(rand.NewPCG(*seed, 8))
	all, unknown, gapsIn := 0, 0, 0
	for _, s := range subscriptions(t, h) {
		v := ordering.Fold(shuffled(rng, s.facts))
		isAmbiguous := v.Ordering == ordering.Ambiguous
		if !isAmbiguous && !s.isRight(v.Winner) && !s.isRightButItems(t, v.Winner) {
			t.Errorf("got %s, which is wrong: %s\n%s", v.Winner.EventID, v.Explanation, s)
		}
		if gaps := ordering.Gaps(s.facts); len(gaps) > 0 && !s.open {
			gapsIn++
		}
		all, unknown = all+count(!s.open), unknown+count(!s.open && isAmbiguous)
	}
	t.Logf("seed %d: of %d complete histories of %d kinds, %d are ambiguous, and %d seem to have gaps", *seed, all, len(kinds), unknown, gapsIn)
}

// TestHistoriesAtEveryPoint stops complete histories after each event. However late
// the created event is stamped, the verdict is right and there is no gap. It is
// stamped latest in renderings from before subscriptions had items, which have no
// stamp of the subscription itself.
func TestHistoriesAtEveryPoint(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: *seed, Subscriptions: 4 * *perKind, Ties: 0.3, APIVersions: []string{"2015-10-01", "2020-08-27"}})
	rng := rand.New(rand.NewPCG(*seed, 6))
	for _, s := range subscriptions(t, h) {
		for n := 1; n <= len(s.facts); n++ {
			known := subscription{id: s.id, facts: s.facts[:n]}
			arrival := shuffled(rng, known.facts)
			if v := ordering.Fold(arrival); v.Ordering == ordering.Determined && !known.isRight(v.Winner) {
				t.Errorf("got %s, which is wrong: %s\n%s", v.Winner.EventID, v.Explanation, known)
			}
			if gaps := ordering.Gaps(arrival); len(gaps) > 0 {
				t.Errorf("got gaps %v\n%s", gaps, known)
			}
		}
	}
}

// alternatives are rules that other programs use, each applied to the events as they
// arrive.
var alternatives = []struct {
	name string
	// replaces reports whether an event that arrives replaces the state.
	replaces func(arrived, state ordering.Fact) bool
}{
	{"greater wins", func(a, s ordering.Fact) bool { return a.Moment.After(s.Moment) }},
	{"greater or equal wins", func(a, s ordering.Fact) bool { return !a.Moment.Before(s.Moment) }},
	{"last arrival wins", func(_, _ ordering.Fact) bool { return true }},
	{"greatest id wins", func(a, s ordering.Fact) bool {
		return cmp.Or(a.Moment.Compare(s.Moment), strings.Compare(a.EventID, s.EventID)) > 0
	}},
}

func naive(arrival []ordering.Fact, replaces func(arrived, state ordering.Fact) bool) ordering.Fact {
	state := arrival[0]
	for _, f := range arrival[1:] {
		if replaces(f, state) {
			state = f
		}
	}
	return state
}

// tally counts verdicts on the histories of one kind.
type tally struct {
	histories, wrong, ambiguous, wrongDetermined int
	// unknown is how often the verdict is ambiguous although nothing is missing or doubled and
	// one end is possible; alike how often a wrong one fits a complete history.
	unknown, alike int
	others         []int // how often each alternative is wrong
}

func (c *tally) add(s subscription, v ordering.Verdict, arrival []ordering.Fact) {
	c.histories++
	isRight := s.isRight(v.Winner)
	c.wrong += count(!isRight)
	c.ambiguous += count(v.Ordering == ordering.Ambiguous)
	isWrong := !isRight && v.Ordering == ordering.Determined
	c.wrongDetermined += count(isWrong)
	c.unknown += count(v.Ordering == ordering.Ambiguous && isComplete(s.kind) && !s.open)
	c.alike += count(isWrong && canEndIn(s.facts, v.Winner.After))
	for i, rule := range alternatives {
		c.others[i] += count(!s.isRight(naive(arrival, rule.replaces)))
	}
}

func (c *tally) include(more *tally) {
	c.histories += more.histories
	c.wrong += more.wrong
	c.ambiguous += more.ambiguous
	c.wrongDetermined += more.wrongDetermined
	c.unknown += more.unknown
	c.alike += more.alike
	for i, n := range more.others {
		c.others[i] += n
	}
}

func (c *tally) row(name string) []any {
	cells := []any{name, c.histories - c.wrong, c.wrong, share(c.ambiguous, c.histories), c.unknown, c.wrongDetermined, c.alike}
	for _, n := range c.others {
		cells = append(cells, fmt.Sprintf("%d %%", percent(n, c.histories)))
	}
	return cells
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func percent(n, of int) int { return (100*n + of/2) / of }

func share(n, of int) string { return fmt.Sprintf("%d (%d %%)", n, percent(n, of)) }

func table(counts map[stripesim.Kind]*tally) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	line := func(cells ...any) {
		for _, c := range cells {
			_, _ = fmt.Fprintf(w, "| %v\t", c)
		}
		_, _ = fmt.Fprintln(w, "|")
	}
	header := []any{"kind", "right", "wrong", "`ambiguous`", "though one end is possible", "wrong, but `determined`", "as in a complete history"}
	for _, rule := range alternatives {
		header = append(header, rule.name)
	}
	line(header...)
	line(slices.Repeat([]any{"---"}, len(header))...)
	sum := &tally{others: make([]int, len(alternatives))}
	for _, kind := range stripesim.Kinds() {
		line(counts[kind].row("`" + string(kind) + "`")...)
		sum.include(counts[kind])
	}
	line(sum.row("all")...)
	_ = w.Flush()
	return b.String()
}

func shuffled(rng *rand.Rand, facts []ordering.Fact) []ordering.Fact {
	list := slices.Clone(facts)
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
