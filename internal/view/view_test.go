package view_test

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/view"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

func customerKey(id string) string { return events.CustomerAccessKey(false, "", id) }
func userKey(id string) string     { return events.UserAccessKey(false, "", id) }

func TestAnOldSubscriptionThatEndsLateChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	p.mustHandle(t,
		entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"),
		entry("sub_2", "evt_2", 200, "active", "cus_1", "u1"),
		entry("sub_1", "evt_3", 300, "canceled", "cus_1", "u1"),
	)
	r.check(t)
	if got, want := words(r.messages(t)[userKey("u1")]), "granted changed changed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if doc, _ := get[events.AccessDocument](t, r, customerKey("cus_1")); doc.SubscriptionID != "sub_2" || doc.Access != events.AccessGranted || doc.UserID != "u1" {
		t.Errorf("got %+v, want sub_2", doc)
	}
	p.mustHandle(t, entry("sub_2", "evt_4", 400, "canceled", "cus_1", "u1"), entry("sub_2", "evt_0", 50, "active", "cus_1", "u1"))
	r.check(t)
	if got, want := words(r.messages(t)[customerKey("cus_1")]), "granted changed changed revoked"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestASubscriptionThatBelongsToAnotherUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	p.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"), entry("sub_1", "evt_2", 200, "active", "cus_1", "u 2 @"))
	r.check(t)
	messages := r.messages(t)
	if got := words(messages[userKey("u1")]); got != "granted revoked" {
		t.Errorf("the user before got %q", got)
	}
	if got := words(messages[userKey("u 2 @")]); got != "granted" {
		t.Errorf("the user got %q", got)
	}
	if doc, _ := get[events.AccessDocument](t, r, userKey("u1")); doc.Access != events.AccessNone || doc.Subscriptions != nil {
		t.Errorf("got %+v for the user before", doc)
	}
}

// Other events than those of a subscription name its user, and a database that is being
// rebuilt gets them later.
func TestARebuiltRecordWaitsForItsUser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first := entry("sub_1", "evt_1", 100, "active", "cus_1", "")
	p := r.process(t)
	p.users = map[string]string{"sub_1": "u1"}
	p.mustHandle(t, first)
	r.db = storetest.NewMemory()
	rebuilding := r.process(t)
	rebuilding.mustHandle(t, first)
	if got, _ := get[events.Record](t, r, "test.platform.sub_1"); got.UserID != "u1" {
		t.Errorf("got the user %q before all messages were handled, want u1", got.UserID)
	}
	if err := rebuilding.view.CaughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, _ := get[events.Record](t, r, "test.platform.sub_1"); got.UserID != "" {
		t.Errorf("got the user %q afterwards, want none", got.UserID)
	}
	if got := words(r.messages(t)[userKey("u1")]); got != "granted revoked" {
		t.Errorf("got %q", got)
	}
	// If the database has caught up, the record takes over, and nothing changes.
	r.db = storetest.NewMemory()
	again := r.process(t)
	again.users = map[string]string{"sub_1": ""}
	again.mustHandle(t, first)
	r.check(t)
}

// A newer event counts, also in a database that lacks the earlier ones.
func TestARebuiltRecordWithANewerEventCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.process(t).mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"), entry("sub_1", "evt_2", 200, "past_due", "cus_1", "u1"))
	r.db = storetest.NewMemory()
	p := r.process(t)
	p.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"))
	if got, _ := get[events.Record](t, r, "test.platform.sub_1"); got.Version.EventID != "evt_2" {
		t.Errorf("got %s, want evt_2", got.Version.EventID)
	}
	var reads []int
	for range 2 { // it is compared once more when all messages were handled, and then no more
		before := p.counts.gets
		if err := p.view.CaughtUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		reads = append(reads, p.counts.gets-before)
	}
	if reads[0] == 0 || reads[1] > 0 {
		t.Errorf("got %v reads, want none the second time", reads)
	}
	p.mustHandle(t, entry("sub_1", "evt_3", 210, "unpaid", "cus_1", "u1"))
	r.check(t)
}

