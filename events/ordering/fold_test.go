package ordering_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/test/kit"
)

// event returns a message of one subscription; second counts from a fixed time.
func event(id, word string, second int, status string) events.Message {
	return kit.Event("sub_1", id, word, second, status)
}

// update returns an update from one status to another.
func update(id string, second int, from, to string) events.Message {
	return kit.Update("sub_1", id, second, from, to)
}

func withKey(m events.Message, key string) events.Message {
	m.Data.Event = []byte(`{"request":{"id":"req_` + m.ID + `","idempotency_key":"` + key + `"}}`)
	return m
}

func inVersion(m events.Message, version, method string) events.Message {
	m.StripeAPIVersion, m.Data.Subscription.CollectionMethod = version, method
	return m
}

func createdAt(m events.Message, second int) events.Message {
	m.Data.Subscription.Created = kit.At(second)
	return m
}

func facts(t testing.TB, messages ...events.Message) []ordering.Fact {
	t.Helper()
	list := make([]ordering.Fact, len(messages))
	for i, m := range messages {
		fact, ok := ordering.FactOf(m)
		if !ok {
			t.Fatalf("FactOf %s: got no fact", m.ID)
		}
		list[i] = fact
	}
	return list
}

func TestFold(t *testing.T) {
	t.Parallel()
	const determined, ambiguous = ordering.Determined, ordering.Ambiguous
	cases := map[string]struct {
		events      []events.Message
		winner      string
		ordering    ordering.Certainty
		explanation string
	}{
		"the only event": {
			[]events.Message{event("evt_1", "updated", 1, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:01Z, and no later event is known.",
		},
		"the later moment wins": {
			[]events.Message{event("evt_9", "updated", 1, "active"), event("evt_1", "updated", 5, "past_due")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:05Z, and no later event is known.",
		},
		"deleted wins over a later active update": {
			[]events.Message{event("evt_1", "deleted", 1, "canceled"), event("evt_2", "updated", 9, "active")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"an update to canceled wins over a later active one": {
			[]events.Message{event("evt_1", "updated", 1, "canceled"), event("evt_2", "updated", 9, "active")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"incomplete_expired wins over a later active one": {
			[]events.Message{event("evt_1", "updated", 1, "incomplete_expired"), event("evt_2", "updated", 9, "active")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"deleted is terminal with any status": {
			[]events.Message{event("evt_1", "deleted", 1, "active"), event("evt_2", "updated", 9, "active")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"an update after the end wins over the end": {
			[]events.Message{event("evt_2", "deleted", 1, "canceled"), event("evt_1", "updated", 9, "canceled")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"created stamped later than its object and the first update": {
			[]events.Message{createdAt(event("evt_9", "created", 9, "incomplete"), 1), event("evt_1", "updated", 7, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:07Z, and no later event is known.",
		},
		"the stamp of the object counts for created only": {
			[]events.Message{createdAt(event("evt_1", "updated", 9, "active"), 1), event("evt_9", "updated", 3, "past_due")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:09Z, and no later event is known.",
		},
		"an object stamped later than its created": {
			[]events.Message{createdAt(event("evt_1", "created", 2, "incomplete"), 9), event("evt_9", "updated", 6, "active")},
			"evt_9", determined, "evt_9 has the latest moment, 2026-01-01T00:00:06Z, and no later event is known.",
		},
		"created stamped after the activation, with no stamp on the object": {
			[]events.Message{event("evt_9", "created", 7, "incomplete"), update("evt_1", 1, "incomplete", "active")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"created stamped after two changes": {
			[]events.Message{event("evt_9", "created", 9, "incomplete"), update("evt_2", 1, "incomplete", "active"), update("evt_1", 5, "active", "past_due")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:05Z, and no later event is known.",
		},
		"created stamped after a loop that it leads to": {
			[]events.Message{event("evt_9", "created", 7, "active"), update("evt_1", 1, "active", "paused"), update("evt_2", 1, "paused", "active")},
			"evt_2", determined, "evt_2 is where the changes of these seconds end (3 events).",
		},
		"created in an older second says how a loop was entered": {
			[]events.Message{
				event("evt_9", "created", 0, "active"), update("evt_7", 0, "active", "paused"), update("evt_8", 0, "paused", "active"),
				update("evt_1", 9, "active", "paused"), update("evt_2", 9, "paused", "active"),
			},
			"evt_2", determined, "evt_2 is where the changes of these seconds end (5 events).",
		},
		"two created events without any other": {
			[]events.Message{event("evt_2", "created", 1, "incomplete"), event("evt_1", "created", 9, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:09Z, and no later event is known.",
		},
		"in one second created comes first": {
			[]events.Message{event("evt_9", "created", 1, "incomplete"), update("evt_1", 1, "incomplete", "active")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"in one second created comes before a marker": {
			[]events.Message{event("evt_9", "created", 1, "incomplete"), event("evt_1", "trial_will_end", 1, "trialing")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"in one second deleted comes last": {
			[]events.Message{update("evt_9", 1, "active", "canceled"), event("evt_1", "deleted", 1, "canceled")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"a chain within one second": {
			[]events.Message{update("evt_1", 1, "unpaid", "paused"), update("evt_3", 1, "active", "past_due"), update("evt_2", 1, "past_due", "unpaid")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (3 events).",
		},
		"a toggle within one second": {
			[]events.Message{update("evt_1", 1, "active", "past_due"), update("evt_2", 1, "past_due", "active"), update("evt_3", 1, "active", "past_due")},
			"evt_3", determined, "evt_3 is where the changes of these seconds end (3 events).",
		},
		"a marker in the chain": {
			[]events.Message{event("evt_9", "trial_will_end", 1, "trialing"), update("evt_1", 1, "trialing", "active")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"a loop that was entered long before": {
			[]events.Message{update("evt_0", -500, "incomplete", "active"), update("evt_1", 1, "active", "paused"), update("evt_2", 1, "paused", "active")},
			"evt_2", determined, "evt_2 is where the changes of these seconds end (2 events).",
		},
		"a loop without a known beginning": {
			[]events.Message{update("evt_1", 1, "active", "paused"), update("evt_2", 1, "paused", "active")},
			"evt_2", ambiguous, "2 events lead round in a circle, and nothing says where it began; evt_2 was taken by its stamp and id.",
		},
		"a loop after a state that is not on it": {
			[]events.Message{update("evt_9", -5, "incomplete", "unpaid"), update("evt_1", 1, "active", "paused"), update("evt_2", 1, "paused", "active")},
			"evt_2", ambiguous, "3 events lead round in a circle, and nothing says where it began; evt_2 was taken by its stamp and id.",
		},
		"a loop over two seconds without a known beginning": {
			[]events.Message{update("evt_2", 1, "active", "paused"), update("evt_1", 2, "paused", "active")},
			"evt_1", ambiguous, "2 events lead round in a circle, and nothing says where it began; evt_1 was taken by its stamp and id.",
		},
		"a path that contradicts stamps by a second and comes through a state again": {
			[]events.Message{
				update("evt_0", -500, "incomplete", "active"), update("evt_1", 1, "active", "past_due"),
				update("evt_2", 2, "active", "paused"), update("evt_3", 2, "paused", "active"),
			},
			"evt_1", ambiguous, "The changes end in evt_1 if only stamps are wrong, and maybe elsewhere if an event is missing.",
		},
		"such a path within one second": {
			[]events.Message{
				update("evt_0", -500, "incomplete", "active"), update("evt_1", 1, "active", "past_due"),
				update("evt_2", 1, "active", "paused"), update("evt_3", 1, "paused", "active"),
			},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (3 events).",
		},
		"a loop after a marker that shows its beginning": {
			[]events.Message{event("evt_9", "resumed", -500, "active"), update("evt_1", 1, "active", "paused"), update("evt_2", 1, "paused", "active")},
			"evt_2", determined, "evt_2 is where the changes of these seconds end (2 events).",
		},
		"a loop after another with one state in common": {
			[]events.Message{
				update("evt_7", -500, "active", "past_due"), update("evt_8", -500, "past_due", "active"),
				update("evt_1", 1, "active", "paused"), update("evt_2", 1, "paused", "active"),
			},
			"evt_2", determined, "evt_2 is where the changes of these seconds end (2 events).",
		},
		"a loop in each of two seconds": {
			[]events.Message{
				update("evt_7", 0, "active", "past_due"), update("evt_8", 0, "past_due", "active"),
				update("evt_1", 1, "active", "paused"), update("evt_2", 1, "paused", "active"),
			},
			"evt_2", ambiguous, "4 events lead round in a circle, and nothing says where it began; evt_2 was taken by its stamp and id.",
		},
		"a loop and another change, since an event is missing": {
			[]events.Message{update("evt_1", 1, "active", "paused"), update("evt_2", 1, "paused", "active"), update("evt_0", 1, "past_due", "unpaid")},
			"evt_2", ambiguous, "3 events of 2026-01-01T00:00:01Z do not follow each other; evt_2 was taken by its type and id.",
		},
		"a loop after a marker of another state": {
			[]events.Message{event("evt_9", "resumed", 0, "trialing"), update("evt_1", 1, "active", "paused"), update("evt_2", 1, "paused", "active")},
			"evt_2", ambiguous, "3 events lead round in a circle, and nothing says where it began; evt_2 was taken by its stamp and id.",
		},
		"a marker later than all changes": {
			[]events.Message{update("evt_9", 1, "trialing", "active"), event("evt_1", "trial_will_end", 2, "trialing")},
			"evt_9", determined, "evt_9 is where the changes of these seconds end (2 events).",
		},
		"one change sent twice for one request": {
			[]events.Message{withKey(update("evt_1", 1, "active", "past_due"), "k"), withKey(update("evt_2", 1, "active", "past_due"), "k"), update("evt_0", 1, "past_due", "active")},
			"evt_2", ambiguous, "3 events lead round in a circle, and nothing says where it began; evt_2 was taken by its stamp and id.",
		},
		"redacted requests are not the same request": {
			[]events.Message{withKey(update("evt_1", 1, "active", "past_due"), "[redacted]"), withKey(update("evt_2", 1, "past_due", "active"), "[redacted]"), withKey(update("evt_0", 1, "active", "past_due"), "[redacted]")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (3 events).",
		},
		"one change sent twice without a request": {
			[]events.Message{update("evt_2", 1, "active", "past_due"), update("evt_3", 1, "active", "past_due"), update("evt_0", 1, "past_due", "unpaid")},
			"evt_0", determined, "evt_0 is where the changes of these seconds end (3 events).",
		},
		"a missing event between two moments": {
			[]events.Message{update("evt_2", 1, "active", "past_due"), update("evt_1", 2, "unpaid", "paused")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:02Z, of 2 events that do not follow each other.",
		},
		"a missing event within one moment": {
			[]events.Message{update("evt_2", 1, "active", "past_due"), update("evt_1", 1, "unpaid", "paused")},
			"evt_2", ambiguous, "2 events of 2026-01-01T00:00:01Z do not follow each other; evt_2 was taken by its type and id.",
		},
		"markers of one second are ambiguous": {
			[]events.Message{event("evt_3", "paused", 1, "paused"), event("evt_1", "trial_will_end", 1, "trialing")},
			"evt_3", ambiguous, "2 events of 2026-01-01T00:00:01Z do not follow each other; evt_3 was taken by its type and id.",
		},
		"a repeated event counts once": {
			[]events.Message{event("evt_1", "updated", 1, "active"), event("evt_1", "updated", 1, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:01Z, and no later event is known.",
		},
		"events of two versions are compared by common fields": {
			[]events.Message{
				inVersion(update("evt_2", 1, "active", "past_due"), "2020-08-27", ""),
				inVersion(update("evt_1", 1, "past_due", "unpaid"), "2025-09-30.clover", "charge_automatically"),
			},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"a change that leads to a state of long ago is not from before it": {
			[]events.Message{update("evt_1", 0, "past_due", "active"), update("evt_2", 900, "active", "unpaid"), update("evt_3", 900, "paused", "past_due")},
			"evt_3", ambiguous, "2 events of 2026-01-01T00:15:00Z do not follow each other; evt_3 was taken by its type and id.",
		},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ordering.Fold(facts(t, tt.events...))
			if got.Winner.EventID != tt.winner || got.Ordering != tt.ordering {
				t.Errorf("got %s, %s; want %s, %s", got.Winner.EventID, got.Ordering, tt.winner, tt.ordering)
			}
			if got.Explanation != tt.explanation {
				t.Errorf("got explanation %q, want %q", got.Explanation, tt.explanation)
			}
		})
	}
}

func TestFoldOfNothingPanics(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("Fold(nil): got no panic")
		}
	}()
	ordering.Fold(nil)
}

func TestFactOf(t *testing.T) {
	t.Parallel()
	m := createdAt(event("evt_1", "created", 5, "canceled"), 3)
	m.StripeAPIVersion = "2025-09-30.clover"
	m.Data.Subscription.Created = m.Data.Subscription.Created.In(time.FixedZone("CET", 3600)).Add(1_999_999)
	got, ok := ordering.FactOf(m)
	want := ordering.Fact{
		EventID: "evt_1", Type: "customer.subscription.created", APIVersion: "2025-09-30.clover",
		Moment: kit.At(3).Add(time.Millisecond), Terminal: true,
	}
	want.First, want.After, want.Access, want.Products = true, got.After, "none", got.Products
	if diff := cmp.Diff(want, got); !ok || diff != "" || got.After.Full == "" || got.After.Core == "" || got.Products == "" {
		t.Errorf("FactOf: got %v (-want +got):\n%s", ok, diff)
	}
	if got.Moment.Location() != time.UTC {
		t.Errorf("Moment: got zone %v, want UTC", got.Moment.Location())
	}
	m.Data.Ignored = events.IgnoredAccount
	if _, ok := ordering.FactOf(m); ok {
		t.Error("an event that was not admitted: got a fact")
	}
	m.Data.Ignored, m.Data.Subscription = "", nil
	if _, ok := ordering.FactOf(m); ok {
		t.Error("an event without subscription: got a fact")
	}
}

func TestFactOfSnapshot(t *testing.T) {
	t.Parallel()
	m := event("snap_1", "updated", 5, "canceled")
	m.Type, m.StripeType = events.SubjectSnapshot, ""
	m.Data.ReadAt, m.Data.Event, m.Data.Origin = m.Time, nil, events.OriginThin
	got, ok := ordering.FactOf(m)
	want := ordering.Fact{
		EventID: "snap_1", Type: "subscription.snapshot", APIVersion: m.StripeAPIVersion, Moment: kit.At(5), Terminal: true,
		After: got.After, Access: "none", Products: got.Products,
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("FactOf: got %v (-want +got):\n%s", ok, diff)
	}
}

// The events that may be the last are known if, and only if, the verdict is ambiguous. They
// are among those that matter, and do not depend on the sequence.
func TestCandidates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		facts := genFacts(t, 1)
		v := ordering.Fold(facts)
		isAmbiguous, ids := v.Ordering == ordering.Ambiguous, map[string]bool{}
		for _, f := range v.Candidates {
			ids[f.EventID] = true
			if !slices.ContainsFunc(v.Relevant, func(r ordering.Fact) bool { return r.EventID == f.EventID }) {
				t.Errorf("%s is not relevant", f.EventID)
			}
		}
		if isAmbiguous != ids[v.Winner.EventID] || isAmbiguous != (len(ids) > 0) {
			t.Errorf("%s, and the candidates are %v", v.Ordering, ids)
		}
		again := map[string]bool{}
		for _, f := range ordering.Fold(rapid.Permutation(v.Relevant).Draw(t, "order")).Candidates {
			again[f.EventID] = true
		}
		if diff := cmp.Diff(ids, again); diff != "" {
			t.Errorf("in another order (-want +got):\n%s", diff)
		}
	})
}

// genFact draws from few values to make ties frequent.
func genFact(n int) *rapid.Generator[ordering.Fact] {
	return rapid.Custom(func(t *rapid.T) ordering.Fact {
		word := rapid.SampledFrom([]string{"created", "updated", "updated", "updated", "deleted", "paused"}).Draw(t, "word")
		state := rapid.SampledFrom([]ordering.Digest{{Full: "a", Core: "a"}, {Full: "b", Core: "b"}, {Full: "c", Core: "b"}, {Full: "d", Core: "d"}})
		before := ordering.Digest{}
		if word == "updated" {
			before = state.Draw(t, "before")
		}
		return ordering.Fact{
			Before: before, After: state.Draw(t, "after"), First: word == "created",
			APIVersion: rapid.SampledFrom([]string{"x", "x", "x", "y"}).Draw(t, "version"),
			Request:    rapid.SampledFrom([]string{"", "", "r"}).Draw(t, "request"),
			EventID:    fmt.Sprintf("evt_%02d", n),
			Type:       "customer.subscription." + word,
			Moment:     kit.At(0).Add(time.Duration(rapid.SampledFrom([]int{0, 1, 2, 3, 4, 6, 20, 31, 32, 40, 61}).Draw(t, "second")) * time.Second),
			Terminal:   word == "deleted" || rapid.IntRange(0, 4).Draw(t, "end") == 0,
		}
	})
}

func genFacts(t *rapid.T, least int) []ordering.Fact {
	n := rapid.IntRange(least, 12).Draw(t, "n")
	set := make([]ordering.Fact, n)
	for i := range set {
		set[i] = genFact(i).Draw(t, "fact")
		if i > 0 && rapid.IntRange(0, 4).Draw(t, "rendering") == 0 {
			set[i] = renderedAgain(set[i-1], set[i])
		}
	}
	return set
}

// renderedAgain returns the fact as another endpoint can receive it: in the version, and
// with the states, of another fact.
func renderedAgain(f, other ordering.Fact) ordering.Fact {
	f.APIVersion, f.After = other.APIVersion, other.After
	if f.Before != (ordering.Digest{}) && other.Before != (ordering.Digest{}) {
		f.Before = other.Before
	}
	return f
}

// repeatedAndShuffled returns the facts as they can arrive.
func repeatedAndShuffled(t *rapid.T, set []ordering.Fact) []ordering.Fact {
	list := slices.Clone(set)
	for range rapid.IntRange(0, 5).Draw(t, "repetitions") {
		list = append(list, rapid.SampledFrom(set).Draw(t, "repeated"))
	}
	random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func TestFoldDependsOnNeitherOrderNorRepetition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := genFacts(t, 1)
		given := repeatedAndShuffled(t, set)
		before := slices.Clone(given)
		want, got := ordering.Fold(set), ordering.Fold(given)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("in another order (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, given); diff != "" {
			t.Fatalf("Fold changed its argument:\n%s", diff)
		}
		if diff := cmp.Diff(ordering.Gaps(set), ordering.Gaps(given)); diff != "" {
			t.Fatalf("gaps in another order (-want +got):\n%s", diff)
		}
	})
}

func TestNewerVersionOfAnEventCounts(t *testing.T) {
	t.Parallel()
	older := ordering.Fact{EventID: "evt_1", APIVersion: "2020-08-27", Moment: kit.At(0), After: ordering.Digest{Full: "z", Core: "z"}}
	newer := older
	newer.APIVersion, newer.After = "2026-07-29.dahlia", ordering.Digest{Full: "a", Core: "a"}
	again := newer // in the same version with another state
	again.After = ordering.Digest{Full: "b", Core: "a"}
	for _, given := range [][]ordering.Fact{{older, newer, again}, {again, newer, older}, {newer, older, again}, {again, older, newer}} {
		if got := ordering.Fold(given); !cmp.Equal(got.Relevant, []ordering.Fact{again}) || got.Winner != again {
			t.Errorf("got %+v, want %+v", got, again)
		}
	}
}

func TestFoldNeedsTheRelevantFactsOnly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := genFacts(t, 2)
		known, later := set[:len(set)-1], set[len(set)-1]
		// A store keeps what was relevant after each batch.
		var kept []ordering.Fact
		for len(known) > 0 {
			n := rapid.IntRange(1, len(known)).Draw(t, "batch")
			kept, known = ordering.Fold(append(kept, known[:n]...)).Relevant, known[n:]
		}
		want := ordering.Fold(set)
		got := ordering.Fold(append(slices.Clone(kept), later))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("from the relevant facts (-want +got):\n%s", diff)
		}
		if !slices.Contains(want.Relevant, want.Winner) {
			t.Fatalf("the winner %v is not relevant: %v", want.Winner, want.Relevant)
		}
	})
}

func TestFoldNeverLeavesTheEnd(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := genFacts(t, 1)
		ended := slices.ContainsFunc(set, func(f ordering.Fact) bool { return f.Terminal })
		got := ordering.Fold(set)
		if got.Winner.Terminal != ended {
			t.Fatalf("got a winner with terminal %v, want %v", got.Winner.Terminal, ended)
		}
		for _, f := range set {
			if f.Terminal == ended && !f.First && f.Moment.Sub(got.Winner.Moment) > 30*time.Second {
				t.Fatalf("%s is much later than the winner %s", f.EventID, got.Winner.EventID)
			}
		}
	})
}

func TestCreatedIsFirst(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := genFacts(t, 1)
		got := ordering.Fold(set)
		hasOther := slices.ContainsFunc(set, func(f ordering.Fact) bool { return !f.First && f.Terminal == got.Winner.Terminal })
		if got.Winner.First && hasOther {
			t.Fatalf("%s won, which created the subscription: %s", got.Winner.EventID, got.Explanation)
		}
		for _, gap := range ordering.Gaps(set) {
			for _, f := range set {
				if f.EventID == gap.Before && f.First {
					t.Fatalf("got a gap before %s, which created the subscription", f.EventID)
				}
			}
		}
	})
}
