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
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

// bought returns an event of a subscription with one item of prod_1.
func bought(sub, id string, second int) store.Entry {
	e, one := storetest.Entry(sub, id, "updated", second, "active"), int64(1)
	e.Data.Subscription.Items = []events.Item{{ID: "si_1", ProductID: "prod_1", Quantity: &one}}
	return e
}

func rename(id string, second int) store.Entry {
	return storetest.ProductEntry("prod_1", id, "updated", second)
}

func sweep(t *testing.T, server *storetest.Memory) (steps []int) {
	t.Helper()
	c := committer(server, storetest.Hooks{})
	for {
		swept, err := c.SweepPage(t.Context(), "holder", nil)
		if err != nil {
			t.Fatal(err)
		}
		if !swept.More {
			return steps
		}
		steps = append(steps, swept.Written)
	}
}

func run(t *testing.T, c *store.Committer, entries ...store.Entry) error {
	t.Helper()
	for _, result := range c.Commit(t.Context(), entries) {
		if result.Err != nil {
			return result.Err
		}
	}
	return nil
}

func expectName(t *testing.T, server *storetest.Memory, sub, want string) {
	t.Helper()
	if got := record(server, sub).Winner.Data.Subscription.Items[0].ProductName; got != want {
		t.Errorf("%s: got the name %q, want %q", sub, got, want)
	}
}

// once returns a hook that calls do before the n-th operation of a kind.
func once(op storetest.Operation, n int, do func() error) storetest.Hooks {
	return storetest.Hooks{Before: func(_ context.Context, called storetest.Operation) error {
		if called != op {
			return nil
		}
		if n--; n == 0 {
			return do()
		}
		return nil
	}}
}

// A record refers to a product for the first time. It is written with the old name, after
// the sweep for the new one.
func TestSweepPassesBeforeARecordIsWritten(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"the product is known", "the product is new"} {
		server := storetest.NewMemory()
		if before == "the product is known" {
			commit(t, server, rename("evt_1", 1))
		}
		c := committer(server, once(storetest.Replace, 1, func() error {
			commit(t, server, rename("evt_2", 2))
			sweep(t, server)
			return nil
		}))
		if err := run(t, c, bought("sub_1", "evt_3", 3)); err != nil {
			t.Fatal(err)
		}
		expectName(t, server, "sub_1", "name of evt_2")
	}
}

// In addition, its writer dies before it checks the names. Another one, which remembers
// the old name, gets the message again.
func TestWriterDiesBeforeItChecksTheNames(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	commit(t, server, rename("evt_1", 1))
	other := committer(server, storetest.Hooks{})
	if err := run(t, other, bought("sub_2", "evt_4", 1)); err != nil {
		t.Fatal(err)
	}
	hooks := once(storetest.Listings, 2, func() error { return fault.New(fault.Transient, "dead", errors.New("dead")) })
	dying := hooks.Before
	renames := once(storetest.Replace, 1, func() error {
		commit(t, server, rename("evt_2", 2))
		sweep(t, server)
		return nil
	})
	hooks.Before = func(ctx context.Context, op storetest.Operation) error {
		return errors.Join(renames.Before(ctx, op), dying(ctx, op))
	}
	if err := run(t, committer(server, hooks), bought("sub_1", "evt_3", 3)); err == nil {
		t.Fatal("the message was acknowledged before its names were checked")
	}
	expectName(t, server, "sub_1", "name of evt_1")
	if err := run(t, other, bought("sub_1", "evt_3", 3)); err != nil {
		t.Fatal(err)
	}
	expectName(t, server, "sub_1", "name of evt_2")
	expectName(t, server, "sub_2", "name of evt_2")
}

// A process that remembers the old name writes a record that was swept, and one that is
// being swept.
func TestRememberedNameIsOlder(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	commit(t, server, rename("evt_1", 1))
	c := committer(server, storetest.Hooks{})
	if err := run(t, c, bought("sub_1", "evt_3", 3), bought("sub_2", "evt_4", 3)); err != nil {
		t.Fatal(err)
	}
	commit(t, server, rename("evt_2", 2))
	if err := run(t, c, bought("sub_1", "evt_5", 5)); err != nil {
		t.Fatal(err)
	}
	sweep(t, server)
	if err := run(t, c, bought("sub_2", "evt_6", 5)); err != nil {
		t.Fatal(err)
	}
	expectName(t, server, "sub_1", "name of evt_2")
	expectName(t, server, "sub_2", "name of evt_2")
}

// A name that could not be written is not remembered: another event can get its version.
func TestNameThatWasNotWritten(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	c := committer(server, once(storetest.PutListing, 1, func() error { return fault.New(fault.Transient, "down", errors.New("down")) }))
	if err := run(t, c, rename("evt_1", 1)); err == nil {
		t.Fatal("a name that was not written is acknowledged")
	}
	commit(t, server, rename("evt_2", 2))
	sweep(t, server)
	for _, e := range []store.Entry{bought("sub_1", "evt_3", 3), rename("evt_1", 1)} {
		if err := run(t, c, e); err != nil {
			t.Fatal(err)
		}
	}
	expectName(t, server, "sub_1", "name of evt_2")
}