// An event of a customer changes the records of all of its subscriptions.
func TestAnIdentityChangesTheRecordsOfTheCustomer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	p.users = map[string]string{"sub_1": "", "sub_2": ""}
	p.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", ""), entry("sub_2", "evt_2", 100, "active", "cus_1", ""))
	customer := storetest.Entry("", "evt_3", "updated", 200, "")
	customer.Type, customer.StripeType, customer.Data.Subscription = "stripe.customer.updated", "customer.updated", nil
	customer.Data.Identity = &events.Identity{UserID: "u1", Source: events.IdentityCustomerMetadata, CustomerID: "cus_1"}
	keys := map[string]string{"sub_1": "u1", "sub_2": "u1"}
	for sub := range keys {
		record, _ := r.db.Record(kit.Key(sub))
		record.Revision++
		r.db.Put(record)
	}
	p.users = keys
	p.mustHandle(t, customer)
	for sub := range keys {
		if got, _ := get[events.Record](t, r, "test.platform."+sub); got.UserID != "u1" {
			t.Errorf("%s: got the user %q, want u1", sub, got.UserID)
		}
	}
	if doc, _ := get[events.AccessDocument](t, r, userKey("u1")); len(doc.Subscriptions) != 2 {
		t.Errorf("got %+v, want both subscriptions", doc)
	}
}

// An event that named a user was read again, and names nobody any more.
func TestAnIdentityThatWasWithdrawn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	customer := storetest.Entry("", "evt_2", "updated", 200, "")
	customer.Type, customer.StripeType, customer.Data.Subscription = "stripe.customer.updated", "customer.updated", nil
	customer.Data.Customer = &events.Customer{ID: "cus_1"}
	withdrawn := customer
	customer.Data.Identity = &events.Identity{UserID: "u1", Source: events.IdentityCustomerMetadata, CustomerID: "cus_1"}
	withdrawn.Data.RereadAt = kit.At(900)
	p.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", ""), customer, withdrawn)
	r.check(t)
	if got, want := words(r.messages(t)[userKey("u1")]), "granted revoked"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What is in the database may be older than the bucket.
func TestRecordsFromBeforeTheViewCount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	old := entry("sub_1", "evt_1", 100, "active", "cus_1", "u1")
	p.committer.Commit(t.Context(), []store.Entry{old, entry("sub_3", "evt_5", 100, "active", "cus_3", "u3")})
	p.mustHandle(t, entry("sub_2", "evt_2", 200, "canceled", "cus_1", "u1"))
	if doc, _ := get[events.AccessDocument](t, r, userKey("u1")); doc.SubscriptionID != "sub_1" {
		t.Errorf("got %+v, want sub_1", doc)
	}
	if err := p.view.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.check(t)
	again := r.process(t)
	if err := again.view.Complete(t.Context()); err != nil || again.counts.gets > 0 {
		t.Errorf("got %v, %+v for a view that is complete", err, again.counts)
	}
}

// story is what happens to one customer: entries of one subscription, and one of another
// that comes in between.
func story(n int) (first []store.Entry, second store.Entry) {
	cus, user := fmt.Sprintf("cus_%d", n), fmt.Sprintf("u%d", n)
	a, b := fmt.Sprintf("sub_%da", n), fmt.Sprintf("sub_%db", n)
	return []store.Entry{
		entry(a, a+"_1", 100, "active", cus, ""),
		entry(a, a+"_2", 200, "past_due", cus, user),
		storetest.EntitlementsEntry(cus, a+"_list", 260, "a", "…"),
		entry(a, a+"_3", 300, "canceled", cus, user),
	}, entry(b, b+"_1", 250, "active", cus, user)
}

func TestKilledBetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for n, died := 0, true; died; n++ {
		died = false
		entries, other := story(n)
		left := n
		p := r.process(t)
		p.step = func(string) error {
			if left--; left == -1 {
				died = true
				r.process(t).mustHandle(t, other)
				return errDead
			}
			return nil
		}
		for _, e := range entries {
			if p.handle(t.Context(), e) != nil {
				p = r.process(t)
				p.mustHandle(t, e) // it is delivered again
			}
		}
		r.process(t).mustHandle(t, other)
	}
	r.check(t)
}

