package ordering_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// list is a fact in short: "3 a b" lists a and b in the third second, "3 a b …" is cut off,
// and "3 a b !" was read from Stripe's API.
func list(id, text string) ordering.EntitlementsFact {
	second, rest, _ := strings.Cut(text, " ")
	var n int64
	_, _ = fmt.Sscan(second, &n)
	f := ordering.EntitlementsFact{EventID: id, Moment: time.Unix(n, 0)}
	f.CustomerID = "cus_1"
	for word := range strings.FieldsSeq(rest) {
		switch word {
		case "…":
			f.Truncated = true
		case "!":
			f.Read = true
		default:
			f.Features = append(f.Features, events.Feature{FeatureID: "feat_" + word, LookupKey: word})
		}
	}
	return f
}

// lists are facts with the ids a, b, c and so on.
func lists(texts ...string) []ordering.EntitlementsFact {
	var facts []ordering.EntitlementsFact
	for i, text := range texts {
		facts = append(facts, list(string(rune('a'+i)), text))
	}
	return facts
}

func inShort(e ordering.CustomerEntitlements) string {
	var words []string
	for _, f := range e.Features {
		words = append(words, f.LookupKey)
	}
	if e.Truncated {
		words = append(words, "…")
	}
	if e.Ambiguous {
		words = append(words, "?")
	}
	return strings.Join(append(words, "by", e.EventID), " ")
}

func TestEntitlements(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		facts []ordering.EntitlementsFact
		want  string
	}{
		"nothing":                       {nil, "by "},
		"newest wins":                   {lists("1 x", "3 y", "2 x y"), "y by b"},
		"everything was lost":           {lists("1 x", "2"), "by b"},
		"order in a list":               {lists("1 y x"), "x y by a"},
		"same second, same features":    {lists("1 x y", "1 y x"), "x y by b"},
		"same second, other features":   {lists("1 x", "1 y"), "y ? by b"},
		"older ties do not matter":      {lists("1 x", "1 y", "2 z"), "z by c"},
		"read in the same second":       {lists("1 x", "1 y", "1 z !"), "z by c"},
		"read later":                    {lists("1 x", "1 y", "2 x !"), "x by c"},
		"read earlier":                  {lists("2 x", "2 y", "1 z !"), "y ? by b"},
		"two readings of one second":    {lists("1 x !", "1 y !"), "y ? by b"},
		"cut off alone":                 {lists("1 x y …"), "x y … by a"},
		"cut off hides nothing":         {lists("1 x y z", "2 v x …"), "v x y z … by b"},
		"cut off twice":                 {lists("1 x", "2 v x …", "3 w x …"), "v w x … by c"},
		"before the complete list":      {lists("2 x", "1 v …", "3 w …"), "w x … by c"},
		"completed":                     {lists("1 x y", "2 v …", "3 v y !"), "v y by c"},
		"cut off after it was read":     {lists("1 x …", "1 y !", "2 z …"), "y z … by c"},
		"complete again":                {lists("1 x y …", "2 x"), "x by b"},
		"one of a tie is cut off":       {lists("1 w x …", "1 y"), "y ? by b"},
		"the other is cut off":          {lists("1 y", "1 w x …"), "w x y … ? by b"},
		"both of a tie are cut off":     {lists("1 x …", "1 y …"), "x y … by b"},
		"cut off after a tie":           {lists("1 x", "1 y", "2 z …"), "x y z … by c"},
		"cut off, with what is known":   {lists("1 x y", "1 x …"), "x y … by b"},
		"repeated":                      {append(lists("1 x", "2 y"), lists("1 x", "2 y")...), "y by b"},
		"unknown features of a summary": {lists("1 x", "2 …"), "x … by b"},
	} {
		if got := inShort(ordering.Entitlements(tt.facts)); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}

