package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

func now() time.Time { return time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) }

// stepped returns an update from one status to another.
func stepped(id string, second int, from, to string) store.Entry {
	e := storetest.Entry("sub_1", id, "updated", second, to)
	e.Data.Previous = &events.Previous{Fields: []string{"status"}, Values: events.Subscription{Status: from}}
	return e
}

// committer returns a committer on a client with hooks.
func committer(server *storetest.Memory, hooks storetest.Hooks) *store.Committer {
	return store.NewCommitter(server.Connect(hooks), now)
}

// commit commits entries as one batch. None of them may fail.
func commit(t *testing.T, server *storetest.Memory, entries ...store.Entry) []store.Effect {
	t.Helper()
	effects := make([]store.Effect, len(entries))
	for i, result := range committer(server, storetest.Hooks{}).Commit(t.Context(), entries) {
		if result.Err != nil {
			t.Fatalf("committing %s: %v", entries[i].ID, result.Err)
		}
		effects[i] = result.Effect
	}
	return effects
}

func record(server *storetest.Memory, sub string) store.Record {
	r, _ := server.Record(kit.Key(sub))
	return r
}

// expect compares what a record says with what the audit trail says.
func expect(t *testing.T, server *storetest.Memory, sub, winner string) {
	t.Helper()
	got := storetest.ContentOf(record(server, sub))
	if got.EventID != winner {
		t.Errorf("%s: got %s as winner, want %s", sub, got.EventID, winner)
	}
	var audited []events.Message
	for _, m := range server.Audited() {
		audited = append(audited, m)
	}
	if diff := cmp.Diff(storetest.Oracle(audited)[kit.Key(sub)], got); diff != "" {
		t.Errorf("%s (-audit +record):\n%s", sub, diff)
	}
}

func TestEffects(t *testing.T) {
	t.Parallel()
	const applied, recorded, duplicate = store.Applied, store.Recorded, store.Duplicate
	invoice := storetest.Entry("sub_1", "evt_i", "updated", 9, "active")
	invoice.Type, invoice.StripeType, invoice.Data.Subscription = "stripe.invoice.paid", "invoice.paid", nil
	ignored := storetest.Entry("sub_1", "evt_g", "updated", 9, "active")
	ignored.Data.Ignored = events.IgnoredAccount
	first := storetest.Entry("sub_1", "evt_1", "updated", 10, "active")
	cases := map[string]struct {
		before, batch []store.Entry
		want          []store.Effect
		writes        int64 // of the record, by the batch
	}{
		"the first event":             {nil, []store.Entry{first}, []store.Effect{applied}, 1},
		"a later one":                 {[]store.Entry{first}, []store.Entry{storetest.Entry("sub_1", "evt_0", "updated", 15, "unpaid")}, []store.Effect{applied}, 1},
		"an older one that may count": {[]store.Entry{first}, []store.Entry{storetest.Entry("sub_1", "evt_2", "updated", 5, "unpaid")}, []store.Effect{recorded}, 1},
		"one that is too old to count": {
			[]store.Entry{storetest.Entry("sub_1", "evt_0", "updated", -25, "unpaid"), first},
			[]store.Entry{storetest.Entry("sub_1", "evt_2", "updated", -30, "unpaid")},
			[]store.Effect{recorded},
			0,
		},
		"the same event again":       {[]store.Entry{first}, []store.Entry{first}, []store.Effect{duplicate}, 0},
		"a tie that it loses":        {[]store.Entry{first}, []store.Entry{storetest.Entry("sub_1", "evt_0", "updated", 10, "unpaid")}, []store.Effect{applied}, 1},
		"one after the end":          {[]store.Entry{storetest.Entry("sub_1", "evt_9", "deleted", 1, "canceled")}, []store.Entry{first}, []store.Effect{recorded}, 0},
		"no subscription":            {nil, []store.Entry{invoice}, []store.Effect{recorded}, 0},
		"not admitted":               {nil, []store.Entry{ignored}, []store.Effect{recorded}, 0},
		"superseded in a batch":      {nil, []store.Entry{storetest.Entry("sub_1", "evt_0", "updated", 5, "unpaid"), first}, []store.Effect{recorded, applied}, 1},
		"one event twice":            {nil, []store.Entry{first, first}, []store.Effect{applied, applied}, 1},
		"a tie in a batch":           {nil, []store.Entry{first, storetest.Entry("sub_1", "evt_0", "updated", 10, "unpaid")}, []store.Effect{applied, applied}, 1},
		"a known one with a new one": {[]store.Entry{first}, []store.Entry{first, storetest.Entry("sub_1", "evt_0", "trial_will_end", 9, "active")}, []store.Effect{duplicate, recorded}, 1},
		"the step in between decides which of two is last": {
			[]store.Entry{stepped("evt_2", 1, "active", "unpaid"), stepped("evt_1", 1, "past_due", "paused")},
			[]store.Entry{stepped("evt_3", 1, "unpaid", "past_due")},
			[]store.Effect{applied},
			1,
		},
		"an earlier step of the same second": {
			[]store.Entry{stepped("evt_1", 1, "active", "unpaid")},
			[]store.Entry{stepped("evt_2", 1, "incomplete", "active")},
			[]store.Effect{recorded},
			1,
		},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storetest.NewMemory()
			commit(t, server, tt.before...)
			before := record(server, "sub_1").Revision
			if diff := cmp.Diff(tt.want, commit(t, server, tt.batch...)); diff != "" {
				t.Errorf("effects (-want +got):\n%s", diff)
			}
			if got := record(server, "sub_1").Revision - before; got != tt.writes {
				t.Errorf("the record was written %d times, want %d", got, tt.writes)
			}
		})
	}
}