// A writer that stops between two steps goes on when another one has written.
func TestDelayedBetweenAnyTwoSteps(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for n, delayed := 0, true; delayed; n++ {
		delayed = false
		entries, other := story(n)
		left := n
		p := r.process(t)
		p.step = func(string) error {
			if left--; left == -1 {
				delayed = true
				r.process(t).mustHandle(t, append(entries[:2:2], other)...)
			}
			return nil
		}
		p.mustHandle(t, entries...)
		r.process(t).mustHandle(t, other)
	}
	r.check(t)
}

// simulate delivers entries in a random order, some of them twice, to two processes that
// die now and then.
func simulate(t *testing.T, r *rig, random *rand.Rand, entries []store.Entry, kills bool) {
	t.Helper()
	queue := append([]store.Entry{}, entries...)
	for range len(entries) / 5 {
		queue = append(queue, entries[random.IntN(len(entries))])
	}
	random.Shuffle(len(queue), func(i, j int) { queue[i], queue[j] = queue[j], queue[i] })
	deliveries := make(chan store.Entry, len(queue)*100)
	for _, e := range queue {
		deliveries <- e
	}
	open := &countdown{zero: make(chan struct{})}
	open.left.Store(int64(len(queue)))
	var work sync.WaitGroup
	for worker := range 2 {
		seed := random.Uint64()
		work.Go(func() {
			run(t, r, rand.New(rand.NewPCG(seed, uint64(worker))), deliveries, open, kills)
		})
	}
	work.Wait()
}

// countdown counts the messages that are not acknowledged.
type countdown struct {
	left atomic.Int64
	zero chan struct{}
}

func (c *countdown) done() {
	if c.left.Add(-1) == 0 {
		close(c.zero)
	}
}

// run is a process that is started again when it has died. It handles some messages at the
// same time.
func run(t *testing.T, r *rig, random *rand.Rand, deliveries chan store.Entry, open *countdown, kills bool) {
	for open.left.Load() > 0 {
		p := r.process(t)
		if kills {
			var left atomic.Int64
			left.Store(int64(20 + random.IntN(400)))
			p.step = func(string) error {
				if left.Add(-1) < 0 {
					return errDead
				}
				return nil
			}
		}
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() { consume(t, p, deliveries, open) })
		}
		work.Wait()
	}
}

func consume(t *testing.T, p *process, deliveries chan store.Entry, open *countdown) {
	for {
		select {
		case <-open.zero:
			return
		case e := <-deliveries:
			err := p.handle(t.Context(), e)
			if err == nil {
				open.done()
				continue
			}
			deliveries <- e
			if p.died() {
				return
			}
			t.Errorf("%s: %v", e.ID, err)
		}
	}
}

// lives are the events of the subscriptions of some users.
func lives(random *rand.Rand, users int) []store.Entry {
	var list []store.Entry
	statuses := []string{"incomplete", "trialing", "active", "past_due", "unpaid", "active"}
	for u := range users {
		customer, user := fmt.Sprintf("cus_%d", u), fmt.Sprintf("u%d", u)
		for s := range 1 + random.IntN(4) {
			sub := fmt.Sprintf("sub_%d_%d", u, s)
			for i := range 1 + random.IntN(6) {
				status, owner := statuses[random.IntN(len(statuses))], user
				if i == 0 && random.IntN(3) == 0 {
					owner = "" // the first event does not name the user
				}
				list = append(list, entry(sub, fmt.Sprintf("%s_%d", sub, i), 100*(i+1), status, customer, owner))
			}
			if random.IntN(3) == 0 {
				list = append(list, entry(sub, sub+"_end", 1000, "canceled", customer, user))
			}
		}
		for i := range random.IntN(4) {
			features := []string{"a", "b", "c", "…"}[random.IntN(4):]
			list = append(list, storetest.EntitlementsEntry(customer, fmt.Sprintf("%s_list_%d", customer, i), 100*random.IntN(3), features...))
		}
	}
	return list
}

var seed = flag.Uint64("seed", 0, "seed of the random tests; 0 for a new one")

