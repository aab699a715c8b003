package mongostore_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

func keys(doc bson.M) []string { return slices.Sorted(maps.Keys(doc)) }

func version(doc bson.M) bson.M {
	v, _ := doc["version"].(bson.M)
	return v
}

// expect compares the winner of a state and its status.
func expect(t *testing.T, state bson.M, eventID, status, ordering string) {
	t.Helper()
	got := []any{version(state)["event_id"], state["status"], state["ordering"]}
	if diff := cmp.Diff([]any{eventID, status, ordering}, got); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestEffects(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		invoice := storetest.Told("sub_1", "evt_9", "updated", 9, "active")
		invoice.Type, invoice.StripeType, invoice.Data.Subscription = "stripe.invoice.paid", "invoice.paid", nil
		ignored := storetest.Told("sub_1", "evt_8", "updated", 8, "unpaid")
		ignored.Type, ignored.Data.Ignored = "stripe.customer.subscription.updated", events.IgnoredLivemode
		effects := record(t, s,
			storetest.Told("sub_1", "evt_2", "updated", 2, "active"), storetest.Told("sub_1", "evt_1", "updated", 1, "trialing"),
			storetest.Told("sub_1", "evt_3", "updated", 3, "past_due"), storetest.Told("sub_1", "evt_3", "updated", 3, "past_due"), invoice, ignored)
		want := []store.Effect{store.Applied, store.Recorded, store.Applied, store.Duplicate, store.Recorded, store.Recorded}
		if diff := cmp.Diff(want, effects); diff != "" {
			t.Errorf("effects (-want +got):\n%s", diff)
		}
		state := db.state(t, "sub_1")
		expect(t, state, "evt_3", "past_due", "determined")
		if got := version(state)["n"]; got != int64(3) {
			t.Errorf("version.n: got %v, want 3: what may matter later is remembered, a duplicate is not written", got)
		}
		if got := len(db.all(t, mongostore.WebhookEvents, bson.D{})); got != 5 {
			t.Errorf("got %d audit documents, want 5", got)
		}
		if got := db.find(t, mongostore.WebhookEvents, "test:platform:evt_8")["subscription_key"]; got != nil {
			t.Errorf("what was not admitted has the subscription_key %v", got)
		}
	})
}

// A batch folds all events of a subscription into one write.
func TestBatchIsOneWrite(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		effects, errs := s.CommitBatch(t.Context(),
			storetest.Told("sub_1", "evt_2", "updated", 2, "active"), storetest.Told("sub_1", "evt_1", "created", 1, "incomplete"),
			storetest.Told("sub_2", "evt_3", "created", 1, "incomplete"), storetest.Told("sub_1", "evt_2", "updated", 2, "unpaid"))
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		want := []store.Effect{store.Applied, store.Recorded, store.Applied, store.Applied}
		if diff := cmp.Diff(want, effects); diff != "" {
			t.Errorf("effects (-want +got):\n%s", diff)
		}
		expect(t, db.state(t, "sub_1"), "evt_2", "active", "determined")
		expect(t, db.state(t, "sub_2"), "evt_3", "incomplete", "determined")
		if got := version(db.state(t, "sub_1"))["n"]; got != int64(1) {
			t.Errorf("version.n: got %v, want 1", got)
		}
	})
}

// A crash between audit and state leaves the first without the second.
func TestDuplicateRestoresTheState(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		entry := storetest.Told("sub_1", "evt_1", "updated", 1, "active")
		record(t, s, entry)
		before := db.state(t, "sub_1")
		db.remove(t, mongostore.Subscriptions, "test:platform:sub_1")
		if diff := cmp.Diff([]store.Effect{store.Applied}, record(t, s, entry)); diff != "" {
			t.Errorf("effect (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(before, db.state(t, "sub_1")); diff != "" {
			t.Errorf("state (-before +after):\n%s", diff)
		}
	})
}

