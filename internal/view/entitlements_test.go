package view_test

import (
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

func fourteen() []string {
	return []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"}
}

func (r *rig) checkFeatures(t *testing.T, want []string, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if doc, _ := get[events.AccessDocument](t, r, key); !slices.Equal(doc.Features, want) {
			t.Errorf("%s: got the features %v, want %v", key, doc.Features, want)
		}
	}
}

// Of fourteen features, events list ten.
func TestFourteenFeaturesInAnyOrder(t *testing.T) {
	t.Parallel()
	random := seeded(t)
	for range 12 {
		r := newRig(t)
		list := []store.Entry{
			entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"),
			storetest.EntitlementsEntry("cus_1", "evt_2", 90, "a", "x"),
			storetest.EntitlementsEntry("cus_1", "evt_3", 110, append(fourteen()[:10], "…")...),
			storetest.EntitlementsSnapshot("cus_1", "snap_1", 110, fourteen()...),
			entry("sub_2", "evt_4", 120, "active", "cus_1", "u2"),
		}
		random.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		r.process(t).mustHandle(t, append(list, list[random.IntN(len(list))])...)
		r.check(t)
		r.checkFeatures(t, fourteen(), customerKey("cus_1"), userKey("u1"), userKey("u2"))
	}
}

func TestFeaturesWithoutASubscription(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	p.mustHandle(t, storetest.EntitlementsEntry("cus_1", "evt_1", 90, "a"))
	doc, found := get[events.AccessDocument](t, r, customerKey("cus_1"))
	if !found || doc.Access != events.AccessNone || len(doc.Features) != 1 || len(r.messages(t)) > 0 {
		t.Errorf("got %+v, %t and %v, want a document without access, and no message", doc, found, r.messages(t))
	}
	p.mustHandle(t, entry("sub_1", "evt_2", 100, "active", "cus_1", "u1"), storetest.EntitlementsEntry("cus_1", "evt_3", 200, "a", "b"))
	r.check(t)
	if got, want := words(r.messages(t)[userKey("u1")]), "granted changed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A tie leaves open what the features are, until a later list.
func TestAmbiguousFeatures(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	p.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"),
		storetest.EntitlementsEntry("cus_1", "evt_2", 110, "a"), storetest.EntitlementsEntry("cus_1", "evt_3", 110, "b"))
	r.check(t)
	if doc, _ := get[events.AccessDocument](t, r, userKey("u1")); !doc.Ambiguous {
		t.Errorf("got %+v, want an ambiguous document", doc)
	}
	p.mustHandle(t, storetest.EntitlementsSnapshot("cus_1", "snap_1", 110, "b"))
	r.check(t)
	if doc, _ := get[events.AccessDocument](t, r, userKey("u1")); doc.Ambiguous {
		t.Errorf("got %+v after a snapshot", doc)
	}
}

// A database that is being rebuilt has the earlier list for a while.
func TestARebuiltDatabaseTakesNoFeatureAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	list := []store.Entry{
		entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"),
		storetest.EntitlementsEntry("cus_1", "evt_2", 110, "a"),
		storetest.EntitlementsEntry("cus_1", "evt_3", 120, "a", "b"),
		storetest.EntitlementsEntry("cus_1", "evt_4", 130, "a", "b"), // an event that changes nothing counts, too
	}
	r.process(t).mustHandle(t, list...)
	before := r.messages(t)
	r.db = storetest.NewMemory()
	p := r.process(t)
	for _, e := range append(list, storetest.EntitlementsEntry("cus_1", "evt_0", 125, "z")) {
		p.mustHandle(t, e)
		r.checkFeatures(t, []string{"a", "b"}, customerKey("cus_1"), userKey("u1"))
	}
	r.check(t)
	if diff := gocmp.Diff(before, r.messages(t)); diff != "" {
		t.Errorf("the rebuilding published something (-before +after):\n%s", diff)
	}
	p.mustHandle(t, storetest.EntitlementsEntry("cus_1", "evt_5", 140, "b"))
	r.check(t)
}

// A subscription and a list of one customer come at the same time, and each writer stops
// between two steps until the other one has written.
func TestAListMeetsASubscription(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for n, delayed := 0, true; delayed; n++ {
		delayed = false
		entries, other := story(n)
		list := storetest.EntitlementsEntry("cus_"+entries[0].ID, "evt_"+entries[0].ID, 500, "z")
		other.Data.Subscription.CustomerID = "cus_" + entries[0].ID
		first, second := other, list
		if n%2 == 1 {
			first, second = list, other
		}
		left := n / 2
		p := r.process(t)
		p.step = func(string) error {
			if left--; left == -1 {
				delayed = true
				r.process(t).mustHandle(t, second)
			}
			return nil
		}
		p.mustHandle(t, first)
		delayed = delayed || n%2 == 0
		r.process(t).mustHandle(t, second)
	}
	r.check(t)
}

func TestEntitlementsOfADeletedBucket(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	p.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"), storetest.EntitlementsEntry("cus_1", "evt_2", 110, "a"),
		storetest.EntitlementsEntry("cus_2", "evt_3", 110, "b"))
	before := r.messages(t)
	r.recreate(t)
	if err := p.view.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.check(t)
	if diff := gocmp.Diff(before, r.messages(t)); diff != "" {
		t.Errorf("filling the bucket published something (-before +after):\n%s", diff)
	}
}

func TestEntitlementsThatDoNotChangeCostLittle(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.process(t)
	if err := p.view.Complete(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.mustHandle(t, entry("sub_1", "evt_1", 100, "active", "cus_1", "u1"))
	first := storetest.EntitlementsEntry("cus_1", "evt_2", 110, "a")
	for _, step := range []struct {
		what  string
		entry store.Entry
		want  counts
		// documents that are written, with that of the audit trail.
		documents int
	}{
		{"new features", first, counts{gets: 6, puts: 2, published: 2}, 4},
		{"a duplicate", first, counts{}, 0},
		{"the same features", storetest.EntitlementsEntry("cus_1", "evt_3", 120, "a"), counts{gets: 6, puts: 1}, 2},
		{"an older list", storetest.EntitlementsEntry("cus_1", "evt_4", 60, "x"), counts{}, 1},
	} {
		p.counts = counts{}
		before := r.db.Counts().DocumentsWritten
		p.mustHandle(t, step.entry)
		if documents := r.db.Counts().DocumentsWritten - before; p.counts != step.want || documents != step.documents {
			t.Errorf("%s: got %+v and %d documents, want %+v and %d", step.what, p.counts, documents, step.want, step.documents)
		}
	}
}
