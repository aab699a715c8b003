package view_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

// commit stores entries in one batch.
func (p *process) commit(t *testing.T, entries ...store.Entry) {
	t.Helper()
	for _, result := range p.committer.Commit(t.Context(), entries) {
		if result.Err != nil {
			t.Fatal(result.Err)
		}
	}
}

// A backup has the same record in an earlier revision. What was stored since comes again, in
// fewer writes than at first, and revisions come again, too.
func TestADatabaseThatWasRestored(t *testing.T) {
	t.Parallel()
	for _, restarted := range []bool{true, false} {
		r := newRig(t)
		p := r.process(t)
		p.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"))
		backup, _ := r.db.Record(kit.Key("sub_1"))
		lost := []store.Entry{
			entry("sub_1", "evt_2", 200, "past_due", "cus_1", "u1"), entry("sub_1", "evt_3", 300, "active", "cus_1", "u1"),
			entry("sub_1", "evt_4", 400, "past_due", "cus_1", "u1"), entry("sub_1", "evt_5", 500, "active", "cus_1", "u1"),
		}
		p.mustHandle(t, lost...)
		before := r.messages(t)
		r.db.Put(backup)
		if restarted {
			p = r.process(t)
		}
		p.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"), lost[0])
		if got, _ := get[events.Record](t, r, "test.platform.sub_1"); got.Version.EventID != "evt_5" {
			t.Errorf("the entry went back to %s", got.Version.EventID)
		}
		p.commit(t, lost...)
		p.mustHandle(t, lost[3])
		r.check(t)
		if diff := gocmp.Diff(before, r.messages(t)); diff != "" {
			t.Errorf("a replay published something (-before +after):\n%s", diff)
		}
		p.mustHandle(t, entry("sub_1", "evt_6", 600, "past_due", "cus_1", "u1"), entry("sub_1", "evt_7", 700, "canceled", "cus_1", "u1"))
		r.check(t)
	}
}

func TestEntitlementsThatWereRestored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	p.mustHandle(t, storetest.EntitlementsEntry("cus_1", "evt_1", 110, "a"))
	backup, _ := r.db.Entitled(kit.Key("cus_1"))
	lost := []store.Entry{
		storetest.EntitlementsEntry("cus_1", "evt_2", 120, "a", "b"), storetest.EntitlementsEntry("cus_1", "evt_3", 130, "a", "b", "c"),
		storetest.EntitlementsEntry("cus_1", "evt_4", 140, "a", "b"),
	}
	p.mustHandle(t, lost...)
	r.db.PutEntitled(backup)
	p.mustHandle(t, storetest.EntitlementsEntry("cus_1", "evt_1", 110, "a"), lost[0])
	r.checkFeatures(t, []string{"a", "b"}, customerKey("cus_1"))
	p.commit(t, lost...)
	p.mustHandle(t, lost[2])
	r.check(t)
	p.mustHandle(t, storetest.EntitlementsEntry("cus_1", "evt_5", 150, "b"))
	r.check(t)
}

// The process lives on while the database is dropped and rebuilt.
func TestADatabaseThatIsDroppedMeanwhile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	story := []store.Entry{
		entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"), entry("sub_1", "evt_2", 200, "past_due", "cus_1", "u1"),
		storetest.EntitlementsEntry("cus_2", "evt_3", 110, "a"),
	}
	p.mustHandle(t, story...)
	before := r.messages(t)
	r.db.Drop()
	p.mustHandle(t, story...)
	r.check(t)
	if diff := gocmp.Diff(before, r.messages(t)); diff != "" {
		t.Errorf("the rebuilding published something (-before +after):\n%s", diff)
	}
}

// What a commit has written is older than the record by the time it is followed: another user
// was set meanwhile. An entry of the database before must not be replaced by it, since what
// was set last is held back, and nobody would bring that any more.
func TestARebuildingIsFollowedLate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	e := entry("sub_1", "evt_1", 100, "active", "cus_1", "")
	link := func(user string, second int) store.Entry {
		return storetest.Claim("evt_"+user, second, events.Identity{Source: events.IdentityCustomerMetadata, UserID: user, CustomerID: "cus_1"})
	}
	p.mustHandle(t, e, link("u1", 200))
	r.db.Drop()
	p.commit(t, link("u1", 200))
	var late []store.Changed
	written := e
	written.Committed = func(c []store.Changed) { late = c }
	p.commit(t, written)
	p.mustHandle(t, link("u2", 300))
	if err := p.view.Follow(t.Context(), e.Message, late); err != nil {
		t.Fatal(err)
	}
	if err := p.view.CaughtUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.check(t)
}