func TestFirstRenderingCounts(t *testing.T) {
	first := storetest.Told("sub_1", "evt_1", "updated", 1, "active")
	second := storetest.Told("sub_1", "evt_1", "updated", 9, "unpaid")
	second.StripeAPIVersion, second.Data.Event = "2026-06-24.dahlia", []byte(`{"id":"evt_1","new":true}`)
	third := storetest.Told("sub_1", "evt_1", "deleted", 9, "canceled")
	check := func(t *testing.T, db database) {
		t.Helper()
		expect(t, db.state(t, "sub_1"), "evt_1", "active", "determined")
		if got := db.find(t, mongostore.WebhookEvents, "test:platform:evt_1")["payload"]; got != string(first.Data.Event) {
			t.Errorf("payload: got %v, want that of the first", got)
		}
	}
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		record(t, s, first, second, third)
		check(t, db)
		db.remove(t, mongostore.Subscriptions, "test:platform:sub_1")
		record(t, s, second)
		check(t, db)
		db.remove(t, mongostore.Subscriptions, "test:platform:sub_1")
		db.remove(t, mongostore.WebhookEvents, "test:platform:evt_1")
		if _, errs := s.CommitBatch(t.Context(), first, second, third); errors.Join(errs...) != nil {
			t.Fatal(errs)
		}
		check(t, db)
	})
}

func TestStateIsReplacedWhole(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		clock := now()
		s := db.open(t, func() time.Time { return clock })
		scheduled := storetest.Told("sub_1", "evt_1", "updated", 1, "active")
		scheduled.Data.Subscription.CancelAt = now().AddDate(0, 1, 0)
		scheduled.Data.Subscription.UserID = "7"
		scheduled.Data.Subscription.Metadata = map[string]string{"user_id": "7"}
		record(t, s, scheduled)
		has(t, db.raw(t, mongostore.Subscriptions, "test:platform:sub_1"), "cancel_at", "user_id", "user_id_source", "metadata")
		db.set(t, "sub_1", bson.D{{Key: "stray", Value: 1}})
		clock = clock.Add(time.Hour)
		record(t, s, storetest.Told("sub_1", "evt_2", "updated", 2, "active"))
		want := []string{
			"_id", "access", "explanation", "first_seen_at", "livemode", "ordering", "status", "subscription_id", "updated_at", "version",
		}
		state := db.state(t, "sub_1")
		if diff := cmp.Diff(want, keys(state)); diff != "" {
			t.Errorf("fields after the withdrawal (-want +got):\n%s", diff)
		}
		times := []any{state["first_seen_at"], state["updated_at"]}
		if diff := cmp.Diff([]any{bson.NewDateTimeFromTime(now()), bson.NewDateTimeFromTime(clock)}, times); diff != "" {
			t.Errorf("first_seen_at, updated_at (-want +got):\n%s", diff)
		}
	})
}

func TestTieIsAmbiguousInAnyOrder(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		record(t, s, storetest.Told("sub_1", "evt_1a", "updated", 1, "active"), storetest.Told("sub_1", "evt_1b", "updated", 1, "past_due"))
		expect(t, db.state(t, "sub_1"), "evt_1b", "past_due", "ambiguous")
		// The winner comes first here, and is read from the audit again.
		record(t, s, storetest.Told("sub_2", "evt_2b", "updated", 1, "past_due"), storetest.Told("sub_2", "evt_2a", "updated", 1, "active"))
		expect(t, db.state(t, "sub_2"), "evt_2b", "past_due", "ambiguous")
		if got := len(version(db.state(t, "sub_2"))["known"].(bson.A)); got != 2 {
			t.Errorf("version.known: got %d facts, want 2", got)
		}
		record(t, s, storetest.Told("sub_2", "evt_2c", "updated", 2, "active"))
		expect(t, db.state(t, "sub_2"), "evt_2c", "active", "determined")
	})
}

func TestTerminalStays(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		record(t, s, storetest.Told("sub_1", "evt_1", "deleted", 1, "canceled"))
		effects := record(t, s, storetest.Told("sub_1", "evt_2", "updated", 9, "active"))
		if diff := cmp.Diff([]store.Effect{store.Recorded}, effects); diff != "" {
			t.Errorf("effect (-want +got):\n%s", diff)
		}
		expect(t, db.state(t, "sub_1"), "evt_1", "canceled", "determined")
		record(t, s, storetest.Told("sub_1", "evt_3", "updated", 10, "canceled"))
		expect(t, db.state(t, "sub_1"), "evt_3", "canceled", "determined")
		if got := version(db.state(t, "sub_1"))["terminal"]; got != true {
			t.Errorf("version.terminal: got %v", got)
		}
		audited := db.find(t, mongostore.WebhookEvents, "test:platform:evt_1")
		if audited["terminal"] != true {
			t.Errorf("terminal of the audit document: got %v", audited["terminal"])
		}
	})
}