func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	chosen := cmp.Or(*seed, rand.Uint64())
	t.Logf("repeat with -run %s -args -seed %d", t.Name(), chosen)
	return rand.New(rand.NewPCG(chosen, 0))
}

func TestTwoWritersThatDie(t *testing.T) {
	t.Parallel()
	r, random := newRig(t), seeded(t)
	early := r.watch(t)
	entries := lives(random, 40)
	simulate(t, r, random, entries[:len(entries)/2], true)
	late := r.watch(t)
	simulate(t, r, random, entries, true)
	r.check(t)
	early.check(t, r)
	late.check(t, r)
}

func TestADatabaseThatIsRebuilt(t *testing.T) {
	t.Parallel()
	r, random := newRig(t), seeded(t)
	watcher := r.watch(t)
	entries := lives(random, 15)
	simulate(t, r, random, entries, false)
	r.check(t)
	before := r.messages(t)
	r.db = storetest.NewMemory()
	simulate(t, r, random, entries, true)
	if err := r.process(t).view.All(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.check(t)
	if diff := gocmp.Diff(before, r.messages(t)); diff != "" {
		t.Errorf("the rebuilding published something (-before +after):\n%s", diff)
	}
	watcher.check(t, r)
}

// The stream has forgotten the ids of the messages.
func TestRebuiltAfterTheDuplicateWindow(t *testing.T) {
	t.Parallel()
	r := newRigWith(t, 200*time.Millisecond)
	story := []store.Entry{
		entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"), entry("sub_1", "evt_2", 200, "past_due", "cus_1", "u1"),
		entry("sub_2", "evt_3", 200, "active", "cus_2", "u2"),
	}
	r.process(t).mustHandle(t, story...)
	before := r.messages(t)
	dying := r.process(t)
	dying.step = func(op string) error {
		if op == "publish" {
			return errDead
		}
		return nil
	}
	end := entry("sub_2", "evt_4", 300, "canceled", "cus_2", "u2")
	if dying.handle(t.Context(), end) == nil || dying.counts.puts != 2 {
		t.Fatalf("got %+v, want that it dies between the access entry and its message", dying.counts)
	}
	published := time.Now()
	kit.Eventually(t, "the window is over", func() bool { return time.Since(published) > 300*time.Millisecond })
	r.db = storetest.NewMemory()
	p := r.process(t)
	p.mustHandle(t, append(story, end)...)
	r.check(t)
	after := r.messages(t)
	for key, want := range map[string]string{customerKey("cus_1"): words(before[customerKey("cus_1")]), customerKey("cus_2"): "granted revoked"} {
		if got := words(after[key]); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
}

func TestNothingIsWrittenForWhatDidNotChange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	if err := p.view.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := entry("sub_1", "evt_1", 100, "active", "cus_1", "u1")
	invoice := storetest.Entry("sub_1", "evt_9", "updated", 150, "active")
	invoice.Type, invoice.StripeType, invoice.Data.Subscription = "stripe.invoice.paid", "invoice.paid", nil
	renewed := entry("sub_1", "evt_2", 200, "active", "cus_1", "u1")
	for _, step := range []struct {
		what  string
		entry store.Entry
		want  counts
		// MongoDB's commands and the documents that they write, also for storing the entry.
		commands, documents int
	}{
		{"a new subscription", first, counts{gets: 6, puts: 3, published: 2}, 11, 4},
		{"a duplicate", first, counts{}, 5, 0},
		{"an invoice", invoice, counts{}, 1, 1},
		{"a renewal, which changes no access", renewed, counts{gets: 5, puts: 1}, 3, 2},
		{"an older event", entry("sub_1", "evt_0", 50, "trialing", "cus_1", "u1"), counts{}, 2, 1},
		{"a late payment", entry("sub_1", "evt_3", 300, "past_due", "cus_1", "u1"), counts{gets: 5, puts: 3, published: 2}, 7, 4},
		{"a new subscription without a user", entry("sub_2", "evt_4", 100, "active", "cus_2", ""), counts{gets: 3, puts: 2, published: 1}, 9, 3},
		{"its late payment", entry("sub_2", "evt_5", 300, "past_due", "cus_2", ""), counts{gets: 2, puts: 2, published: 1}, 5, 3},
	} {
		p.counts = counts{}
		before := r.db.Counts()
		p.mustHandle(t, step.entry)
		if p.counts != step.want {
			t.Errorf("%s: got %+v, want %+v", step.what, p.counts, step.want)
		}
		after := r.db.Counts()
		commands, documents := after.Commands-before.Commands, after.DocumentsWritten-before.DocumentsWritten
		if commands != step.commands || documents != step.documents {
			t.Errorf("%s: got %d commands that wrote %d documents, want %d and %d", step.what, commands, documents, step.commands, step.documents)
		}
	}
	again := r.process(t)
	again.mustHandle(t, renewed)
	if again.counts.puts+again.counts.published > 0 {
		t.Errorf("a process that was started again writes: %+v", again.counts)
	}
}

// recreate deletes the bucket and creates it again.
func (r *rig) recreate(t *testing.T) {
	t.Helper()
	if err := r.js.DeleteKeyValue(t.Context(), events.StateBucket); err != nil {
		t.Fatal(err)
	}
	if err := r.bus.Alter(t.Context(), settings(72*time.Hour)); err != nil {
		t.Fatal(err)
	}
	r.written = map[string]map[uint64]time.Time{}
}

func TestADeletedBucketIsFilledAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	p.mustHandle(t,
		entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"), entry("sub_1", "evt_2", 200, "past_due", "cus_1", "u1"),
		entry("sub_2", "evt_3", 100, "active", "cus_1", "u1"),
	)
	if err := p.view.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := words(r.messages(t)[userKey("u1")])
	r.recreate(t)
	if err := p.view.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.check(t)
	if after := words(r.messages(t)[userKey("u1")]); after != before {
		t.Errorf("got %q, want %q", after, before)
	}
	p.mustHandle(t, entry("sub_1", "evt_4", 300, "canceled", "cus_1", "u1"), entry("sub_2", "evt_5", 300, "canceled", "cus_1", "u1"))
	r.check(t)
	if after := words(r.messages(t)[userKey("u1")]); after != before+" changed revoked" {
		t.Errorf("got %q, want a revocation", after)
	}
}

