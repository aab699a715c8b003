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

// told is a message of one subscription; second counts from a fixed time.
func told(id, word string, second int, status string) events.Message {
	return kit.Event("sub_1", id, word, second, status)
}

// changed is an update from one status to another.
func changed(id string, second int, from, to string) events.Message {
	return kit.Update("sub_1", id, second, from, to)
}

func asked(m events.Message, key string) events.Message {
	m.Data.Event = []byte(`{"request":{"id":"req_` + m.ID + `","idempotency_key":"` + key + `"}}`)
	return m
}

func rendered(m events.Message, version, method string) events.Message {
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
			t.Fatalf("FactOf %s: got none", m.ID)
		}
		list[i] = fact
	}
	return list
}

func TestFold(t *testing.T) {
	t.Parallel()
	const determined, ambiguous = ordering.Determined, ordering.Ambiguous
	cases := map[string]struct {
		told        []events.Message
		winner      string
		ordering    ordering.Certainty
		explanation string
	}{
		"the only event": {
			[]events.Message{told("evt_1", "updated", 1, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:01Z, and no later event is known.",
		},
		"the later moment wins": {
			[]events.Message{told("evt_9", "updated", 1, "active"), told("evt_1", "updated", 5, "past_due")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:05Z, and no later event is known.",
		},
		"deleted wins over a later active update": {
			[]events.Message{told("evt_1", "deleted", 1, "canceled"), told("evt_2", "updated", 9, "active")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"an update to canceled wins over a later active one": {
			[]events.Message{told("evt_1", "updated", 1, "canceled"), told("evt_2", "updated", 9, "active")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"incomplete_expired wins over a later active one": {
			[]events.Message{told("evt_1", "updated", 1, "incomplete_expired"), told("evt_2", "updated", 9, "active")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"deleted is an end whatever its status": {
			[]events.Message{told("evt_1", "deleted", 1, "active"), told("evt_2", "updated", 9, "active")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"an update after the end wins over the end": {
			[]events.Message{told("evt_2", "deleted", 1, "canceled"), told("evt_1", "updated", 9, "canceled")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"created stamped later than its object and the first update": {
			[]events.Message{createdAt(told("evt_9", "created", 9, "incomplete"), 1), told("evt_1", "updated", 7, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:07Z, and no later event is known.",
		},
		"the object's stamp counts of created only": {
			[]events.Message{createdAt(told("evt_1", "updated", 9, "active"), 1), told("evt_9", "updated", 3, "past_due")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:09Z, and no later event is known.",
		},
		"an object stamped later than its created": {
			[]events.Message{createdAt(told("evt_1", "created", 2, "incomplete"), 9), told("evt_9", "updated", 6, "active")},
			"evt_9", determined, "evt_9 has the latest moment, 2026-01-01T00:00:06Z, and no later event is known.",
		},
		"created stamped after the activation, with no stamp on the object": {
			[]events.Message{told("evt_9", "created", 7, "incomplete"), changed("evt_1", 1, "incomplete", "active")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"created stamped after two changes": {
			[]events.Message{told("evt_9", "created", 9, "incomplete"), changed("evt_2", 1, "incomplete", "active"), changed("evt_1", 5, "active", "past_due")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:05Z, and no later event is known.",
		},
		"created stamped after a loop that it leads to": {
			[]events.Message{told("evt_9", "created", 7, "active"), changed("evt_1", 1, "active", "paused"), changed("evt_2", 1, "paused", "active")},
			"evt_2", determined, "evt_2 is where the changes of these seconds end (3 events).",
		},
		"created in an older second does not say how a loop was entered": {
			[]events.Message{
				told("evt_9", "created", 0, "active"), changed("evt_7", 0, "active", "paused"), changed("evt_8", 0, "paused", "active"),
				changed("evt_1", 9, "active", "paused"), changed("evt_2", 9, "paused", "active"),
			},
			"evt_2", ambiguous, "2 events lead round in a circle, and evt_2 has the greatest id.",
		},
		"two created events without any other": {
			[]events.Message{told("evt_2", "created", 1, "incomplete"), told("evt_1", "created", 9, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:09Z, and no later event is known.",
		},
		"in one second created comes first": {
			[]events.Message{told("evt_9", "created", 1, "incomplete"), changed("evt_1", 1, "incomplete", "active")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"in one second created comes first, whatever follows": {
			[]events.Message{told("evt_9", "created", 1, "incomplete"), told("evt_1", "trial_will_end", 1, "trialing")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"in one second deleted comes last": {
			[]events.Message{changed("evt_9", 1, "active", "canceled"), told("evt_1", "deleted", 1, "canceled")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"a chain within one second": {
			[]events.Message{changed("evt_1", 1, "unpaid", "paused"), changed("evt_3", 1, "active", "past_due"), changed("evt_2", 1, "past_due", "unpaid")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (3 events).",
		},
		"a toggle within one second": {
			[]events.Message{changed("evt_1", 1, "active", "past_due"), changed("evt_2", 1, "past_due", "active"), changed("evt_3", 1, "active", "past_due")},
			"evt_3", determined, "evt_3 is where the changes of these seconds end (3 events).",
		},
		"a marker in the chain": {
			[]events.Message{told("evt_9", "trial_will_end", 1, "trialing"), changed("evt_1", 1, "trialing", "active")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"a circle that was entered long before": {
			[]events.Message{changed("evt_0", -500, "incomplete", "active"), changed("evt_1", 1, "active", "paused"), changed("evt_2", 1, "paused", "active")},
			"evt_2", determined, "evt_2 is where the changes of these seconds end (2 events).",
		},
		"a circle of which the beginning is not known": {
			[]events.Message{changed("evt_1", 1, "active", "paused"), changed("evt_2", 1, "paused", "active")},
			"evt_2", ambiguous, "2 events lead round in a circle, and evt_2 has the greatest id.",
		},
		"a circle, and what is before does not lead to it": {
			[]events.Message{changed("evt_9", -5, "incomplete", "unpaid"), changed("evt_1", 1, "active", "paused"), changed("evt_2", 1, "paused", "active")},
			"evt_2", ambiguous, "2 events lead round in a circle, and evt_2 has the greatest id.",
		},
		"a circle over two seconds": {
			[]events.Message{changed("evt_2", 1, "active", "paused"), changed("evt_1", 2, "paused", "active")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
		"a circle that a marker says the beginning of": {
			[]events.Message{told("evt_9", "resumed", -500, "active"), changed("evt_1", 1, "active", "paused"), changed("evt_2", 1, "paused", "active")},
			"evt_2", determined, "evt_2 is where the changes of these seconds end (2 events).",
		},
		"a circle after another with which it has one state in common": {
			[]events.Message{
				changed("evt_7", -500, "active", "past_due"), changed("evt_8", -500, "past_due", "active"),
				changed("evt_1", 1, "active", "paused"), changed("evt_2", 1, "paused", "active"),
			},
			"evt_2", determined, "evt_2 is where the changes of these seconds end (2 events).",
		},
		"a circle in each of two seconds": {
			[]events.Message{
				changed("evt_7", 0, "active", "past_due"), changed("evt_8", 0, "past_due", "active"),
				changed("evt_1", 1, "active", "paused"), changed("evt_2", 1, "paused", "active"),
			},
			"evt_2", determined, "evt_2 is where the changes of these seconds end (4 events).",
		},
		"a circle beside other changes, since an event is missing": {
			[]events.Message{changed("evt_1", 1, "active", "paused"), changed("evt_2", 1, "paused", "active"), changed("evt_0", 1, "past_due", "unpaid")},
			"evt_2", ambiguous, "3 events of 2026-01-01T00:00:01Z do not follow each other; evt_2 was taken by its type and id.",
		},
		"a circle after a marker that it does not touch": {
			[]events.Message{told("evt_9", "resumed", 0, "trialing"), changed("evt_1", 1, "active", "paused"), changed("evt_2", 1, "paused", "active")},
			"evt_2", ambiguous, "2 events of 2026-01-01T00:00:01Z do not follow each other; evt_2 was taken by its type and id.",
		},
		"a marker later than all changes": {
			[]events.Message{changed("evt_9", 1, "trialing", "active"), told("evt_1", "trial_will_end", 2, "trialing")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:02Z, of 2 events that do not follow each other.",
		},
		"one change told twice for one request": {
			[]events.Message{asked(changed("evt_1", 1, "active", "past_due"), "k"), asked(changed("evt_2", 1, "active", "past_due"), "k"), changed("evt_0", 1, "past_due", "active")},
			"evt_2", ambiguous, "3 events lead round in a circle, and evt_2 has the greatest id.",
		},
		"requests that were redacted are not one": {
			[]events.Message{asked(changed("evt_1", 1, "active", "past_due"), "[redacted]"), asked(changed("evt_2", 1, "past_due", "active"), "[redacted]"), asked(changed("evt_0", 1, "active", "past_due"), "[redacted]")},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (3 events).",
		},
		"one change told twice for no request": {
			[]events.Message{changed("evt_2", 1, "active", "past_due"), changed("evt_3", 1, "active", "past_due"), changed("evt_0", 1, "past_due", "unpaid")},
			"evt_0", determined, "evt_0 is where the changes of these seconds end (3 events).",
		},
		"an event between is missing, other moments": {
			[]events.Message{changed("evt_2", 1, "active", "past_due"), changed("evt_1", 2, "unpaid", "paused")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:02Z, of 2 events that do not follow each other.",
		},
		"an event between is missing, one moment": {
			[]events.Message{changed("evt_2", 1, "active", "past_due"), changed("evt_1", 1, "unpaid", "paused")},
			"evt_2", ambiguous, "2 events of 2026-01-01T00:00:01Z do not follow each other; evt_2 was taken by its type and id.",
		},
		"markers of one second are ambiguous": {
			[]events.Message{told("evt_3", "paused", 1, "paused"), told("evt_1", "trial_will_end", 1, "trialing")},
			"evt_3", ambiguous, "2 events of 2026-01-01T00:00:01Z do not follow each other; evt_3 was taken by its type and id.",
		},
		"a repeated event is one": {
			[]events.Message{told("evt_1", "updated", 1, "active"), told("evt_1", "updated", 1, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:01Z, and no later event is known.",
		},
		"other versions are compared by what both render": {
			[]events.Message{
				rendered(changed("evt_2", 1, "active", "past_due"), "2020-08-27", ""),
				rendered(changed("evt_1", 1, "past_due", "unpaid"), "2025-09-30.clover", "charge_automatically"),
			},
			"evt_1", determined, "evt_1 is where the changes of these seconds end (2 events).",
		},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ordering.Fold(facts(t, tt.told...))
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
	m := createdAt(told("evt_1", "created", 5, "canceled"), 3)
	m.StripeAPIVersion = "2025-09-30.clover"
	m.Data.Subscription.Created = m.Data.Subscription.Created.In(time.FixedZone("CET", 3600)).Add(1_999_999)
	got, ok := ordering.FactOf(m)
	want := ordering.Fact{
		EventID: "evt_1", Type: "customer.subscription.created", APIVersion: "2025-09-30.clover",
		Moment: kit.At(3).Add(time.Millisecond), Terminal: true,
	}
	want.First, want.After = true, got.After
	if diff := cmp.Diff(want, got); !ok || diff != "" || got.After.Full == "" || got.After.Core == "" {
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

func TestFactOfASnapshotIsThatItWasRead(t *testing.T) {
	t.Parallel()
	m := told("snap_1", "updated", 5, "canceled")
	m.Type, m.StripeType = events.SubjectSnapshot, ""
	m.Data.ReadAt, m.Data.Event, m.Data.Origin = m.Time, nil, events.OriginThin
	got, ok := ordering.FactOf(m)
	want := ordering.Fact{
		EventID: "snap_1", Type: "subscription.snapshot", APIVersion: m.StripeAPIVersion, Moment: kit.At(5), Terminal: true,
		After: got.After,
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("FactOf: got %v (-want +got):\n%s", ok, diff)
	}
}

// genFact draws from few values, so that ties are frequent. Facts with one id
// are equal, as those of one event are.
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
			Moment:     kit.At(0).Add(time.Duration(rapid.IntRange(0, 6).Draw(t, "second")) * time.Second),
			Terminal:   word == "deleted" || rapid.IntRange(0, 4).Draw(t, "end") == 0,
		}
	})
}

func genFacts(t *rapid.T, least int) []ordering.Fact {
	n := rapid.IntRange(least, 12).Draw(t, "n")
	set := make([]ordering.Fact, n)
	for i := range set {
		set[i] = genFact(i).Draw(t, "fact")
	}
	return set
}

// mixed repeats and shuffles.
func mixed(t *rapid.T, set []ordering.Fact) []ordering.Fact {
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
		given := mixed(t, set)
		before := slices.Clone(given)
		want, got := ordering.Fold(set), ordering.Fold(given)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("another order (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, given); diff != "" {
			t.Fatalf("Fold altered its argument:\n%s", diff)
		}
	})
}

func TestFoldNeedsTheRelevantFactsOnly(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := genFacts(t, 2)
		known, later := set[:len(set)-1], set[len(set)-1]
		// What a store keeps is what was relevant after each batch so far.
		var kept []ordering.Fact
		for len(known) > 0 {
			n := rapid.IntRange(1, len(known)).Draw(t, "batch")
			kept, known = ordering.Fold(append(kept, known[:n]...)).Relevant, known[n:]
		}
		want := ordering.Fold(set)
		got := ordering.Fold(append(slices.Clone(kept), later))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("from the relevant facts only (-want +got):\n%s", diff)
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
			if f.Terminal == ended && !f.First && f.Moment.Sub(got.Winner.Moment) >= 2*time.Second {
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