// history is a set of events with ties, an end, and two renderings of none.
func history(sub string, random *rand.Rand) []store.Entry {
	var list []store.Entry
	statuses := []string{"trialing", "active", "past_due", "unpaid"}
	for i := range 12 {
		word := "updated"
		if i == 0 {
			word = "created"
		}
		id := fmt.Sprintf("evt_%s_%02d", sub, random.IntN(90)*100+i)
		list = append(list, storetest.Told(sub, id, word, i/4, statuses[random.IntN(len(statuses))]))
	}
	if random.IntN(2) == 0 {
		list = append(list, storetest.Told(sub, "evt_"+sub+"_end", "deleted", 1, "canceled"), storetest.Told(sub, "evt_"+sub+"_after", "updated", 1, "canceled"))
	}
	return list
}

// recordAll records entries from several callers at once, some of them twice.
func recordAll(t *testing.T, stores []*mongostore.Store, entries []store.Entry, random *rand.Rand) {
	t.Helper()
	list := slices.Concat(entries, entries[:len(entries)/3])
	random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := i; k < len(list); k += 8 {
				if _, err := stores[k%len(stores)].Commit(t.Context(), list[k]); err != nil {
					t.Errorf("recording %s: %v", list[k].ID, err)
				}
			}
		})
	}
	wg.Wait()
}

// settled is a state without what depends on when and how often it was written.
func settled(state bson.M) bson.M {
	doc := maps.Clone(state)
	delete(doc, "first_seen_at")
	delete(doc, "updated_at")
	delete(version(doc), "n")
	return doc
}

func testAnyOrder(t *testing.T, db database, stores []*mongostore.Store, rounds int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds {
		subs := []string{fmt.Sprintf("sub_%da", round), fmt.Sprintf("sub_%db", round)}
		entries := slices.Concat(history(subs[0], random), history(subs[1], random))
		recordAll(t, stores, entries, random)
		for _, sub := range subs {
			got := settled(db.state(t, sub))
			winner := oracle(entries, sub)
			if version(got)["event_id"] != winner.ID || got["status"] != winner.Data.Subscription.Status {
				t.Errorf("%s: got %v %v, want %s %s", sub, version(got)["event_id"], got["status"], winner.ID, winner.Data.Subscription.Status)
			}
			db.remove(t, mongostore.Subscriptions, "test:platform:"+sub)
			recordAll(t, stores, entries, random) // all of them duplicates
			if diff := cmp.Diff(got, settled(db.state(t, sub))); diff != "" {
				t.Errorf("%s in another order (-first +second):\n%s", sub, diff)
			}
		}
		if got := len(db.all(t, mongostore.WebhookEvents, bson.D{})); got < len(entries) {
			t.Errorf("got %d audit documents, want at least %d", got, len(entries))
		}
	}
}

// oracle is the entry that holds the state of a subscription.
func oracle(entries []store.Entry, sub string) store.Entry {
	var facts []ordering.Fact
	byID := map[string]store.Entry{}
	for _, e := range entries {
		if fact, ok := ordering.FactOf(e.Message); ok && e.Subject == sub {
			facts, byID[e.ID] = append(facts, fact), e
		}
	}
	return byID[ordering.Fold(facts).Winner.EventID]
}

func TestOrderDoesNotMatter(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		testAnyOrder(t, db, []*mongostore.Store{db.open(t, nil)}, 4)
	})
}

func TestOrderDoesNotMatterToSeveralStores(t *testing.T) {
	const why = "updates of the embedded database are not atomic across connections"
	onMongoDB(t, why, func(t *testing.T, db database) {
		testAnyOrder(t, db, []*mongostore.Store{db.open(t, nil), db.open(t, nil), db.open(t, nil)}, 20)
	})
}

// interposed is a clock at whose first reading after being armed, which is
// between a store's reading and replacing of a state, something else happens.
type interposed struct {
	mu sync.Mutex
	do func()
}

func (i *interposed) arm(do func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.do = do
}

func (i *interposed) now() time.Time {
	i.mu.Lock()
	do := i.do
	i.do = nil
	i.mu.Unlock()
	if do != nil {
		do()
	}
	return now()
}

