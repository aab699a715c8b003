package events_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/billbus/billbus/events"
)

// told is a message of one subscription; second counts from a fixed time.
func told(id, word string, second int, status string) events.Message {
	m := message()
	m.ID, m.StripeType = id, "customer.subscription."+word
	m.Type, _ = events.SubscriptionSubject(m.StripeType)
	m.Time = m.Time.Add(time.Duration(second) * time.Second)
	m.Data.Subscription = &events.Subscription{ID: "sub_1", Status: status}
	return m
}

func createdAt(m events.Message, second int) events.Message {
	m.Data.Subscription.Created = at("2026-01-01T00:00:00Z").Add(time.Duration(second) * time.Second)
	return m
}

func facts(t testing.TB, messages ...events.Message) []events.Fact {
	t.Helper()
	list := make([]events.Fact, len(messages))
	for i, m := range messages {
		fact, ok := events.FactOf(m)
		if !ok {
			t.Fatalf("FactOf %s: got none", m.ID)
		}
		list[i] = fact
	}
	return list
}

func TestFold(t *testing.T) {
	t.Parallel()
	const determined, ambiguous = events.Determined, events.Ambiguous
	cases := map[string]struct {
		told        []events.Message
		winner      string
		ordering    events.Ordering
		explanation string
	}{
		"the only event": {
			[]events.Message{told("evt_1", "updated", 1, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:01Z, and no later event is known.",
		},
		"the later moment wins": {
			[]events.Message{told("evt_9", "updated", 1, "active"), told("evt_1", "updated", 2, "past_due")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:02Z, and no later event is known.",
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
			[]events.Message{createdAt(told("evt_9", "created", 5, "incomplete"), 1), told("evt_1", "updated", 3, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:03Z, and no later event is known.",
		},
		"the object's stamp counts of created only": {
			[]events.Message{createdAt(told("evt_1", "updated", 5, "active"), 1), told("evt_9", "updated", 3, "past_due")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:05Z, and no later event is known.",
		},
		"an object stamped later than its created": {
			[]events.Message{createdAt(told("evt_1", "created", 2, "incomplete"), 9), told("evt_9", "updated", 3, "active")},
			"evt_9", determined, "evt_9 has the latest moment, 2026-01-01T00:00:03Z, and no later event is known.",
		},
		"in one second created comes first": {
			[]events.Message{told("evt_9", "created", 1, "incomplete"), told("evt_1", "updated", 1, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:01Z, and no later event is known.",
		},
		"in one second deleted comes last": {
			[]events.Message{told("evt_9", "updated", 1, "canceled"), told("evt_1", "deleted", 1, "canceled")},
			"evt_1", determined, "evt_1 ended the subscription, and no later event is known.",
		},
		"updates of one second are ambiguous": {
			[]events.Message{told("evt_2", "updated", 1, "active"), told("evt_1", "updated", 1, "past_due"), told("evt_0", "updated", 0, "active")},
			"evt_2", ambiguous, "2 events of 2026-01-01T00:00:01Z cannot be told apart by their stamps, and evt_2 has the greatest id.",
		},
		"markers of one second are ambiguous, too": {
			[]events.Message{told("evt_3", "paused", 1, "paused"), told("evt_2", "updated", 1, "paused"), told("evt_1", "trial_will_end", 1, "trialing")},
			"evt_3", ambiguous, "3 events of 2026-01-01T00:00:01Z cannot be told apart by their stamps, and evt_3 has the greatest id.",
		},
		"a repeated event is one": {
			[]events.Message{told("evt_1", "updated", 1, "active"), told("evt_1", "updated", 1, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:01Z, and no later event is known.",
		},
		"a tie is over when a later event comes": {
			[]events.Message{told("evt_3", "updated", 1, "active"), told("evt_2", "updated", 1, "past_due"), told("evt_1", "updated", 2, "active")},
			"evt_1", determined, "evt_1 has the latest moment, 2026-01-01T00:00:02Z, and no later event is known.",
		},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := events.Fold(facts(t, tt.told...))
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
	events.Fold(nil)
}

func TestFactOf(t *testing.T) {
	t.Parallel()
	m := createdAt(told("evt_1", "created", 5, "canceled"), 3)
	m.StripeAPIVersion = "2025-09-30.clover"
	m.Data.Subscription.Created = m.Data.Subscription.Created.In(time.FixedZone("CET", 3600)).Add(1_999_999)
	got, ok := events.FactOf(m)
	want := events.Fact{
		EventID: "evt_1", Type: "customer.subscription.created", APIVersion: "2025-09-30.clover",
		Moment: at("2026-01-01T00:00:03.001Z"), Terminal: true,
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("FactOf: got %v (-want +got):\n%s", ok, diff)
	}
	if got.Moment.Location() != time.UTC {
		t.Errorf("Moment: got zone %v, want UTC", got.Moment.Location())
	}
	m.Data.Ignored = events.IgnoredAccount
	if _, ok := events.FactOf(m); ok {
		t.Error("an event that was not admitted: got a fact")
	}
	m.Data.Ignored, m.Data.Subscription = "", nil
	if _, ok := events.FactOf(m); ok {
		t.Error("an event without subscription: got a fact")
	}
}

func TestFactOfASnapshotIsThatItWasRead(t *testing.T) {
	t.Parallel()
	m := told("snap_1", "updated", 5, "canceled")
	m.Type, m.StripeType = events.SubjectSnapshot, ""
	m.Data.ReadAt, m.Data.Event, m.Data.Origin = m.Time, nil, events.OriginThin
	got, ok := events.FactOf(m)
	want := events.Fact{
		EventID: "snap_1", Type: "subscription.snapshot", APIVersion: m.StripeAPIVersion, Moment: at("2026-01-01T00:00:05Z"), Terminal: true,
	}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("FactOf: got %v (-want +got):\n%s", ok, diff)
	}
}

// genFact draws from few values, so that ties are frequent. Facts with one id
// are equal, as those of one event are.
func genFact(n int) *rapid.Generator[events.Fact] {
	return rapid.Custom(func(t *rapid.T) events.Fact {
		word := rapid.SampledFrom([]string{"created", "updated", "deleted", "paused"}).Draw(t, "word")
		return events.Fact{
			EventID:  fmt.Sprintf("evt_%02d", n),
			Type:     "customer.subscription." + word,
			Moment:   at("2026-01-01T00:00:00Z").Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "second")) * time.Second),
			Terminal: word == "deleted" || rapid.IntRange(0, 4).Draw(t, "end") == 0,
		}
	})
}

func genFacts(t *rapid.T, least int) []events.Fact {
	n := rapid.IntRange(least, 12).Draw(t, "n")
	set := make([]events.Fact, n)
	for i := range set {
		set[i] = genFact(i).Draw(t, "fact")
	}
	return set
}

// mixed repeats and shuffles.
func mixed(t *rapid.T, set []events.Fact) []events.Fact {
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
		want, got := events.Fold(set), events.Fold(given)
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
		var kept []events.Fact
		for len(known) > 0 {
			n := rapid.IntRange(1, len(known)).Draw(t, "batch")
			kept, known = events.Fold(append(kept, known[:n]...)).Relevant, known[n:]
		}
		want := events.Fold(set)
		got := events.Fold(append(slices.Clone(kept), later))
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
		ended := slices.ContainsFunc(set, func(f events.Fact) bool { return f.Terminal })
		got := events.Fold(set)
		if got.Winner.Terminal != ended {
			t.Fatalf("got a winner with terminal %v, want %v", got.Winner.Terminal, ended)
		}
		for _, f := range set {
			if f.Terminal == ended && f.Moment.After(got.Winner.Moment) {
				t.Fatalf("%s is later than the winner %s", f.EventID, got.Winner.EventID)
			}
		}
		if (got.Ordering == events.Ambiguous) != (len(got.Relevant) > 1) {
			t.Fatalf("got %s with %d relevant facts", got.Ordering, len(got.Relevant))
		}
	})
}