// The database is dropped and filled again, so versions are smaller than remembered.
func TestCatalogBeginsAgain(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	for i := range 3 {
		commit(t, server, rename(fmt.Sprintf("evt_%d", i), i))
	}
	c := committer(server, storetest.Hooks{})
	if err := run(t, c, bought("sub_1", "evt_3", 3)); err != nil {
		t.Fatal(err)
	}
	server.Drop()
	for _, e := range []store.Entry{bought("sub_1", "evt_3", 3), rename("evt_4", 4)} {
		if err := run(t, c, e); err != nil {
			t.Fatal(err)
		}
	}
	sweep(t, server)
	expectName(t, server, "sub_1", "name of evt_4")
}

// The database is dropped and filled again in fewer steps, so a version that is remembered
// comes again with another name.
func TestVersionsDoNotComeAgain(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	c := store.NewCommitter(server.Connect(storetest.Hooks{}), func() time.Time { return now().Add(-time.Second) })
	if err := run(t, c, rename("evt_1", 1)); err != nil {
		t.Fatal(err)
	}
	server.Drop()
	commit(t, server, rename("evt_1", 1), rename("evt_2", 2))
	sweep(t, server)
	if err := run(t, c, bought("sub_1", "evt_3", 3)); err != nil {
		t.Fatal(err)
	}
	expectName(t, server, "sub_1", "name of evt_2")
}

// A webhook costs no more than without a catalog. A change costs three commands, and each
// page of its sweep about as much as before, however many subscriptions there are.
func TestCostOfTheCatalog(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	commit(t, server, rename("evt_p", 0))
	c := committer(server, storetest.Hooks{})
	cost := func(do func() error) int {
		before := server.Counts().Commands
		if err := do(); err != nil {
			t.Fatal(err)
		}
		return server.Counts().Commands - before
	}
	costs := func(round int) map[string]int {
		sub := fmt.Sprintf("sub_new%d", round)
		return map[string]int{
			"a new subscription": cost(func() error { return run(t, c, bought(sub, sub+"_1", 1)) }),
			"its next event":     cost(func() error { return run(t, c, bought(sub, sub+"_2", 2)) }),
			"a change":           cost(func() error { return run(t, c, rename(sub+"_p", 10*round)) }),
			"a page": cost(func() error {
				_, err := c.SweepPage(t.Context(), "holder", nil)
				return err
			}),
		}
	}
	few := costs(1)
	for n := range 20 {
		var batch []store.Entry
		for i := range 150 {
			batch = append(batch, bought(fmt.Sprintf("sub_%02d%03d", n, i), fmt.Sprintf("evt_%02d%03d", n, i), 1))
		}
		commit(t, server, batch...)
	}
	many := costs(2)
	want := map[string]int{"a new subscription": 6, "its next event": 3, "a change": 3}
	if page := many["a page"]; page > 57 {
		t.Errorf("a page takes %d commands, want one for each record and seven", page)
	}
	delete(few, "a page")
	delete(many, "a page")
	for name, got := range map[string]map[string]int{"few": few, "many": many} {
		if name == "few" {
			got["a new subscription"]-- // the product is not remembered yet
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("commands with %s subscriptions (-want +got):\n%s", name, diff)
		}
	}
	if steps := sweep(t, server); len(steps) < 59 {
		t.Errorf("got %d pages for 3,000 subscriptions", len(steps))
	}
	expectName(t, server, "sub_19149", "name of sub_new2_p")
}

// The keys of a page are followed before the page is done, and again if that fails.
func TestSweptKeysAreFollowed(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	commit(t, server, bought("sub_1", "evt_1", 1), rename("evt_2", 2))
	c := committer(server, storetest.Hooks{})
	var followed []string
	down := true
	follow := func(_ context.Context, keys []string) error {
		followed = append(followed, keys...)
		if down {
			return errors.New("NATS is down")
		}
		return nil
	}
	if _, err := c.SweepPage(t.Context(), "holder", follow); err == nil {
		t.Error("a page is done whose keys were not taken")
	}
	down = false
	if _, err := c.SweepPage(t.Context(), "holder", follow); err != nil {
		t.Fatal(err)
	}
	if want := []string{"test:platform:sub_1", "test:platform:sub_1"}; !slices.Equal(followed, want) {
		t.Errorf("got %v, want %v", followed, want)
	}
	if swept, err := c.SweepPage(t.Context(), "holder", follow); swept.More || err != nil {
		t.Errorf("got %+v, %v after the last page", swept, err)
	}
}