// Two writers collide: neither may overwrite what the other has seen.
func TestAnotherWriterIsFirst(t *testing.T) {
	const earlier, later = 2, 3
	cases := map[string]struct {
		exists bool // whether there is a state before
		mine   int
		other  int
		effect store.Effect
		n      int64
	}{
		"both create, mine is later":   {false, later, earlier, store.Applied, 2},
		"both create, mine is earlier": {false, earlier, later, store.Recorded, 2},
		"both create, a tie":           {false, later, later, store.Applied, 2},
		"both replace, mine is later":  {true, later, earlier, store.Applied, 3},
		"both replace, mine is older":  {true, earlier, later, store.Recorded, 3},
		"both replace, a tie":          {true, later, later, store.Applied, 3},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db database) {
				clock := &interposed{}
				s, second := db.open(t, clock.now), db.open(t, nil)
				if tt.exists {
					record(t, s, storetest.Told("sub_1", "evt_0", "created", 1, "incomplete"))
				}
				clock.arm(func() { record(t, second, storetest.Told("sub_1", "evt_other", "updated", tt.other, "past_due")) })
				effects := record(t, s, storetest.Told("sub_1", "evt_mine", "updated", tt.mine, "active"))
				if diff := cmp.Diff([]store.Effect{tt.effect}, effects); diff != "" {
					t.Errorf("effect (-want +got):\n%s", diff)
				}
				state := db.state(t, "sub_1")
				switch {
				case tt.mine == tt.other:
					expect(t, state, "evt_other", "past_due", "ambiguous")
				case tt.mine > tt.other:
					expect(t, state, "evt_mine", "active", "determined")
				default:
					expect(t, state, "evt_other", "past_due", "determined")
				}
				if got := version(state)["n"]; got != tt.n {
					t.Errorf("version.n: got %v, want %v", got, tt.n)
				}
			})
		})
	}
}

// The embedded database stops an unordered command at its first failure.
func TestACollisionFailsNoOtherSubscription(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		clock := &interposed{}
		s, second := db.open(t, clock.now), db.open(t, nil)
		clock.arm(func() {
			record(t, second, storetest.Told("sub_1", "evt_other", "updated", 1, "past_due"), storetest.Told("sub_3", "evt_other3", "updated", 1, "past_due"))
		})
		_, errs := s.CommitBatch(t.Context(), storetest.Told("sub_0", "evt_0", "updated", 2, "active"), storetest.Told("sub_1", "evt_1", "updated", 2, "active"),
			storetest.Told("sub_2", "evt_2", "updated", 2, "active"), storetest.Told("sub_3", "evt_3", "updated", 2, "active"), storetest.Told("sub_4", "evt_4", "updated", 2, "active"))
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for i := range 5 {
			expect(t, db.state(t, fmt.Sprintf("sub_%d", i)), fmt.Sprintf("evt_%d", i), "active", "determined")
		}
	})
}

func TestEndlessCollisionIsTransient(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		var s *mongostore.Store
		bumped := 0
		s = db.open(t, func() time.Time {
			if bumped++; bumped > 1 {
				db.set(t, "sub_1", bson.D{{Key: "version.n", Value: int64(100 + bumped)}})
			}
			return now()
		})
		record(t, s, storetest.Told("sub_1", "evt_1", "updated", 1, "active"))
		_, err := s.Commit(t.Context(), storetest.Told("sub_1", "evt_2", "updated", 2, "active"))
		if fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.DatabaseContention {
			t.Errorf("got %v for %s, want transient for database_contention", err, fault.ReasonOf(err))
		}
		if bumped != 21 {
			t.Errorf("got %d attempts, want 20", bumped-1)
		}
		if db.find(t, mongostore.WebhookEvents, "test:platform:evt_2") == nil {
			t.Error("the audit document is missing")
		}
	})
}

func TestStateOfAnOlderRuleIsDecidedAnew(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		record(t, s, storetest.Told("sub_1", "evt_1", "updated", 1, "active"), storetest.Told("sub_1", "evt_2", "updated", 2, "past_due"),
			storetest.Told("sub_2", "evt_3", "updated", 9, "active"))
		want := settled(db.state(t, "sub_1"))
		// An older rule had let the first event win, and remembered nothing else.
		db.set(t, "sub_1", bson.D{
			{Key: "version.rule", Value: int32(ordering.Rule - 1)},
			{Key: "version.event_id", Value: "evt_1"},
			{Key: "status", Value: "active"},
			{Key: "version.known", Value: bson.A{bson.D{
				{Key: "event_id", Value: "evt_9"}, {Key: "type", Value: "x"}, {Key: "moment", Value: now()}, {Key: "terminal", Value: true},
			}}},
		})
		record(t, s, storetest.Told("sub_1", "evt_1", "updated", 1, "active"))
		if diff := cmp.Diff(want, settled(db.state(t, "sub_1"))); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
		if got := version(db.state(t, "sub_1"))["n"]; got != int64(3) {
			t.Errorf("version.n: got %v, want 3", got)
		}
		// The facts may be the same, and the state of them still another one.
		want = settled(db.state(t, "sub_2"))
		db.set(t, "sub_2", bson.D{{Key: "version.rule", Value: int32(ordering.Rule - 1)}, {Key: "status", Value: "unpaid"}})
		record(t, s, storetest.Told("sub_2", "evt_3", "updated", 9, "active"))
		if diff := cmp.Diff(want, settled(db.state(t, "sub_2"))); diff != "" {
			t.Errorf("state of one event (-want +got):\n%s", diff)
		}
	})
}

