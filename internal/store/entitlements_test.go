package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

// A list is read again and turns out to be cut off, so an earlier one counts again. That
// comes just before one of the writes, and seems to be covered by the list as it was.
func TestAnEarlierListComesWhileALaterOneIsReadAgain(t *testing.T) {
	t.Parallel()
	for at := range 2 {
		db := storetest.NewMemory()
		commit := func(hooks storetest.Hooks, e store.Entry) {
			if res := store.NewCommitter(db.Connect(hooks), time.Now).Commit(t.Context(), []store.Entry{e})[0]; res.Err != nil {
				t.Fatal(res.Err)
			}
		}
		commit(storetest.Hooks{}, storetest.EntitlementsEntry("cus_1", "evt_2", 2, "b"))
		left := at
		hook := func(_ context.Context, op storetest.Operation) error {
			if op == storetest.PutEntitlements {
				if left--; left == -1 {
					commit(storetest.Hooks{}, storetest.EntitlementsEntry("cus_1", "evt_1", 1, "a"))
				}
			}
			return nil
		}
		again := storetest.EntitlementsEntry("cus_1", "evt_2", 2, "b", "…")
		again.Data.Normalizer, again.Data.RereadAt = 2, again.Time
		commit(storetest.Hooks{Before: hook}, again)
		if got, _ := db.Entitled(kit.Key("cus_1")); len(got.Features) != 2 {
			t.Errorf("before write %d: got %+v, want both features", at, got.Features)
		}
	}
}