// An event comes before the process knows that the bucket was deleted.
func TestADeletedBucketTakesNothingAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	if err := p.view.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.mustHandle(t,
		entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"), entry("sub_2", "evt_2", 100, "past_due", "cus_1", "u1"),
		storetest.EntitlementsEntry("cus_1", "evt_3", 110, "a"),
	)
	before := words(r.messages(t)[userKey("u1")])
	r.recreate(t)
	p.mustHandle(t, entry("sub_2", "evt_4", 200, "past_due", "cus_1", "u1"))
	if err := p.view.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.check(t)
	if after := words(r.messages(t)[userKey("u1")]); after != before {
		t.Errorf("got %q, want %q", after, before)
	}
}

// full is a bucket in which there is no room for the value of one key.
type full struct {
	*process
	key string
}

func (f full) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, bool, error) {
	if key == f.key {
		return 0, false, fault.New(fault.Permanent, fault.TooLarge, errors.New("too large"))
	}
	return f.process.Put(ctx, key, value, revision)
}

func TestARecordThatIsTooLargeKeepsNoOthersOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	var entries []store.Entry
	for i := range 200 {
		entries = append(entries, entry(fmt.Sprintf("sub_%03d", i), fmt.Sprintf("evt_%d", i), 100, "active", fmt.Sprintf("cus_%d", i), ""))
	}
	p.commit(t, entries...)
	v := view.New(view.Config{
		Store: p, Bucket: full{p, "test.platform.sub_000"}, Publisher: p, Sent: r.bus.NewJournal(stream, events.SubjectAccess).Sent,
		MaxValue: r.bus.MaxMessage, Now: time.Now, Metrics: p,
	})
	if err := v.Complete(t.Context()); fault.ReasonOf(err) != fault.TooLarge {
		t.Errorf("got %v, want that one is too large", err)
	}
	for i := range entries[1:] {
		if _, found := get[events.Record](t, r, fmt.Sprintf("test.platform.sub_%03d", i+1)); !found {
			t.Fatalf("sub_%03d is not in the bucket", i+1)
		}
	}
	if err := v.FollowKeys(t.Context(), []string{kit.Key("sub_000"), kit.Key("sub_001")}); err != nil {
		t.Errorf("it would hold up a sweep: %v", err)
	}
}

