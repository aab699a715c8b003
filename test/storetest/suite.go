package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

// Backend is an empty database, and what the suite needs to look at it.
type Backend struct {
	// Connect returns a client, as if of one more process. The test closes it.
	Connect func() store.Database
	// Record is what the state of a subscription says; the zero Record if there is
	// none.
	Record func(key string) Record
	// Histories is how many generated histories are worth their time here.
	Histories int
	// OneProcess is true where no two clients may write to one document at a time.
	OneProcess bool
}

// Run runs the suite: what each operation of a database must do, and that
// committers on it come to the states that the audit trail says.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, Backend){
		"insert fails for each taken key alone":         testInsert,
		"what is found is what was inserted first":      testFind,
		"what is not there is not found":                testNotFound,
		"history is of one subscription":                testHistory,
		"a state comes back with all of its facts":      testHeads,
		"a state is replaced under its revision only":   testRevision,
		"a collision fails no other state":              testCollision,
		"of many inserts of one key one succeeds":       testConcurrentInserts,
		"of many replacements of one state one is done": testConcurrentReplacements,
		"histories end in the state that they tell of":  testHistories,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// words are the outcomes of writes.
func words(failures []error) string {
	said := make([]string, len(failures))
	for i, err := range failures {
		switch {
		case err == nil:
			said[i] = "written"
		case errors.Is(err, store.ErrExists):
			said[i] = "exists"
		default:
			said[i] = err.Error()
		}
	}
	return strings.Join(said, " ")
}

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func testInsert(t *testing.T, b Backend) {
	db := b.Connect()
	one, two, three := Told("sub_1", "evt_1", "created", 1, "active"), Told("sub_1", "evt_2", "updated", 2, "unpaid"), Told("sub_2", "evt_3", "updated", 3, "paused")
	equal(t, "first", "written exists", words(db.Insert(t.Context(), []store.Entry{two, Rendered(two)})))
	equal(t, "second", "written exists written", words(db.Insert(t.Context(), []store.Entry{one, two, three})))
	equal(t, "all again", "exists exists exists", words(b.Connect().Insert(t.Context(), []store.Entry{one, two, three})))
	equal(t, "nothing", "", words(db.Insert(t.Context(), nil)))
}

func testFind(t *testing.T, b Backend) {
	db := b.Connect()
	first := Told("sub_1", "evt_1", "updated", 1, "active")
	first.Data.Previous = &events.Previous{Fields: []string{"status", "ended_at"}, Values: events.Subscription{Status: "unpaid"}}
	db.Insert(t.Context(), []store.Entry{first, Rendered(first)})
	db.Insert(t.Context(), []store.Entry{Rendered(first)})
	got, err := b.Connect().Find(t.Context(), first.Key())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "subscription", first.Data.Subscription, got.Data.Subscription)
	equal(t, "event", string(first.Data.Event), string(got.Data.Event))
	equal(t, "fact", factOf(t, first.Message), factOf(t, got))
}

func factOf(t *testing.T, m events.Message) ordering.Fact {
	t.Helper()
	fact, ok := ordering.FactOf(m)
	if !ok {
		t.Fatalf("%s holds no subscription", m.ID)
	}
	return fact
}

// A winner that is not there, yet or again, is looked for later.
func testNotFound(t *testing.T, b Backend) {
	db := b.Connect()
	_, err := db.Find(t.Context(), kit.Key("evt_1"))
	if err == nil || errors.Is(err, store.ErrExists) || fault.KindOf(err) != fault.Transient {
		t.Errorf("Find: got %v, want something transient", err)
	}
	heads, err := db.Heads(t.Context(), []string{kit.Key("sub_1")})
	if err != nil || len(heads) != 0 {
		t.Errorf("Heads: got %v, %v, want none", heads, err)
	}
	for m, err := range db.History(t.Context(), kit.Key("sub_1")) {
		t.Errorf("History: got %v, %v, want nothing", m.ID, err)
	}
}

