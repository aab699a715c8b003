package store_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

// What was remembered of records may be out of date.
func TestRecentHeads(t *testing.T) {
	t.Parallel()
	early, first, second, third := storetest.Entry("sub_1", "evt_0", "updated", 0, "active"), storetest.Entry("sub_1", "evt_1", "updated", 1, "active"),
		storetest.Entry("sub_1", "evt_2", "updated", 2, "past_due"), storetest.Entry("sub_1", "evt_3", "updated", 3, "unpaid")
	for name, tt := range map[string]struct {
		meanwhile func(server *storetest.Memory)
		commits   []store.Entry
		winner    string
		effect    store.Effect
		reads     int // of the record
	}{
		"nothing has changed":                        {func(*storetest.Memory) {}, []store.Entry{second}, "evt_2", store.Applied, 0},
		"nothing is new":                             {func(*storetest.Memory) {}, []store.Entry{first}, "evt_1", store.Duplicate, 1},
		"another writer has added an event":          {func(server *storetest.Memory) { commit(t, server, second) }, []store.Entry{third}, "evt_3", store.Applied, 1},
		"another writer has added a later event":     {func(server *storetest.Memory) { commit(t, server, third) }, []store.Entry{second}, "evt_3", store.Recorded, 1},
		"another writer has added the same event":    {func(server *storetest.Memory) { commit(t, server, second) }, []store.Entry{second}, "evt_2", store.Duplicate, 1},
		"the database is gone, and an event is late": {func(server *storetest.Memory) { server.Drop() }, []store.Entry{early}, "evt_0", store.Applied, 1},
		"the record is gone, and an event repeats":   {func(server *storetest.Memory) { server.Delete("", kit.Key("sub_1")) }, []store.Entry{first}, "evt_1", store.Applied, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, reads := storetest.NewMemory(), 0
			commit(t, server, first)
			remembered := map[string]store.Head{kit.Key("sub_1"): record(server, "sub_1").Head}
			tt.meanwhile(server)
			client := server.Connect(storetest.Hooks{Before: func(_ context.Context, op storetest.Operation) error {
				if op == storetest.Heads {
					reads++
				}
				return nil
			}})
			client.Remembered = remembered
			results := store.NewCommitter(client, now).Commit(t.Context(), tt.commits)
			if diff := cmp.Diff([]store.Result{{Effect: tt.effect}}, results); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			expect(t, server, "sub_1", tt.winner)
			if reads != tt.reads {
				t.Errorf("the record was read %d times, want %d", reads, tt.reads)
			}
		})
	}
}