func TestStateOfANewerRuleIsLeftAlone(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		record(t, s, storetest.Told("sub_1", "evt_1", "updated", 1, "active"))
		db.set(t, "sub_1", bson.D{{Key: "version.rule", Value: int32(ordering.Rule + 1)}})
		before := db.state(t, "sub_1")
		_, errs := s.CommitBatch(t.Context(), storetest.Told("sub_1", "evt_2", "updated", 2, "past_due"), storetest.Told("sub_2", "evt_3", "updated", 2, "active"))
		if !errors.Is(errs[0], store.ErrNewerRule) || fault.KindOf(errs[0]) != fault.Transient || fault.ReasonOf(errs[0]) != fault.NewerRule {
			t.Errorf("got %v for %s, want a transient ErrNewerRule", errs[0], fault.ReasonOf(errs[0]))
		}
		if diff := cmp.Diff(before, db.state(t, "sub_1")); diff != "" {
			t.Errorf("state (-before +after):\n%s", diff)
		}
		if errs[1] != nil {
			t.Errorf("another subscription: %v", errs[1])
		}
		expect(t, db.state(t, "sub_2"), "evt_3", "active", "determined")
	})
}

// A state that would have to be made of an audit document that is not there, or
// is another one's, is left as it is.
func TestABrokenAuditTrailIsTransient(t *testing.T) {
	const winner = "test:platform:evt_2"
	for name, tt := range map[string]struct {
		hurt   func(t *testing.T, db database)
		reason string
	}{
		"document is missing": {
			func(t *testing.T, db database) { db.remove(t, mongostore.WebhookEvents, winner) }, "database_failed",
		},
		"document of another subscription": {func(t *testing.T, db database) {
			db.remove(t, mongostore.WebhookEvents, winner)
			s := db.open(t, nil)
			record(t, s, storetest.Told("sub_2", "evt_2", "updated", 1, "active"))
		}, "audit_mismatch"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, db database) {
				s := db.open(t, nil)
				record(t, s, storetest.Told("sub_1", "evt_2", "updated", 1, "active"))
				tt.hurt(t, db)
				before := db.state(t, "sub_1")
				_, err := s.Commit(t.Context(), storetest.Told("sub_1", "evt_1", "updated", 1, "past_due"))
				if err == nil || fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.Reason(tt.reason) {
					t.Errorf("got %v of kind %v for %s, want transient for %s", err, fault.KindOf(err), fault.ReasonOf(err), tt.reason)
				}
				if diff := cmp.Diff(before, db.state(t, "sub_1")); diff != "" {
					t.Errorf("state (-before +after):\n%s", diff)
				}
			})
		})
	}
}

// Unacknowledged writes would take every failure for success.
func TestOptionsInTheURIDoNotWeaken(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		separator := "?"
		if strings.Contains(db.uri, "?") {
			separator = "&"
		}
		db.uri += separator + "w=0&readPreference=secondary"
		s := db.open(t, nil)
		entry := storetest.Told("sub_1", "evt_1", "updated", 1, "active")
		effects := record(t, s, entry, entry, storetest.Told("sub_1", "evt_2", "updated", 2, "past_due"))
		if diff := cmp.Diff([]store.Effect{store.Applied, store.Duplicate, store.Applied}, effects); diff != "" {
			t.Errorf("effects (-want +got):\n%s", diff)
		}
	})
}