// A view that is complete does not ask the database whose the records are.
func TestACompleteViewListsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	if err := p.view.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"), entry("sub_2", "evt_2", 100, "active", "cus_1", "u1"))
	if p.listed > 0 {
		t.Errorf("it listed the records of a customer or user %d times", p.listed)
	}
	r.check(t)
}

// The names of products and prices are in the document, and not in messages.
func TestANameThatChangesIsNoChangeOfAccess(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	product := storetest.ProductEntry("prod_sub_1", "evt_p1", "created", 50)
	p.mustHandle(t, product, entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"))
	sweep := func() {
		for {
			swept, err := p.committer.SweepPage(t.Context(), "me", p.view.FollowKeys)
			if err != nil {
				t.Fatal(err)
			}
			if !swept.More {
				return
			}
		}
	}
	sweep()
	before := r.messages(t)
	p.counts = counts{}
	p.mustHandle(t, storetest.ProductEntry("prod_sub_1", "evt_p2", "updated", 200))
	sweep()
	if want := (counts{gets: 5, puts: 3}); p.counts != want {
		t.Errorf("a name costs %+v, want %+v", p.counts, want)
	}
	p.mustHandle(t, storetest.PriceEntry("price_sub_1", "evt_p3", "created", 200))
	sweep()
	r.check(t)
	for _, key := range []string{customerKey("cus_1"), userKey("u1")} {
		doc, _ := get[events.AccessDocument](t, r, key)
		if got := doc.Products[0]; got.ProductName != "name of evt_p2" || got.Nickname != "nickname of evt_p3" || got.LookupKey != "key of evt_p3" {
			t.Errorf("%s: got %+v, want the new names", key, got)
		}
	}
	if diff := gocmp.Diff(before, r.messages(t)); diff != "" {
		t.Errorf("a name published something (-before +after):\n%s", diff)
	}
	p.mustHandle(t, entry("sub_1", "evt_2", 300, "past_due", "cus_1", "u1"))
	r.check(t)
	for _, m := range r.messages(t)[userKey("u1")] {
		if m.Data.PreviousAccess != nil && m.Data.PreviousAccess.Products[0].ProductName+m.Data.Access.Products[0].Nickname != "" {
			t.Errorf("the message %s has names", m.ID)
		}
	}
}

// Two events of one second show other states. The document is ambiguous if that matters.
func TestAmbiguousOnlyIfTheAnswerDiffers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	tied := func(n int, second string, change func(*events.Subscription)) {
		sub, customer := fmt.Sprintf("sub_%d", n), fmt.Sprintf("cus_%d", n)
		a, b := entry(sub, sub+"_a", 100, second, customer, ""), entry(sub, sub+"_b", 100, "active", customer, "")
		change(a.Data.Subscription)
		p.mustHandle(t, a, b)
		if record, _ := get[events.Record](t, r, "test.platform."+sub); record.Ordering != "ambiguous" {
			t.Fatalf("%s is %s: %s", sub, record.Ordering, record.Explanation)
		}
	}
	seven := int64(7)
	for n, tt := range []struct {
		status string
		change func(*events.Subscription)
		want   bool
	}{
		{"trialing", func(*events.Subscription) {}, false},
		{"active", func(s *events.Subscription) { s.Description = "another" }, false},
		{"past_due", func(*events.Subscription) {}, true},
		{"unpaid", func(s *events.Subscription) { s.Items[0].Quantity = &seven }, true},
		{"active", func(s *events.Subscription) { s.Items[0].Quantity = &seven }, true},
		{"active", func(s *events.Subscription) { s.Items[0].PriceID = "price_other" }, true},
		{"active", func(s *events.Subscription) { s.ItemsTruncated, s.Description = true, "another" }, true},
	} {
		tied(n, tt.status, tt.change)
		if doc, _ := get[events.AccessDocument](t, r, customerKey(fmt.Sprintf("cus_%d", n))); doc.Ambiguous != tt.want {
			t.Errorf("%d: got ambiguous %t, want %t", n, doc.Ambiguous, tt.want)
		}
	}
	// Another subscription gives all that the first one may give.
	second := entry("sub_2b", "evt_2b", 100, "active", "cus_2", "")
	second.Data.Subscription.Items[0] = events.Item{ProductID: "prod_sub_2", PriceID: "price_sub_2"}
	p.mustHandle(t, second)
	if doc, _ := get[events.AccessDocument](t, r, customerKey("cus_2")); doc.Ambiguous {
		t.Errorf("got %+v, although another subscription gives the same", doc)
	}
	// A record that an earlier release has stored does not say it.
	record, _ := r.db.Record(kit.Key("sub_0"))
	record.Revision++
	for i := range record.Known {
		record.Known[i].Access, record.Known[i].Products = "", ""
	}
	r.db.Put(record)
	if err := p.view.FollowKeys(t.Context(), []string{kit.Key("sub_0")}); err != nil {
		t.Fatal(err)
	}
	if doc, _ := get[events.AccessDocument](t, r, customerKey("cus_0")); !doc.Ambiguous {
		t.Errorf("got %+v for a record that does not say what else is possible", doc)
	}
}

