package view

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

// listingRig answers the queries of a listing one by one.
type listingRig struct {
	*listing
	asked  chan []store.AccessOwner
	answer chan func()
	work   sync.WaitGroup
}

func newListingRig() *listingRig {
	r := &listingRig{asked: make(chan []store.AccessOwner), answer: make(chan func())}
	r.listing = newListing(func(ctx context.Context, of []store.AccessOwner) (map[store.AccessOwner][]string, error) {
		r.asked <- of
		(<-r.answer)()
		keys := map[store.AccessOwner][]string{}
		for _, o := range of {
			keys[o] = []string{"record of " + o.User}
		}
		return keys, ctx.Err()
	})
	return r
}

// expect lists the records of a user, and compares the outcome.
func (r *listingRig) expect(t *testing.T, ctx context.Context, user string, want fault.Reason) { //nolint:revive // t comes first
	t.Helper()
	r.work.Go(func() {
		keys, err := r.recordsOf(ctx, store.AccessOwner{User: user})
		if got := reasonOf(err); got != want || err == nil && !slices.Equal(keys, []string{"record of " + user}) {
			t.Errorf("%s: got %q, %q", user, keys, got)
		}
	})
}

func reasonOf(err error) fault.Reason {
	if err == nil {
		return ""
	}
	return fault.ReasonOf(err)
}

// waiting waits until some users are in the next query.
func (r *listingRig) waiting(t *testing.T, n int) {
	t.Helper()
	kit.Eventually(t, "the next query has its users", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.next != nil && len(r.next.of) == n
	})
}

func TestThoseWhoComeDuringAQueryShareTheNext(t *testing.T) {
	t.Parallel()
	r := newListingRig()
	r.expect(t, t.Context(), "u1", "")
	<-r.asked
	r.expect(t, t.Context(), "u1", "")
	r.expect(t, t.Context(), "u2", "")
	r.waiting(t, 2)
	left, leave := context.WithCancel(t.Context())
	leave()
	if _, err := r.recordsOf(left, store.AccessOwner{User: "u3"}); reasonOf(err) != fault.BucketFailed {
		t.Errorf("got %v for one who does not wait", err)
	}
	r.answer <- func() {}
	if of := <-r.asked; len(of) != 3 {
		t.Errorf("got a query about %v, want one about all who wait", of)
	}
	r.answer <- func() {}
	r.work.Wait()
}

// A query does not end with the message of the one who runs it, nor does a panic in it keep the
// turn.
func TestAQueryIsForAllWhoShareIt(t *testing.T) {
	t.Parallel()
	r := newListingRig()
	leaving, leave := context.WithCancel(t.Context())
	r.expect(t, leaving, "u1", "")
	<-r.asked
	leave()
	r.answer <- func() {}
	r.work.Wait()

	r.turn <- struct{}{}
	r.expect(t, t.Context(), "u1", fault.Panicked)
	r.expect(t, t.Context(), "u2", fault.Panicked)
	r.waiting(t, 2)
	<-r.turn
	<-r.asked
	r.answer <- func() { panic("on purpose") }
	r.work.Wait()

	r.expect(t, t.Context(), "u1", "")
	<-r.asked
	r.answer <- func() {}
	r.work.Wait()
}