// failing returns a hook that fails one kind of operation.
func failing(op storetest.Operation) func(context.Context, storetest.Operation) error {
	return func(_ context.Context, called storetest.Operation) error {
		if called == op {
			return fault.New(fault.Transient, "injected", errors.New("failed on purpose"))
		}
		return nil
	}
}

func TestNoRecordWithoutAudit(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	entry := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
	results := committer(server, storetest.Hooks{Before: failing(storetest.Insert)}).Commit(t.Context(), []store.Entry{entry})
	if fault.ReasonOf(results[0].Err) != "injected" || fault.KindOf(results[0].Err) != fault.Transient {
		t.Errorf("got %v, want the error of the database", results[0].Err)
	}
	if got := record(server, "sub_1"); got.Revision != 0 {
		t.Errorf("there is a record of %s, which is not audited", got.Winner.ID)
	}
}

// The next delivery repairs every failure, with and without effect.
func TestNextDeliveryRepairs(t *testing.T) {
	t.Parallel()
	for _, op := range []storetest.Operation{storetest.Insert, storetest.Heads, storetest.Replace} {
		for name, hooks := range map[string]storetest.Hooks{
			"not persisted": {Before: failing(op)},
			"persisted":     {Written: failing(op)},
		} {
			t.Run(string(op)+" "+name, func(t *testing.T) {
				t.Parallel()
				server := storetest.NewMemory()
				batch := []store.Entry{storetest.Entry("sub_1", "evt_1", "updated", 1, "active"), storetest.Entry("sub_2", "evt_2", "updated", 1, "active")}
				for i, result := range committer(server, hooks).Commit(t.Context(), batch) {
					if reads := op == storetest.Heads && hooks.Before == nil; (result.Err == nil) != reads {
						t.Errorf("%s: got %v", batch[i].ID, result.Err)
					}
				}
				commit(t, server, batch...)
				expect(t, server, "sub_1", "evt_1")
				expect(t, server, "sub_2", "evt_2")
			})
		}
	}
}

