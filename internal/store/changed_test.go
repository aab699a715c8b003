package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

// What follows the records reads only what it does not know. If a commit has nothing to write,
// another process may have written that for the same message, and died.
func TestACommitNamesTheRecordsThatCanHaveChanged(t *testing.T) {
	t.Parallel()
	server := storetest.NewMemory()
	committer := store.NewCommitter(server.Connect(storetest.Hooks{}), now)
	first, later := ofCustomer("cus_1", "", "evt_1", 10), ofCustomer("cus_1", "", "evt_3", 300)
	older, twice := ofCustomer("cus_1", "", "evt_2", 5), storetest.Entry("sub_2", "evt_4", "updated", 10, "active")
	claim := linked("evt_c", "u_1", "cus_1", 9)
	for _, step := range []struct {
		name    string
		entries []store.Entry
		want    string
	}{
		{"a new record", []store.Entry{first}, "evt_1: sub_1 as of evt_1"},
		{"it changes", []store.Entry{later}, "evt_3: sub_1 as of evt_3"},
		{"an older event", []store.Entry{older}, "evt_2: sub_1 in revision 2"},
		{"a claim changes the user only", []store.Entry{claim}, "evt_c: sub_1 unread"},
		{"another claim changes nothing", []store.Entry{linked("evt_b", "u_1", "cus_1", 8)}, "evt_b: sub_1 in revision 3"},
		{"a claim about no record", []store.Entry{linked("evt_a", "u_1", "cus_9", 8)}, "evt_a:"},
		{"duplicates", []store.Entry{older, claim}, "evt_2: sub_1 in revision 3, evt_c: sub_1 in revision 3"},
		{"two events of one record", []store.Entry{twice, storetest.Entry("sub_2", "evt_5", "updated", 200, "past_due")}, "evt_4: sub_2 as of evt_5, evt_5: sub_2 as of evt_5"},
		{"with a claim for the same user", []store.Entry{ofCustomer("cus_1", "", "evt_6", 500), linked("evt_d", "u_1", "cus_1", 600)}, "evt_6: sub_1 as of evt_6, evt_d: sub_1 as of evt_6"},
		{"with one for another user", []store.Entry{ofCustomer("cus_1", "", "evt_7", 800), linked("evt_e", "u_2", "cus_1", 900)}, "evt_7: sub_1 unread, evt_e: sub_1 unread"},
	} {
		if got := changes(t, committer, step.entries); got != step.want {
			t.Errorf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
}

func changes(t *testing.T, committer *store.Committer, entries []store.Entry) string {
	t.Helper()
	said := make([]string, len(entries))
	for i := range entries {
		entries[i].Committed = func(changed []store.Changed) {
			said[i] = entries[i].ID + ":"
			for _, c := range changed {
				state := "unread"
				switch {
				case c.State != nil:
					state = "as of " + c.State.EventID
				case c.Found.Revision > 0:
					state = fmt.Sprintf("in revision %d", c.Found.Revision)
				}
				said[i] += fmt.Sprintf(" %s %s", c.Key[strings.LastIndexByte(c.Key, ':')+1:], state)
			}
		}
	}
	for _, res := range committer.Commit(t.Context(), entries) {
		if res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	return strings.Join(said, ", ")
}