// A run that panics must not end the process, nor keep its slot and its turn.
func TestARunThatPanics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	e := entry("sub_1", "evt_1", 100, "active", "cus_1", "u1")
	p.step = func(string) error { panic("on purpose") }
	for range 40 {
		if err := p.handle(t.Context(), e); fault.ReasonOf(err) != fault.Panicked {
			t.Fatalf("got %v, want a panic", err)
		}
	}
	if err := p.view.All(t.Context()); fault.ReasonOf(err) != fault.Panicked {
		t.Errorf("got %v in a goroutine, want a panic", err)
	}
	p.step = nil
	p.mustHandle(t, e)
	r.check(t)
}

// A message whose time is over does not wait for the run of another one.
func TestWaitingEndsWithTheMessage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	e := entry("sub_1", "evt_1", 100, "active", "cus_1", "u1")
	stopped, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	p.step = func(string) error {
		once.Do(func() { close(stopped); <-goOn })
		return nil
	}
	var work sync.WaitGroup
	work.Go(func() { p.mustHandle(t, e) })
	<-stopped
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		if err := p.view.Follow(ctx, e.Message, []store.Changed{{Key: e.SubscriptionKey()}}); fault.KindOf(err) != fault.Transient {
			t.Errorf("got %v, want a transient error", err)
		}
	}
	work.Go(func() { p.mustHandle(t, e) })
	close(goOn)
	work.Wait()
	r.check(t)
}

// A message is delivered again while its first delivery hangs. The second one stores what
// follows from it, and dies; the first one finds nothing to do, and acknowledges it.
func TestADeliveryThatFindsWhatAnotherHasStored(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]store.Entry{
		"an event":             entry("sub_1", "evt_2", 200, "past_due", "cus_1", ""),
		"one about a user":     storetest.Claim("evt_3", 20, events.Identity{Source: events.IdentityCustomerMetadata, UserID: "u1", CustomerID: "cus_1"}),
		"of a subscription":    entry("sub_2", "evt_4", 200, "active", "cus_1", "u1"),
		"that changes nothing": entry("sub_1", "evt_0", 50, "trialing", "cus_1", ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			first, second := r.process(t), r.process(t)
			first.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", ""))
			stored := false
			first.Client = r.db.Connect(storetest.Hooks{Before: func(_ context.Context, op storetest.Operation) error {
				if op == storetest.Heads && !stored {
					stored = true
					second.commit(t, e)
				}
				return nil
			}})
			first.committer = store.NewCommitter(first.Client, time.Now)
			first.mustHandle(t, e)
			r.check(t)
		})
	}
}