func testHistory(t *testing.T, b Backend) {
	db := b.Connect()
	ignored := Told("sub_1", "evt_4", "updated", 1, "active")
	ignored.Data.Ignored = events.IgnoredLivemode
	db.Insert(t.Context(), []store.Entry{
		Told("sub_1", "evt_1", "created", 1, "active"), Told("sub_2", "evt_2", "updated", 1, "active"),
		Told("sub_1", "evt_3", "updated", 1, "active"), ignored,
	})
	var ids []string
	for m, err := range db.History(t.Context(), kit.Key("sub_1")) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, m.ID)
	}
	slices.Sort(ids)
	equal(t, "history", []string{"evt_1", "evt_3"}, ids)
	for _, err := range db.History(t.Context(), kit.Key("sub_1")) {
		equal(t, "error of the first", error(nil), err)
		break // not all of it
	}
}

// stateAt is a state of a revision that rests on one event.
func stateAt(t *testing.T, sub string, n int64, status string) store.State {
	t.Helper()
	winner := Told(sub, "evt_"+sub, "updated", 1, status).Message
	winner.StripeAPIVersion = "2026-06-24.dahlia"
	winner.Data.Previous = &events.Previous{Fields: []string{"status"}, Values: events.Subscription{Status: "unpaid"}}
	return store.State{
		Head:   store.Head{Key: kit.Key(sub), FirstSeenAt: noon(), N: n, Rule: ordering.Rule, Known: []ordering.Fact{factOf(t, winner)}},
		Winner: winner, Ordering: ordering.Determined, Explanation: "because", UpdatedAt: noon(),
	}
}

func testHeads(t *testing.T, b Backend) {
	db := b.Connect()
	state := stateAt(t, "sub_1", 1, "active")
	created := factOf(t, Told("sub_1", "evt_0", "created", 1, "active").Message)
	created.Request, created.Terminal, created.Moment = "req_1", true, created.Moment.Add(time.Millisecond)
	state.Known = append(state.Known, created)
	other := stateAt(t, "sub_2", 1, "paused")
	equal(t, "replacing", "written written", words(db.Replace(t.Context(), []store.State{state, other})))
	heads, err := b.Connect().Heads(t.Context(), []string{kit.Key("sub_1"), kit.Key("sub_2"), kit.Key("sub_3")})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "heads", map[string]store.Head{kit.Key("sub_1"): state.Head, kit.Key("sub_2"): other.Head}, heads)
	equal(t, "record", RecordOf(other), b.Record(kit.Key("sub_2")))
}

func testRevision(t *testing.T, b Backend) {
	db := b.Connect()
	for i, step := range []struct {
		n      int64
		status string
		want   string
	}{
		{1, "active", "written"},
		{1, "unpaid", "exists"},
		{3, "unpaid", "exists"},
		{2, "paused", "written"},
		{2, "unpaid", "exists"},
		{1, "unpaid", "exists"},
		{3, "past_due", "written"},
	} {
		failures := db.Replace(t.Context(), []store.State{stateAt(t, "sub_1", step.n, step.status)})
		equal(t, fmt.Sprintf("step %d", i), step.want, words(failures))
		if step.want == "written" {
			equal(t, fmt.Sprintf("status after step %d", i), step.status, b.Record(kit.Key("sub_1")).Status)
		}
	}
	equal(t, "status in the end", "past_due", b.Record(kit.Key("sub_1")).Status)
	// Somebody has removed it meanwhile: there is nothing that could be lost.
	equal(t, "a later revision of what is not there", "written", words(db.Replace(t.Context(), []store.State{stateAt(t, "sub_2", 7, "active")})))
}

func testCollision(t *testing.T, b Backend) {
	db := b.Connect()
	db.Replace(t.Context(), []store.State{stateAt(t, "sub_1", 1, "active"), stateAt(t, "sub_3", 1, "active")})
	failures := db.Replace(t.Context(), []store.State{
		stateAt(t, "sub_0", 1, "unpaid"), stateAt(t, "sub_1", 1, "unpaid"), stateAt(t, "sub_2", 1, "unpaid"),
		stateAt(t, "sub_3", 2, "unpaid"), stateAt(t, "sub_4", 1, "unpaid"),
	})
	equal(t, "outcomes", "written exists written written written", words(failures))
	var statuses []string
	for i := range 5 {
		statuses = append(statuses, b.Record(kit.Key(fmt.Sprintf("sub_%d", i))).Status)
	}
	equal(t, "statuses", []string{"unpaid", "active", "unpaid", "unpaid", "unpaid"}, statuses)
}