// A crash may come after the audit document and before the record.
func TestDuplicateRestoresTheRecord(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	entry := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
	commit(t, server, entry)
	server.Delete("", kit.Key("sub_1"))
	if diff := cmp.Diff([]store.Effect{store.Applied}, commit(t, server, entry)); diff != "" {
		t.Errorf("effect (-want +got):\n%s", diff)
	}
	expect(t, server, "sub_1", "evt_1")
}

// interposed returns hooks that call do once, before an operation.
func interposed(op storetest.Operation, do func()) storetest.Hooks {
	done := false
	return storetest.Hooks{Before: func(_ context.Context, called storetest.Operation) error {
		if called == op && !done {
			done = true
			do()
		}
		return nil
	}}
}

// Two writers collide: neither may overwrite what the other has seen.
func TestAnotherWriterIsFirst(t *testing.T) {
	t.Parallel()
	for name, seconds := range map[string][2]int{"mine is later": {9, 1}, "mine is older": {1, 9}, "a tie": {1, 1}} {
		for _, exists := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, exists %v", name, exists), func(t *testing.T) {
				t.Parallel()
				server := storetest.NewMemory()
				if exists {
					commit(t, server, storetest.Entry("sub_1", "evt_0", "created", 0, "incomplete"))
				}
				mine, other := storetest.Entry("sub_1", "evt_a", "updated", seconds[0], "active"), storetest.Entry("sub_1", "evt_b", "updated", seconds[1], "unpaid")
				hooks := interposed(storetest.Replace, func() { commit(t, server, other) })
				results := committer(server, hooks).Commit(t.Context(), []store.Entry{mine})
				if results[0].Err != nil {
					t.Fatal(results[0].Err)
				}
				winner := "evt_b"
				if seconds[0] > seconds[1] {
					winner = "evt_a"
				}
				expect(t, server, "sub_1", winner)
			})
		}
	}
}

