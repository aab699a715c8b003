package store_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

// listing returns an event that lists items, each in the form id:quantity. The list is
// truncated if the last one is "…".
func listing(id string, second int, items string) store.Entry {
	e := storetest.Entry("sub_1", id, "updated", second, "active")
	sub := e.Data.Subscription
	for item := range strings.FieldsSeq(items) {
		if item == "…" {
			sub.ItemsTruncated = true
			continue
		}
		quantity := int64(0)
		itemID, text, _ := strings.Cut(item, ":")
		if _, err := fmt.Sscan(text, &quantity); err != nil {
			panic(err)
		}
		sub.Items = append(sub.Items, events.Item{ID: itemID, Quantity: &quantity})
	}
	return e
}

func TestCompleteListIsNotFilledUp(t *testing.T) {
	t.Parallel()
	winner := listing("evt_2", 2, "a:2 b:5").Message
	got := store.WithItems(winner, listing("evt_1", 1, "a:1 c:1").Message)
	if diff := cmp.Diff(winner, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// permutations calls do with every order of the entries.
func permutations(entries []store.Entry, do func([]store.Entry)) {
	storetest.Exhaust(func(choose func(n int) int) {
		rest, order := slices.Clone(entries), []store.Entry(nil)
		for len(rest) > 0 {
			i := choose(len(rest))
			order, rest = append(order, rest[i]), slices.Delete(rest, i, i+1)
		}
		do(order)
	})
}

func TestTruncatedListRemovesNoKnownItem(t *testing.T) {
	t.Parallel()
	ended := listing("evt_9", 9, "a:1 b:2 …")
	ended.Data.Subscription.Status = "canceled"
	for name, tt := range map[string]struct {
		entries []store.Entry
		want    string
	}{
		"no complete list": {[]store.Entry{listing("evt_1", 1, "a:1 …"), listing("evt_2", 9, "a:2 …")}, "a:2 …"},
		"a complete list before": {
			[]store.Entry{listing("evt_1", 1, "a:1 b:1 c:1"), listing("evt_2", 9, "a:1 b:7 …")}, "a:1 b:7 c:1 …",
		},
		"the latest of several complete lists": {
			[]store.Entry{
				listing("evt_1", 1, "a:1 b:1 c:1"), listing("evt_2", 5, "a:1 b:1 c:2 d:1"), listing("evt_3", 9, "a:1 b:1 …"), listing("evt_4", 15, "a:3 b:1 …"),
			}, "a:3 b:1 c:2 d:1 …",
		},
		"an item that the complete list lacks": {
			[]store.Entry{listing("evt_1", 1, "b:1 c:1"), listing("evt_2", 9, "a:1 b:1 …")}, "b:1 c:1 a:1 …",
		},
		"a complete list after": {
			[]store.Entry{listing("evt_1", 1, "a:1 b:1 c:1"), listing("evt_2", 5, "a:1 b:1 …"), listing("evt_3", 9, "a:1 c:4")}, "a:1 c:4",
		},
		"the end": {[]store.Entry{listing("evt_1", 1, "a:1 b:1 c:1"), listing("evt_2", 5, "a:2 b:2 …"), ended}, "a:1 b:2 c:1 …"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			permutations(tt.entries, func(order []store.Entry) {
				server := storetest.NewMemory()
				for _, e := range order {
					commit(t, server, e)
				}
				if got := storetest.ContentOf(record(server, "sub_1")).Items; got != tt.want {
					t.Errorf("%s: got %q, want %q", idsOf(order), got, tt.want)
				}
				expect(t, server, "sub_1", record(server, "sub_1").Winner.ID)
				batch := storetest.NewMemory()
				commit(t, batch, order...)
				if diff := cmp.Diff(storetest.ContentOf(record(server, "sub_1")), storetest.ContentOf(record(batch, "sub_1"))); diff != "" {
					t.Errorf("%s (-one by one +as a batch):\n%s", idsOf(order), diff)
				}
			})
		})
	}
}

func idsOf(entries []store.Entry) []string {
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

// A complete list can be older than everything that decides the state.
func TestLateCompleteListIsApplied(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	commit(t, server, listing("evt_2", 100, "a:1 …"), listing("evt_3", 200, "a:1 …"))
	got := commit(t, server, listing("evt_1", 1, "a:1 b:1"))
	if diff := cmp.Diff([]store.Effect{store.Applied}, got); diff != "" {
		t.Errorf("effect (-want +got):\n%s", diff)
	}
	expect(t, server, "sub_1", "evt_3")
}

// Two workers at the same time: one writes the event with the truncated list, and the
// other the older one with the complete list.
func TestCompleteListCountsInEveryOrder(t *testing.T) {
	t.Parallel()
	truncated, complete := listing("evt_2", 100, "a:2 …"), listing("evt_1", 1, "a:1 b:1")
	interleave(t, []store.Entry{truncated}, []store.Entry{complete}, func(server *storetest.Memory) {
		expect(t, server, "sub_1", "evt_2")
		if got := storetest.ContentOf(record(server, "sub_1")).Items; got != "a:2 b:1 …" {
			t.Errorf("got items %q", got)
		}
	})
}

func TestMissingCompleteListIsTransient(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	commit(t, server, listing("evt_1", 1, "a:1 b:1"))
	before := record(server, "sub_1")
	server.Delete(kit.Key("evt_1"), "")
	results := committer(server, storetest.Hooks{}).Commit(t.Context(), []store.Entry{listing("evt_2", 100, "a:2 …")})
	if results[0].Err == nil {
		t.Fatal("got a record without items that are known")
	}
	if diff := cmp.Diff(before, record(server, "sub_1")); diff != "" {
		t.Errorf("record (-before +after):\n%s", diff)
	}
}

// What a verdict depends on is in Relevant, whatever comes later.
func TestDecideNeedsTheRelevantFactsOnly(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		var facts []ordering.Fact
		for _, e := range storetest.Generate(random, "sub_1", 1+random.IntN(12)) {
			fact, _ := ordering.FactOf(e.Message)
			facts = append(facts, fact)
		}
		random.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
		var known []ordering.Fact
		for _, fact := range facts {
			known = store.Decide(append(known, fact)).Relevant
		}
		if diff := cmp.Diff(store.Decide(facts), store.Decide(known)); diff != "" {
			t.Fatalf("seed %d (-all at once +one by one):\n%s", seed, diff)
		}
	}
}