// race has several clients do one thing at once, and says how often each outcome
// came of it.
func race(b Backend, clients int, do func(db store.Database, client int) error) map[string]int {
	outcomes := make([]error, clients)
	var wg sync.WaitGroup
	for i := range clients {
		db := b.Connect()
		wg.Go(func() { outcomes[i] = do(db, i) })
	}
	wg.Wait()
	counts := map[string]int{}
	for _, err := range outcomes {
		counts[words([]error{err})]++
	}
	return counts
}

func testConcurrentInserts(t *testing.T, b Backend) {
	for round := range 5 {
		got := race(b, 4, func(db store.Database, client int) error {
			return db.Insert(t.Context(), []store.Entry{Told(fmt.Sprintf("sub_%d", client), fmt.Sprintf("evt_%d", round), "updated", 1, "active")})[0]
		})
		equal(t, "outcomes", map[string]int{"written": 1, "exists": 3}, got)
	}
}

func testConcurrentReplacements(t *testing.T, b Backend) {
	if b.OneProcess {
		t.Skip("this database's replacements are not atomic across connections")
	}
	for n := range int64(20) {
		got := race(b, 4, func(db store.Database, _ int) error {
			return db.Replace(t.Context(), []store.State{stateAt(t, "sub_1", n+1, "active")})[0]
		})
		equal(t, "outcomes", map[string]int{"written": 1, "exists": 3}, got)
	}
}

// testHistories records generated histories from eight workers at once, some events
// twice and some in two renderings, and holds the states against the oracle.
func testHistories(t *testing.T, b Backend) {
	random := rand.New(rand.NewPCG(uint64(b.Histories), 0))
	queues := connect(t, b)
	for i := range b.Histories {
		subs := []string{fmt.Sprintf("sub_%da", i), fmt.Sprintf("sub_%db", i)}
		var entries []store.Entry
		for _, sub := range subs {
			entries = append(entries, Generate(random, sub, 10)...)
		}
		if err := recordAll(t.Context(), queues, repeated(random, entries)); err != nil {
			t.Fatal(err)
		}
		compare(t, b, entries)
	}
}

func connect(t *testing.T, b Backend) []*store.Queue {
	t.Helper()
	processes := 3
	if b.OneProcess {
		processes = 1
	}
	queues := make([]*store.Queue, processes)
	for i := range queues {
		queues[i] = store.NewQueue(store.NewCommitter(b.Connect(), noon), 4)
		t.Cleanup(queues[i].Close)
	}
	return queues
}

// repeated is a list of entries in any order, each at least once.
func repeated(random *rand.Rand, entries []store.Entry) []store.Entry {
	list := slices.Clone(entries)
	for _, e := range entries[:len(entries)/3] {
		list = append(list, e, Rendered(e))
	}
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

func recordAll(ctx context.Context, queues []*store.Queue, list []store.Entry) error {
	const workers = 8
	failures := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(list); i += workers {
				_, err := queues[i%len(queues)].Commit(ctx, list[i])
				failures[w] = cmp.Or(failures[w], err)
			}
		})
	}
	wg.Wait()
	return errors.Join(failures...)
}

// compare holds the states of the entries' subscriptions against what is audited of
// them.
func compare(t *testing.T, b Backend, entries []store.Entry) {
	t.Helper()
	db := b.Connect()
	audited := map[string]events.Message{}
	for _, e := range entries {
		m, err := db.Find(t.Context(), e.Key())
		if err != nil {
			t.Fatalf("%s was recorded: %v", e.ID, err)
		}
		audited[e.Key()] = m
	}
	for key, want := range Oracle(slices.Collect(maps.Values(audited))) {
		equal(t, key, want, b.Record(key))
	}
}