func TestEndlessCollisionIsTransient(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	commit(t, server, storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
	attempts := 0
	hooks := storetest.Hooks{Before: func(_ context.Context, op storetest.Operation) error {
		if op == storetest.Replace {
			attempts++
			other := record(server, "sub_1")
			other.Revision += 10
			server.Put(other)
		}
		return nil
	}}
	results := committer(server, hooks).Commit(t.Context(), []store.Entry{storetest.Entry("sub_1", "evt_2", "updated", 2, "active")})
	if err := results[0].Err; fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.DatabaseContention || attempts != 20 {
		t.Errorf("got %v for %s after %d attempts, want transient for database_contention after 20", err, fault.ReasonOf(err), attempts)
	}
}

func TestTerminalStays(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	commit(t, server, storetest.Entry("sub_1", "evt_1", "deleted", 1, "canceled"))
	commit(t, server, storetest.Entry("sub_1", "evt_2", "updated", 9, "active"))
	expect(t, server, "sub_1", "evt_1")
	if got := record(server, "sub_1"); got.Winner.Data.Subscription.Status != "canceled" || !got.Terminal {
		t.Errorf("got status %s, terminal %v", got.Winner.Data.Subscription.Status, got.Terminal)
	}
	commit(t, server, storetest.Entry("sub_1", "evt_3", "updated", 10, "canceled"))
	expect(t, server, "sub_1", "evt_3")
}

func TestRecordOfAnOlderRuleIsDecidedAgain(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	entries := []store.Entry{storetest.Entry("sub_1", "evt_1", "updated", 1, "active"), storetest.Entry("sub_1", "evt_2", "updated", 20, "past_due")}
	commit(t, server, entries...)
	// By the older rule the first event won, and another one was kept.
	old := record(server, "sub_1")
	old.Rule, old.Winner, old.Known[0].EventID, old.Known[0].Terminal = ordering.Rule-1, entries[0].Message, "evt_9", true
	server.Put(old)
	commit(t, server, entries[0])
	expect(t, server, "sub_1", "evt_2")
	if got, want := record(server, "sub_1").Revision, old.Revision+2; got != want { // it is marked first
		t.Errorf("revision: got %d, want %d", got, want)
	}
}

func TestRecordOfANewerRuleIsLeftAlone(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	commit(t, server, storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
	newer := record(server, "sub_1")
	newer.Rule = ordering.Rule + 1
	server.Put(newer)
	batch := []store.Entry{storetest.Entry("sub_1", "evt_2", "updated", 2, "past_due"), storetest.Entry("sub_2", "evt_3", "updated", 2, "active")}
	results := committer(server, storetest.Hooks{}).Commit(t.Context(), batch)
	if err := results[0].Err; !errors.Is(err, store.ErrNewerRule) || fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.NewerRule {
		t.Errorf("got %v for %s, want a transient ErrNewerRule", err, fault.ReasonOf(err))
	}
	if diff := cmp.Diff(newer, record(server, "sub_1")); diff != "" {
		t.Errorf("record (-before +after):\n%s", diff)
	}
	if results[1].Err != nil {
		t.Errorf("another subscription: %v", results[1].Err)
	}
}

// A record whose winner is not in the audit trail, or is about another subscription
// there, is left as it is.
func TestABrokenAuditTrailIsTransient(t *testing.T) {
	t.Parallel()
	for reason, damage := range map[string]func(t *testing.T, server *storetest.Memory){
		"audit_missing": func(_ *testing.T, server *storetest.Memory) { server.Delete(kit.Key("evt_2"), "") },
		"audit_mismatch": func(t *testing.T, server *storetest.Memory) {
			t.Helper()
			server.Delete(kit.Key("evt_2"), "")
			commit(t, server, storetest.Entry("sub_2", "evt_2", "updated", 1, "active"))
		},
	} {
		server := storetest.NewMemory()
		commit(t, server, storetest.Entry("sub_1", "evt_2", "updated", 1, "active"))
		damage(t, server)
		before := record(server, "sub_1")
		results := committer(server, storetest.Hooks{}).Commit(t.Context(), []store.Entry{storetest.Entry("sub_1", "evt_1", "updated", 1, "past_due")})
		if err := results[0].Err; err == nil || fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.Reason(reason) {
			t.Errorf("got %v for %s, want transient for %s", err, fault.ReasonOf(err), reason)
		}
		if diff := cmp.Diff(before, record(server, "sub_1")); diff != "" {
			t.Errorf("%s: record (-before +after):\n%s", reason, diff)
		}
	}
}

// interleave lets two workers commit a batch each, in every possible order of their
// operations, and calls check after each. Events about users are not among them.
func interleave(t *testing.T, one, two []store.Entry, check func(server *storetest.Memory)) {
	t.Helper()
	rest := restBut(storetest.Identities)
	interleaveOn(t, storetest.NewMemory, storetest.Hooks{Before: rest, Written: rest}, one, two, check)
}

// restBut is a hook that lets the other worker run first, except at operations that make
// no difference: each would double the number of orders.
func restBut(skipped ...storetest.Operation) func(context.Context, storetest.Operation) error {
	return func(ctx context.Context, op storetest.Operation) error {
		if slices.Contains(skipped, op) {
			return nil
		}
		return storetest.Rest(ctx, op)
	}
}

func interleaveOn(t *testing.T, database func() *storetest.Memory, hooks storetest.Hooks, one, two []store.Entry, check func(server *storetest.Memory)) {
	t.Helper()
	orders := storetest.Exhaust(func(choose func(n int) int) {
		server := database()
		running := []*storetest.Worker{
			storetest.Start(committer(server, hooks), one), storetest.Start(committer(server, hooks), two),
		}
		for len(running) > 0 {
			i := 0
			if len(running) > 1 {
				i = choose(2)
			}
			if !running[i].Resume() {
				succeeded(t, running[i])
				running = slices.Delete(running, i, i+1)
			}
		}
		check(server)
	})
	if t.Logf("%d orders", orders); orders < 100 {
		t.Errorf("got only %d orders", orders)
	}
}

func succeeded(t *testing.T, w *storetest.Worker) {
	t.Helper()
	for i, result := range w.Results {
		if result.Err != nil {
			t.Errorf("%s: %v", w.Batch[i].ID, result.Err)
		}
	}
}

func TestNewestRenderingCountsInEveryOrder(t *testing.T) {
	t.Parallel()
	old := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
	interleave(t, []store.Entry{old}, []store.Entry{storetest.Rendered(old)}, func(server *storetest.Memory) {
		expect(t, server, "sub_1", "evt_1")
		if got := record(server, "sub_1").Winner.Data.Subscription.Description; got != "another rendering" {
			t.Errorf("got description %q, want that of the newer version", got)
		}
	})
}

// Two deliveries of one event in one version: the first stays, and nothing is written.
func TestResendWritesNothing(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	first := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
	first.StripeAPIVersion = "2026-06-24.dahlia"
	resent := storetest.Rendered(first)
	commit(t, server, first)
	before := server.Counts()
	committer := committer(server, storetest.Hooks{})
	committer.OnOverlap = func() { t.Error("counted an overlap") }
	results := committer.Commit(t.Context(), []store.Entry{resent})
	if results[0] != (store.Result{Effect: store.Duplicate}) {
		t.Errorf("got %+v, want a duplicate", results[0])
	}
	if after := server.Counts(); after.DocumentsWritten != before.DocumentsWritten {
		t.Errorf("%d documents were written", after.DocumentsWritten-before.DocumentsWritten)
	}
}

// A worker dies between any two operations after another version of an event, which had
// ended the subscription, was stored.
func TestDeathBetweenTwoRenderings(t *testing.T) {
	t.Parallel()
	old, newer := storetest.Entry("sub_1", "evt_1", "updated", 1, "canceled"), storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
	newer.StripeAPIVersion = "2026-06-24.dahlia"
	other := storetest.Entry("sub_1", "evt_0", "updated", 9, "unpaid")
	storetest.Exhaust(func(choose func(n int) int) {
		server := storetest.NewMemory()
		commit(t, server, old, other)
		w := storetest.Start(committer(server, storetest.Hooks{Before: storetest.Rest, Written: storetest.Rest}), []store.Entry{newer})
		for w.Resume() {
			if choose(2) == 1 {
				w.Kill()
				break
			}
		}
		if choose(2) == 1 {
			server.Failover()
		}
		commit(t, server, newer)
		expect(t, server, "sub_1", "evt_0")
	})
}

// An event that was ignored comes again after the setting was corrected, or the other
// way round.
func TestAdmittedReadingCountsInEveryOrder(t *testing.T) {
	t.Parallel()
	admitted := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
	interleave(t, []store.Entry{storetest.Ignored(admitted)}, []store.Entry{admitted}, func(server *storetest.Memory) {
		if got := record(server, "sub_1").Winner.ID; got != "evt_1" {
			t.Errorf("got a record of %q, want evt_1", got)
		}
		expect(t, server, "sub_1", "evt_1")
	})
}

// ended returns an event that ended the subscription, and the same event read again:
// then it did not.
func ended() (first, again store.Entry) {
	first, again = storetest.Entry("sub_1", "evt_1", "updated", 1, "canceled"), storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
	again.Data.Normalizer, again.Data.RereadAt = 1, now()
	return first, again
}

func TestReadingAgainCountsInEveryOrder(t *testing.T) {
	t.Parallel()
	first, again := ended()
	interleave(t, []store.Entry{first}, []store.Entry{again}, func(server *storetest.Memory) {
		expect(t, server, "sub_1", "evt_1")
	})
}

// An event that ended the subscription is read again, and did not. What it had left out
// counts again, also if it is stored at that moment and does not change the record.
func TestReadingAgainBringsBackWhatWasLeftOut(t *testing.T) {
	t.Parallel()
	for at := range 3 {
		server := storetest.NewMemory()
		first, again := ended()
		other := storetest.Entry("sub_1", "evt_0", "updated", 9, "unpaid")
		commit(t, server, first)
		replacements := 0
		hooks := storetest.Hooks{Before: func(_ context.Context, op storetest.Operation) error {
			if op == storetest.Replace || op == storetest.Mark {
				if replacements++; replacements == at {
					commit(t, server, other)
				}
			}
			return nil
		}}
		if at == 0 {
			commit(t, server, other)
		}
		if result := committer(server, hooks).Commit(t.Context(), []store.Entry{again})[0]; result.Err != nil {
			t.Fatal(result.Err)
		}
		expect(t, server, "sub_1", "evt_0")
		commit(t, server, again, first, other)
		expect(t, server, "sub_1", "evt_0")
	}
}

// A record does not go back to a message that was found before its event was read again.
func TestNoRecordGoesBackToAnEarlierReading(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	first, again := ended()
	hooks := interposed(storetest.Heads, func() { commit(t, server, again) })
	if result := committer(server, hooks).Commit(t.Context(), []store.Entry{first})[0]; result.Err != nil {
		t.Fatal(result.Err)
	}
	expect(t, server, "sub_1", "evt_1")
}

// A setting that is tightened removes nothing.
func TestPreferred(t *testing.T) {
	t.Parallel()
	entry := storetest.Entry("sub_1", "evt_1", "updated", 1, "active")
	again := func(rules int, at time.Duration) events.Message {
		m := entry.Message
		m.Data.Normalizer, m.Data.RereadAt = rules, now().Add(at)
		return m
	}
	ignoredAgain := again(9, time.Hour)
	ignoredAgain.Data.Ignored = events.IgnoredAccount
	later := entry.Message
	later.Data.Normalizer = 9
	in := func(version string, m events.Message) events.Message {
		m.StripeAPIVersion = version
		return m
	}
	bare := entry.Message
	bare.Data.Subscription = nil
	ascending := []events.Message{
		storetest.Ignored(entry).Message, ignoredAgain, in("2026-06-24.dahlia", storetest.Ignored(entry).Message), in("2026-06-24.dahlia", bare),
		entry.Message, again(1, 0), again(1, 1), again(2, 0),
		in("unversioned", entry.Message), in("2018-11-08", entry.Message), in("2018-11-08", again(1, 0)),
		in("2025-03-31.acacia", entry.Message), in("2025-03-31.basil", entry.Message), in("2026-06-24.dahlia", entry.Message), in("2026-06-24.dahlia", again(1, 0)),
	}
	for i, a := range ascending {
		for k, b := range ascending {
			if got, want := store.Preferred(a, b), i > k; got != want {
				t.Errorf("%d instead of %d: got %v, want %v", i, k, got, want)
			}
		}
	}
	if store.Preferred(later, entry.Message) || store.Preferred(entry.Message, later) {
		t.Error("of two webhooks of one event in one version, the first that is stored counts")
	}
	other := in("2026-06-24.dahlia", storetest.Entry("sub_2", "evt_1", "updated", 1, "active").Message)
	if store.Preferred(other, entry.Message) || store.Preferred(entry.Message, other) {
		t.Error("of two subscriptions of one event, the first that is stored counts")
	}
}

func TestRereadIsAppliedOnce(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	first, again := ended()
	commit(t, server, first)
	want := []store.Effect{store.Applied, store.Duplicate}
	if diff := cmp.Diff(want, append(commit(t, server, again), commit(t, server, again)...)); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
}

// Marking a record does not change what it says, also if the marking process dies then.
func TestMarkedRecordSaysTheSame(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	first, again := ended()
	commit(t, server, first)
	want := record(server, "sub_1")
	want.Revision, want.Reread = want.Revision+1, true
	hooks := storetest.Hooks{Before: failing(storetest.Trail)}
	if result := committer(server, hooks).Commit(t.Context(), []store.Entry{again})[0]; result.Err == nil {
		t.Fatal("got no error")
	}
	if diff := cmp.Diff(want, record(server, "sub_1")); diff != "" {
		t.Errorf("record (-before +after):\n%s", diff)
	}
	commit(t, server, again)
	expect(t, server, "sub_1", "evt_1")
}

func TestTwoWorkersAgreeInEveryOrder(t *testing.T) {
	t.Parallel()
	for name, pair := range map[string][2]store.Entry{
		"a tie":       {storetest.Entry("sub_1", "evt_1", "updated", 1, "active"), storetest.Entry("sub_1", "evt_2", "updated", 1, "unpaid")},
		"two steps":   {stepped("evt_2", 1, "incomplete", "active"), stepped("evt_1", 1, "active", "unpaid")},
		"an end":      {storetest.Entry("sub_1", "evt_1", "deleted", 1, "canceled"), storetest.Entry("sub_1", "evt_2", "updated", 9, "active")},
		"old and new": {storetest.Entry("sub_1", "evt_2", "updated", 1, "active"), storetest.Entry("sub_1", "evt_1", "updated", 9, "active")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			winner := ""
			interleave(t, pair[:1], pair[1:], func(server *storetest.Memory) {
				if got := record(server, "sub_1").Winner.ID; winner == "" {
					winner = got
				}
				expect(t, server, "sub_1", winner)
			})
		})
	}
}

// A worker dies between any two operations, what is not durable is lost or not, and the
// events are delivered again.
func TestDeathAnywhere(t *testing.T) {
	t.Parallel()
	batch := []store.Entry{stepped("evt_2", 1, "incomplete", "active"), stepped("evt_1", 1, "active", "unpaid"), storetest.Entry("sub_2", "evt_3", "created", 1, "active")}
	storetest.Exhaust(func(choose func(n int) int) {
		server := storetest.NewMemory()
		w := storetest.Start(committer(server, storetest.Hooks{Before: storetest.Rest, Written: storetest.Rest}), batch)
		for w.Resume() {
			if choose(2) == 1 {
				w.Kill()
				break
			}
		}
		if choose(2) == 1 {
			server.Failover()
		}
		commit(t, server, batch...)
		expect(t, server, "sub_1", "evt_1")
		expect(t, server, "sub_2", "evt_3")
	})
}

// The cost of an event does not depend on how many there were before it.
func TestCostDoesNotGrowWithTheHistory(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	committed := 0
	history := func(length int) {
		var batch []store.Entry
		for ; committed < length; committed++ {
			batch = append(batch, storetest.Entry("sub_1", fmt.Sprintf("evt_%05d", committed), "updated", 10*committed, "active"))
		}
		for some := range slices.Chunk(batch, 100) {
			commit(t, server, some...)
		}
	}
	history(10)
	few := costs(t, server, committed)
	history(10_000)
	many := costs(t, server, committed)
	if diff := cmp.Diff(few, many); diff != "" {
		t.Errorf("cost (-of ten events +of ten thousand):\n%s", diff)
	}
	want := map[string]storetest.Counts{
		"a new event":      {Commands: 3, DocumentsRead: 1, DocumentsWritten: 2},
		"the same again":   {Commands: 4, DocumentsRead: 2},
		"one that is late": {Commands: 2, DocumentsRead: 1, DocumentsWritten: 1},
	}
	if diff := cmp.Diff(want, many); diff != "" {
		t.Errorf("cost (-want +got):\n%s", diff)
	}
}

// costs returns the cost of a new event, of the same event again, and of one that is too
// old to matter. The bytes are not exactly the same, so they are only checked.
func costs(t *testing.T, server *storetest.Memory, committed int) map[string]storetest.Counts {
	t.Helper()
	latest := storetest.Entry("sub_1", fmt.Sprintf("evt_x%05d", committed), "updated", 10*committed+1, "active")
	late := storetest.Entry("sub_1", fmt.Sprintf("evt_y%05d", committed), "updated", -100, "active")
	found := map[string]storetest.Counts{}
	for _, one := range []struct {
		name  string
		entry store.Entry
	}{{"a new event", latest}, {"the same again", latest}, {"one that is late", late}} {
		before := server.Counts()
		commit(t, server, one.entry)
		cost := server.Counts()
		if got := cost.BytesRead + cost.BytesWritten - before.BytesRead - before.BytesWritten; got > 8000 {
			t.Errorf("%s after %d: %d bytes read and written", one.name, committed, got)
		}
		found[one.name] = storetest.Counts{
			Commands:         cost.Commands - before.Commands,
			DocumentsRead:    cost.DocumentsRead - before.DocumentsRead,
			DocumentsWritten: cost.DocumentsWritten - before.DocumentsWritten,
		}
	}
	return found
}

// Every step of a batch is one query, however many subscriptions it concerns. Only
// marking and replacing records take a command for each.
func TestEveryReadOfABatchIsOneQuery(t *testing.T) {
	t.Parallel()
	const n = 50
	batch := func(id string, second int, change func(*store.Entry)) []store.Entry {
		var entries []store.Entry
		for i := range n {
			e := storetest.Entry(fmt.Sprintf("sub_%d", i), fmt.Sprintf("%s_%d", id, i), "updated", second, "active")
			change(&e)
			entries = append(entries, e)
		}
		return entries
	}
	as := func(*store.Entry) {}
	truncated := func(e *store.Entry) { e.Data.Subscription.ItemsTruncated = true }
	first := batch("evt_1", 10, as)
	olderRule := func(server *storetest.Memory) {
		for _, e := range first {
			r := record(server, e.SubscriptionID)
			r.Rule--
			server.Put(r)
		}
	}
	again := func(e *store.Entry) { e.Data.Normalizer, e.Data.RereadAt = 1, now() }
	none := func(*storetest.Memory) {}
	for name, tt := range map[string]struct {
		damage func(*storetest.Memory)
		batch  []store.Entry
		want   int
	}{
		// Of events that were there before, the users are looked up again.
		"new":                              {none, batch("evt_2", 20, as), 2 + n},
		"known":                            {none, first, 4},
		"late, so the winners are read":    {none, batch("evt_2", 5, as), 3 + n},
		"truncated, so the lists are read": {none, batch("evt_2", 20, truncated), 3 + n},
		"of an older rule, so each record is marked and replaced":                   {olderRule, first, 3 + n + 4 + n},
		"read again: two for each document, and each record is marked and replaced": {none, batch("evt_1", 10, again), 1 + 1 + 2*n + 2 + n + 3 + n},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := storetest.NewMemory()
			commit(t, server, first...)
			tt.damage(server)
			before := server.Counts().Commands
			commit(t, server, tt.batch...)
			if got := server.Counts().Commands - before; got != tt.want {
				t.Errorf("got %d commands for %d events, want %d", got, n, tt.want)
			}
			for _, e := range first {
				if storetest.ContentOf(record(server, e.SubscriptionID)).Rule != ordering.Rule {
					t.Errorf("%s was not decided again", e.SubscriptionID)
				}
			}
		})
	}
}

// What was found before a query failed counts.
func TestPartOfALookupCounts(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	entries := eventsOf(4)
	commit(t, server, entries...)
	db := cutOff{server.Connect(storetest.Hooks{})}
	for i, result := range store.NewCommitter(db, now).Commit(t.Context(), entries) {
		if found := i < 2; found != (result.Err == nil) || !found && fault.ReasonOf(result.Err) != "injected" {
			t.Errorf("%s: got %v", entries[i].ID, result.Err)
		}
	}
}

// cutOff finds the first two messages of a lookup.
type cutOff struct{ *storetest.Client }

func (c cutOff) Messages(ctx context.Context, keys []string) (map[string]store.Audited, error) {
	found, err := c.Client.Messages(ctx, keys[:min(2, len(keys))])
	return found, errors.Join(err, failing(storetest.Find)(ctx, storetest.Find))
}
