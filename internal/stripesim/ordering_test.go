package stripesim_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripesim"
)

// tale is one history as far as the ordering rule is concerned.
type tale struct {
	id    string
	kind  stripesim.Kind
	open  bool
	facts []ordering.Fact // in true order
	// deliveries are these events, with all their renderings.
	deliveries []stripesim.Delivery
	truth      []string // how it stands, in each rendering of the last event
	said       map[string]string
}

func (h tale) last() ordering.Fact { return h.facts[len(h.facts)-1] }

// right reports whether an event shows the subscription as it truly is.
func (h tale) right(winner ordering.Fact) bool {
	last := h.last()
	if winner.APIVersion == last.APIVersion {
		return winner.After.Full == last.After.Full
	}
	return winner.After.Core == last.After.Core
}

// histories is how many of each kind; more can be asked for.
func histories(t testing.TB) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv("BILLBUS_HISTORIES"), "60"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// tales makes histories of all kinds, as real JSON, and reads it.
func tales(t *testing.T, seed uint64, each int) []tale {
	t.Helper()
	n, kinds := normalizer(t), stripesim.Kinds()
	h := stripesim.Generate(stripesim.Config{Seed: seed, Subscriptions: each * len(kinds), Ties: 1, Kinds: kinds})
	groups := bySubscription(h)
	list := make([]tale, 0, len(h.Truth))
	for _, truth := range h.Truth {
		id := truth.Subscription.ID
		told := tale{id: id, kind: truth.Kind, open: truth.Open, truth: []string{encode(t, truth.Subscription), encode(t, truth.Also)}, said: map[string]string{}}
		told.deliveries = slices.DeleteFunc(groups[id], func(d stripesim.Delivery) bool {
			return !strings.HasPrefix(d.Type, "customer.subscription.") && d.Type != stripesim.Snapshot
		})
		for _, d := range oneRendering(seed, told.deliveries) {
			m := read(t, n, d)
			if fact, ok := ordering.FactOf(m); ok {
				told.facts, told.said[m.ID] = append(told.facts, fact), encode(t, m.Data.Subscription)
			}
		}
		list = append(list, told)
	}
	slices.SortFunc(list, func(a, b tale) int { return cmp.Compare(a.id, b.id) })
	return list
}

// oneRendering keeps one of the renderings of each event, as a store does: the
// first that came.
func oneRendering(seed uint64, deliveries []stripesim.Delivery) []stripesim.Delivery {
	rng := rand.New(rand.NewPCG(seed, 1))
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
		APIVersion: d.APIVersion, At: d.Created, Origin: events.OriginReconcile, Reason: events.ReasonReconcile, ReceivedAt: d.Created,
	})
	if err != nil || len(m.Data.Warnings) > 0 {
		t.Fatalf("%v, %v\n%s", err, m.Data.Warnings, d.Body)
	}
	return m
}

// alternatives are the rules that others use, each over the events as they
// arrive.
var alternatives = []struct {
	name string
	// replaces says whether an event that arrives replaces the state.
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

// tally counts what the rules say of the histories of one kind.
type tally struct {
	histories, wrong, ambiguous, deceived int
	others                                []int // how often each alternative is wrong
}

func (c *tally) add(h tale, v ordering.Verdict, arrival []ordering.Fact) {
	c.histories++
	right := h.right(v.Winner)
	c.wrong += count(!right)
	c.ambiguous += count(v.Ordering == ordering.Ambiguous)
	c.deceived += count(!right && v.Ordering == ordering.Determined)
	for i, rule := range alternatives {
		c.others[i] += count(!h.right(naive(arrival, rule.replaces)))
	}
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// TestOrderingReport puts thousands of histories in order, prints what came of
// it, and holds that nothing is called determined that is wrong, but for what
// cannot be told.
func TestOrderingReport(t *testing.T) {
	t.Parallel()
	counts := map[stripesim.Kind]*tally{}
	for i, h := range tales(t, 1, histories(t)) {
		if counts[h.kind] == nil {
			counts[h.kind] = &tally{others: make([]int, len(alternatives))}
		}
		arrival := shuffled(rand.New(rand.NewPCG(2, uint64(i))), h.facts)
		v := ordering.Fold(arrival)
		counts[h.kind].add(h, v, arrival)
		if h.open != (v.Ordering == ordering.Ambiguous) && mustBeExact(h.kind) {
			t.Errorf("%s of kind %s, open %v: got %s: %s\n%s", h.id, h.kind, h.open, v.Ordering, v.Explanation, steps(h))
		}
		if !h.open && mustBeExact(h.kind) && !slices.Contains(h.truth, h.said[v.Winner.EventID]) {
			t.Errorf("%s of kind %s: got %s, want %s", h.id, h.kind, h.said[v.Winner.EventID], h.truth[0])
		}
		if c := counts[h.kind]; c.deceived > 0 && c.deceived < 4 && !mayDeceive(h.kind) && !h.right(v.Winner) {
			t.Errorf("%s of kind %s: got %s, which is wrong: %s\n%s", h.id, h.kind, v.Winner.EventID, v.Explanation, steps(h))
		}
	}
	t.Logf("\n%s", table(counts))
}

// mayDeceive names the kinds in which another truth leaves the same events: a
// change told twice looks like two, and what leads around a lost one like all.
func mayDeceive(k stripesim.Kind) bool {
	return k == stripesim.DoubledSilently || k == stripesim.Lost
}

// mustBeExact names the kinds in which nothing is missing and nothing is told
// twice without saying so.
func mustBeExact(k stripesim.Kind) bool { return slices.Contains(stripesim.SentKinds(), k) }

func steps(h tale) string {
	var b strings.Builder
	for _, f := range h.facts {
		fmt.Fprintf(&b, "  %s %s %-20s %.6s -> %.6s %s %s\n", f.Moment.Format(time.TimeOnly), f.EventID, strings.TrimPrefix(f.Type, "customer."), f.Before.Full, f.After.Full, f.APIVersion, f.Request)
	}
	return b.String()
}

func table(counts map[stripesim.Kind]*tally) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', 0)
	line := func(cells ...any) {
		for _, c := range cells {
			_, _ = fmt.Fprintf(w, "| %v\t", c)
		}
		_, _ = fmt.Fprintln(w, "|")
	}
	header := []any{"kind", "histories", "right", "wrong", "ambiguous", "wrong, called determined"}
	for _, rule := range alternatives {
		header = append(header, rule.name+": wrong")
	}
	line(header...)
	line(slices.Repeat([]any{"---"}, len(header))...)
	sum := &tally{others: make([]int, len(alternatives))}
	for _, kind := range stripesim.Kinds() {
		line(counts[kind].row(string(kind))...)
		sum.include(counts[kind])
	}
	line(sum.row("all")...)
	_ = w.Flush()
	return b.String()
}

func (c *tally) row(name string) []any {
	cells := []any{name, c.histories, c.histories - c.wrong, c.wrong, share(c.ambiguous, c.histories), c.deceived}
	for _, n := range c.others {
		cells = append(cells, share(n, c.histories))
	}
	return cells
}

func (c *tally) include(more *tally) {
	c.histories += more.histories
	c.wrong += more.wrong
	c.ambiguous += more.ambiguous
	c.deceived += more.deceived
	for i, n := range more.others {
		c.others[i] += n
	}
}

func share(n, of int) string { return fmt.Sprintf("%d (%d %%)", n, (100*n+of/2)/of) }

func shuffled(rng *rand.Rand, facts []ordering.Fact) []ordering.Fact {
	list := slices.Clone(facts)
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
