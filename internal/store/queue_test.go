package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

// held is a queue with batches of one. Its first insert waits until it is released.
type held struct {
	*store.Queue
	server           *storetest.Memory
	entered, release chan struct{}
}

func newHeld(t *testing.T) held {
	t.Helper()
	h := held{server: storetest.NewMemory(), entered: make(chan struct{}), release: make(chan struct{})}
	client := h.server.Connect(interposed(storetest.Insert, func() { close(h.entered); <-h.release }))
	h.Queue = store.NewQueue(store.NewCommitter(client, now), 1)
	t.Cleanup(h.Close)
	return h
}

// commit commits an entry in the background.
func (h held) commit(ctx context.Context, entry store.Entry) <-chan error {
	done := make(chan error, 1)
	go func() { _, err := h.Commit(ctx, entry); done <- err }()
	return done
}

// While one lane waits for the database, another goes on, and no subscription is in both.
func TestLanesDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	h := held{server: storetest.NewMemory(), entered: make(chan struct{}), release: make(chan struct{})}
	client := h.server.Connect(interposed(storetest.Insert, func() { close(h.entered); <-h.release }))
	always := func() bool { return true }
	h.Queue = store.NewSpreadQueue(store.NewCommitter(client, now), 1, store.Spread{Lanes: 2, Allowed: always})
	t.Cleanup(h.Close)
	first := h.commit(t.Context(), storetest.Entry("sub_0", "evt_0", "updated", 1, "active"))
	<-h.entered
	same := h.commit(t.Context(), storetest.Entry("sub_0", "evt_0_2", "updated", 2, "active"))
	const subscriptions = 40
	others := make(chan error, subscriptions)
	for i := range subscriptions {
		other := h.commit(t.Context(), storetest.Entry(fmt.Sprintf("sub_%d", 1+i), fmt.Sprintf("evt_%d", 1+i), "updated", 1, "active"))
		go func() { others <- <-other }()
	}
	if err := <-others; err != nil { // it would wait, too, if all had the same lane: once in 2^40 times
		t.Errorf("another lane: %v", err)
	}
	select {
	case err := <-same:
		t.Errorf("the subscription that is being written: got %v, want it to wait", err)
	default:
	}
	close(h.release)
	for range subscriptions - 1 {
		if err := <-others; err != nil {
			t.Error(err)
		}
	}
	if err := errors.Join(<-first, <-same); err != nil {
		t.Error(err)
	}
	expect(t, h.server, "sub_0", "evt_0_2")
	for i := range subscriptions {
		expect(t, h.server, fmt.Sprintf("sub_%d", 1+i), fmt.Sprintf("evt_%d", 1+i))
	}
}

func expectReason(t *testing.T, what string, err error, reason string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.Reason(reason) {
		t.Errorf("%s: got %v for %s, want transient for %s", what, err, fault.ReasonOf(err), reason)
	}
}