func TestTooLargeFailsAlone(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		large := storetest.Told("sub_2", "evt_2", "updated", 1, "active")
		large.Data.Event = []byte(`"` + strings.Repeat("x", 16<<20) + `"`)
		effects, errs := s.CommitBatch(t.Context(), storetest.Told("sub_1", "evt_1", "updated", 1, "active"), large, storetest.Told("sub_3", "evt_3", "updated", 1, "active"))
		if fault.KindOf(errs[1]) != fault.Permanent || fault.ReasonOf(errs[1]) != fault.TooLarge {
			t.Errorf("got %v for %s, want permanent for too_large", errs[1], fault.ReasonOf(errs[1]))
		}
		if errs[0] != nil || errs[2] != nil {
			t.Errorf("the others failed: %v, %v", errs[0], errs[2])
		}
		if effects[0] != store.Applied || effects[2] != store.Applied {
			t.Errorf("effects of the others: got %v", effects)
		}
		expect(t, db.state(t, "sub_1"), "evt_1", "active", "determined")
		expect(t, db.state(t, "sub_3"), "evt_3", "active", "determined")
		if db.state(t, "sub_2") != nil {
			t.Error("there is a state of what was not audited")
		}
		if got := len(db.all(t, mongostore.WebhookEvents, bson.D{})); got != 2 {
			t.Errorf("got %d audit documents, want 2", got)
		}
	})
}

// A batch may be larger than one command of the wire protocol.
func TestBatchLargerThanOneCommand(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		var entries []store.Entry
		for i := range 5 {
			e := storetest.Told(fmt.Sprintf("sub_%d", i), fmt.Sprintf("evt_%d", i), "updated", 1, "active")
			e.Data.Event = []byte(`"` + strings.Repeat("x", 12_000_000) + `"`)
			entries = append(entries, e)
		}
		record(t, s, storetest.Told("sub_9", "evt_4", "updated", 1, "past_due")) // one of the last command is a duplicate
		_, errs := s.CommitBatch(t.Context(), entries...)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			expect(t, db.state(t, fmt.Sprintf("sub_%d", i)), fmt.Sprintf("evt_%d", i), "active", "determined")
		}
		expect(t, db.state(t, "sub_9"), "evt_4", "past_due", "determined")
		if db.state(t, "sub_4") != nil {
			t.Error("a duplicate's own message became a state")
		}
	})
}

// snapshot is an entry of a subscription that was read from Stripe's API.
func snapshot(sub, id string, second int, status string) store.Entry {
	e := storetest.Told(sub, id, "updated", second, status)
	e.Type, e.StripeType, e.Data.Event = events.SubjectSnapshot, "", nil
	e.Data.Origin, e.Data.Reason, e.Data.ReadAt = events.OriginThin, events.ReasonThin, e.Time
	e.Data.Object = []byte(`{"id":"` + sub + `"}`)
	return e
}

func TestSnapshotIsAuditedAndCounts(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		effects := record(t, s, storetest.Told("sub_1", "evt_1", "updated", 1, "active"), snapshot("sub_1", "snap_1", 5, "past_due"),
			storetest.Told("sub_1", "evt_2", "updated", 2, "active"))
		if diff := cmp.Diff([]store.Effect{store.Applied, store.Applied, store.Recorded}, effects); diff != "" {
			t.Errorf("effects (-want +got):\n%s", diff)
		}
		state := db.state(t, "sub_1")
		expect(t, state, "snap_1", "past_due", "determined")
		if got := version(state)["event_type"]; got != "subscription.snapshot" {
			t.Errorf("version.event_type: got %v", got)
		}
		audit := db.find(t, mongostore.WebhookEvents, "test:platform:snap_1")
		if audit["type"] != "subscription.snapshot" || audit["payload"] != `{"id":"sub_1"}` || audit["subscription_key"] != "test:platform:sub_1" {
			t.Errorf("got audit document %v", audit)
		}
		if message, _ := audit["message"].(string); strings.Contains(message, `"object"`) || !strings.Contains(message, `"reason":"thin"`) {
			t.Errorf("got message %v, want one without the object", audit["message"])
		}
	})
}

// A state that is decided again reads its snapshot from the audit.
func TestSnapshotComesBackFromTheAudit(t *testing.T) {
	each(t, func(t *testing.T, db database) {
		s := db.open(t, nil)
		record(t, s, storetest.Told("sub_1", "evt_1", "updated", 1, "active"), snapshot("sub_1", "snap_1", 5, "past_due"))
		want := settled(db.state(t, "sub_1"))
		db.set(t, "sub_1", bson.D{{Key: "version.rule", Value: int32(ordering.Rule - 1)}, {Key: "status", Value: "active"}})
		record(t, s, storetest.Told("sub_1", "evt_1", "updated", 1, "active"))
		if diff := cmp.Diff(want, settled(db.state(t, "sub_1"))); diff != "" {
			t.Errorf("state (-want +got):\n%s", diff)
		}
	})
}