func TestEntitlementsFactOf(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 600_000_000, time.UTC)
	m := events.Message{ID: "evt_1", Time: at, Type: events.SubjectEntitlements}
	if _, ok := ordering.EntitlementsFactOf(m); ok {
		t.Error("got a fact of a message without entitlements")
	}
	m.Data.Entitlements = &events.Entitlements{CustomerID: "cus_1", Truncated: true}
	want := ordering.EntitlementsFact{Entitlements: *m.Data.Entitlements, EventID: "evt_1", Moment: at.Truncate(time.Second)}
	if got, ok := ordering.EntitlementsFactOf(m); !ok || cmp.Diff(want, got) != "" {
		t.Errorf("got %+v, want %+v", got, want)
	}
	m.Type = events.SubjectEntitlementsSnapshot
	if got, ok := ordering.EntitlementsFactOf(m); !ok || !got.Read {
		t.Errorf("got %+v of a snapshot", got)
	}
	m.Data.Ignored = events.IgnoredAccount
	if _, ok := ordering.EntitlementsFactOf(m); ok {
		t.Error("got a fact of an ignored message")
	}
	m.Data.Ignored, m.Data.Entitlements = "", &events.Entitlements{}
	if _, ok := ordering.EntitlementsFactOf(m); ok {
		t.Error("got a fact about no customer")
	}
}

// rapid prints how to repeat a failure.
var drawnLists = rapid.Custom(func(t *rapid.T) []ordering.EntitlementsFact {
	var texts []string
	for range rapid.IntRange(1, 7).Draw(t, "facts") {
		words := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"v", "w", "x", "y", "z"}), 0, 3, rapid.ID).Draw(t, "features")
		mark := rapid.SampledFrom([]string{"", "…", "!"}).Draw(t, "mark")
		second := rapid.IntRange(1, 4).Draw(t, "second")
		texts = append(texts, fmt.Sprintf("%d %s %s", second, strings.Join(words, " "), mark))
	}
	return lists(texts...)
})

// The verdict depends on the set of facts, whatever their order and repetitions, and
// whatever was forgotten in between.
func TestEntitlementsOfPermutations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		facts := drawnLists.Draw(t, "facts")
		want := ordering.Entitlements(facts)
		shuffled := rapid.Permutation(append(slices.Clone(facts), facts[:len(facts)/2]...)).Draw(t, "order")
		if diff := cmp.Diff(want, ordering.Entitlements(shuffled)); diff != "" {
			t.Errorf("in another order (-want +got):\n%s", diff)
		}
		var known []ordering.EntitlementsFact
		for _, f := range shuffled {
			known = ordering.Entitlements(append(known, f)).Known
		}
		if diff := cmp.Diff(want, ordering.Entitlements(known)); diff != "" {
			t.Errorf("one by one (-want +got):\n%s", diff)
		}
	})
}

// A list that was cut off never takes a feature away, and a complete one is exact.
func TestEntitlementsTakeAwayOnlyByCompleteLists(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		facts := drawnLists.Draw(t, "facts")
		before := ordering.Entitlements(facts)
		next := list("z", rapid.SampledFrom([]string{"9 v", "9 v …", "9 v !"}).Draw(t, "next"))
		after := ordering.Entitlements(append(facts, next))
		if !next.Truncated && inShort(after) != "v by z" {
			t.Errorf("got %s after a complete list", inShort(after))
		}
		for _, f := range before.Features {
			if next.Truncated && !slices.Contains(after.Features, f) {
				t.Errorf("%s was taken away: %s, then %s", f.LookupKey, inShort(before), inShort(after))
			}
		}
	})
}

// Without a key for Stripe's API, a customer with many features has no complete list.
func TestListsThatAreCutOffAreForgotten(t *testing.T) {
	t.Parallel()
	var known []ordering.EntitlementsFact
	for i := range 500 {
		next := list(fmt.Sprintf("evt_%03d", i), fmt.Sprintf("%d x y %c …", i, 'a'+i%5))
		known = ordering.Entitlements(append(known, next)).Known
	}
	if got := inShort(ordering.Entitlements(known)); got != "a b c d e x y … by evt_499" || len(known) != 5 {
		t.Errorf("got %q and %d facts, want five", got, len(known))
	}
}