func TestCommitGivesUpWaiting(t *testing.T) {
	t.Parallel()
	h := newHeld(t)
	ctx, cancel := context.WithCancel(t.Context())
	accepted := h.commit(ctx, storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
	<-h.entered
	waiting := h.commit(ctx, storetest.Entry("sub_1", "evt_2", "updated", 2, "active"))
	cancel()
	err := <-waiting
	if expectReason(t, "given up", err, "database_busy"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it canceled", err)
	}
	close(h.release)
	if err := <-accepted; err != nil {
		t.Errorf("what is being written: got %v, want it finished", err)
	}
	// Nothing is written of what gave up.
	effect, err := h.Commit(t.Context(), storetest.Entry("sub_1", "evt_2", "updated", 2, "active"))
	if err != nil || effect != store.Applied {
		t.Errorf("redelivery: got %s, %v, want %s", effect, err, store.Applied)
	}
}

// A sweep writes between two batches, never at the same time, and a message does not wait
// until it is over.
func TestSweepTakesItsTurn(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	var before []store.Entry
	for i := range 60 {
		before = append(before, bought(fmt.Sprintf("sub_%02d", i), fmt.Sprintf("evt_%02d", i), 1))
	}
	commit(t, server, append(before, rename("evt_p", 1))...)
	commit(t, server, rename("evt_q", 2))
	var queue *store.Queue
	var message <-chan error
	running := 0
	client := server.Connect(storetest.Hooks{Before: func(_ context.Context, op storetest.Operation) error {
		switch {
		case op == storetest.Referring && message == nil:
			message = held{Queue: queue}.commit(context.WithoutCancel(t.Context()), bought("sub_00", "evt_x", 9))
		case op == storetest.Insert:
			running++
		}
		return nil
	}})
	queue = store.NewQueue(store.NewCommitter(client, now), 1)
	t.Cleanup(queue.Close)
	written, err := queue.Sweep(t.Context(), "holder", nil)
	if err := <-message; err != nil || running != 1 {
		t.Errorf("the message: got %v after %d inserts", err, running)
	}
	if written == 0 || err != nil {
		t.Errorf("the sweep: got %d, %v", written, err)
	}
	expectName(t, server, "sub_59", "name of evt_q")
	queue.Close()
	_, err = queue.Sweep(t.Context(), "holder", nil)
	expectReason(t, "after the end", err, "closing")
}

func TestCloseAnswersEveryRequest(t *testing.T) {
	t.Parallel()
	h := newHeld(t)
	accepted := h.commit(t.Context(), storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
	<-h.entered
	var waiting sync.WaitGroup
	for i := range 8 {
		waiting.Go(func() {
			_, err := h.Commit(t.Context(), storetest.Entry("sub_1", fmt.Sprintf("evt_w%d", i), "updated", 2, "active"))
			expectReason(t, "waiting", err, "closing")
		})
	}
	closed := make(chan struct{})
	go func() { h.Close(); close(closed) }()
	waiting.Wait() // although a batch is still being written
	close(h.release)
	if err := <-accepted; err != nil {
		t.Errorf("the accepted entry: %v", err)
	}
	<-closed
	expect(t, h.server, "sub_1", "evt_1")
	if got := len(h.server.Audited()); got != 1 {
		t.Errorf("got %d audit documents, want 1", got)
	}
	_, err := h.Commit(t.Context(), storetest.Entry("sub_1", "evt_9", "updated", 9, "active"))
	expectReason(t, "afterwards", err, "closing")
}

func TestAbortGivesUpTheBatch(t *testing.T) {
	t.Parallel()
	h := newHeld(t)
	accepted := h.commit(t.Context(), storetest.Entry("sub_1", "evt_1", "updated", 1, "active"))
	<-h.entered
	h.Abort()
	close(h.release)
	// Its audit document was being written; its record is not.
	expectReason(t, "the batch under way", <-accepted, "database_timeout")
	_, err := h.Commit(t.Context(), storetest.Entry("sub_1", "evt_2", "updated", 2, "active"))
	expectReason(t, "afterwards", err, "closing")
	if got := record(h.server, "sub_1"); got.Revision != 0 {
		t.Errorf("there is a record of %s", got.Winner.ID)
	}
}

// Entries that arrive while a batch is written become the next batch.
func TestQueueMakesBatches(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	var inserts, documents int
	hooks := storetest.Hooks{
		Before:  func(_ context.Context, op storetest.Operation) error { documents += count(op); return nil },
		Written: func(_ context.Context, op storetest.Operation) error { inserts += count(op); return nil },
	}
	queue := store.NewQueue(store.NewCommitter(server.Connect(hooks), now), 4)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			if _, err := queue.Commit(t.Context(), storetest.Entry("sub_1", fmt.Sprintf("evt_%d", i), "updated", i, "active")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	queue.Close()
	if documents != 40 || inserts < 10 {
		t.Errorf("got %d documents in %d inserts, want 40 in at least 10", documents, inserts)
	}
	expect(t, server, "sub_1", "evt_39")
}

// panicking is a database that panics for one event: when its audit document is
// encoded, or when its record is.
type panicking struct {
	*storetest.Client
	method, event string
}

func (p panicking) Insert(ctx context.Context, entries []store.Entry) []error {
	for _, e := range entries {
		if p.method == "Insert" && e.ID == p.event {
			panic("jane@example.com")
		}
	}
	return p.Client.Insert(ctx, entries)
}

func (p panicking) Replace(ctx context.Context, records []store.Record) []error {
	for _, r := range records {
		if p.method == "Replace" && r.Winner.ID == p.event {
			panic("jane@example.com")
		}
	}
	return p.Client.Replace(ctx, records)
}

func TestAPanicConcernsOneMessage(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Insert", "Replace"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			server := storetest.NewMemory()
			queue := store.NewQueue(store.NewCommitter(panicking{server.Connect(storetest.Hooks{}), method, "evt_23"}, now), 100)
			defer queue.Close()
			for range 2 { // a redelivery is no different
				var work sync.WaitGroup
				for _, e := range eventsOf(40) {
					work.Go(func() {
						_, err := queue.Commit(t.Context(), e)
						switch {
						case e.ID != "evt_23" && err != nil:
							t.Errorf("%s: %v", e.ID, err)
						case e.ID == "evt_23":
							expectReason(t, e.ID, err, "panic")
							if strings.Contains(err.Error(), "jane") {
								t.Errorf("the error quotes the panic: %v", err)
							}
						}
					})
				}
				work.Wait()
			}
			for _, e := range eventsOf(40) {
				if e.ID != "evt_23" {
					expect(t, server, e.SubscriptionID, e.ID)
				}
			}
		})
	}
}

func count(op storetest.Operation) int {
	if op == storetest.Insert {
		return 1
	}
	return 0
}
