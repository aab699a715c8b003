package storetest

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

// Store is what the suite tests: everything in [store.Store] that reads or writes.
type Store interface {
	store.Database
	store.Search
	store.View
	store.Verification
	store.Admission
	store.Anonymity
	store.Retention
	store.Letters
	store.Rereading
}

// Backend is an empty database, and what the suite needs to damage it.
type Backend struct {
	// Connect returns a connection, as of another process. The test closes it.
	Connect func() Store
	// DamageAudit makes the message of an audit document unreadable, by its key.
	DamageAudit func(key string)
	// DamageRecord removes everything from a record but the fact that it exists.
	DamageRecord func(key string)
	// RemoveRecord removes a record.
	RemoveRecord func(key string)
	// Histories is how many generated histories to commit.
	Histories int
	// OneProcess is true if two connections must not write to one document at the same
	// time.
	OneProcess bool
}

// Run runs the suite: what each method must do, and that committing leads to the
// records that the audit trail says.
func Run(t *testing.T, open func(t *testing.T) Backend) {
	t.Helper()
	for _, tests := range []map[string]func(*testing.T, Backend){auditTests, recordTests, commitTests, searchTests, verificationTests, catalogTests, letterTests, viewTests, rereadTests, entitlementTests} {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, open(t))
			})
		}
	}
	t.Run("a canceled context is a transient error", func(t *testing.T) {
		t.Parallel()
		testCanceled(t, open(t))
	})
}

func equal(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// outcomes are the outcomes of writes, in words.
func outcomes(failures []error) string {
	words := make([]string, len(failures))
	for i, err := range failures {
		switch {
		case err == nil:
			words[i] = "written"
		case errors.Is(err, store.ErrExists):
			words[i] = "exists"
		default:
			words[i] = err.Error()
		}
	}
	return strings.Join(words, " ")
}

func factOf(t *testing.T, m events.Message) ordering.Fact {
	t.Helper()
	fact, ok := ordering.FactOf(m)
	if !ok {
		t.Fatalf("%s holds no subscription", m.ID)
	}
	return fact
}

// invoice returns an event that belongs to a subscription and does not show its state.
func invoice(sub, id string, second int) store.Entry {
	e := Entry(sub, id, "updated", second, "active")
	e.Type, e.StripeType, e.Data.Subscription = "stripe.invoice.paid", "invoice.paid", nil
	return e
}

// snapshot returns an entry of a subscription that was read from Stripe's API.
func snapshot(sub, id string, second int, status string) store.Entry {
	e := Entry(sub, id, "updated", second, status)
	e.Type, e.StripeType, e.Data.Event = events.SubjectSnapshot, "", nil
	e.Data.Origin, e.Data.Reason, e.Data.ReadAt = events.OriginThin, events.ReasonThin, e.Time
	e.Data.Object = []byte(`{"id":"` + sub + `"}`)
	return e
}

// commit commits entries one after the other.
func commit(t *testing.T, db store.Database, entries ...store.Entry) []store.Effect {
	t.Helper()
	var effects []store.Effect
	for _, e := range entries {
		effects = append(effects, commitBatch(t, db, e)...)
	}
	return effects
}

// commitBatch commits entries as one batch.
func commitBatch(t *testing.T, db store.Database, entries ...store.Entry) []store.Effect {
	t.Helper()
	effects := make([]store.Effect, len(entries))
	for i, result := range store.NewCommitter(db, noon).Commit(t.Context(), entries) {
		if result.Err != nil {
			t.Fatalf("committing %s: %v", entries[i].ID, result.Err)
		}
		effects[i] = result.Effect
	}
	return effects
}

func headOf(t *testing.T, db store.Database, sub string) store.Head {
	t.Helper()
	heads, err := db.Heads(t.Context(), []string{kit.Key(sub)})
	if err != nil {
		t.Fatal(err)
	}
	return heads[kit.Key(sub)]
}

// content returns what the record of a subscription says; the zero Content if there is
// none.
func content(t *testing.T, db Store, key string) Content {
	t.Helper()
	state, found, err := db.State(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if !found {
		return Content{}
	}
	heads, err := db.Heads(t.Context(), []string{key})
	if err != nil {
		t.Fatal(err)
	}
	return Content{
		EventID: state.EventID, Status: state.Subscription.Status, Description: state.Subscription.Description, Items: itemsOf(&state.Subscription), User: state.User, Terminal: state.Terminal,
		Ordering: state.Ordering, Explanation: state.Explanation, Rule: heads[key].Rule, Known: heads[key].Known,
	}
}

// expect checks which event holds the state of a subscription.
func expect(t *testing.T, db Store, sub, eventID, status string, certainty ordering.Certainty) {
	t.Helper()
	got := content(t, db, kit.Key(sub))
	equal(t, sub, Content{EventID: eventID, Status: status, Ordering: certainty}, Content{EventID: got.EventID, Status: got.Status, Ordering: got.Ordering})
}

// auditedIDs returns the ids of all events in the audit trail, oldest first.
func auditedIDs(t *testing.T, db store.Search) []string {
	t.Helper()
	found, err := db.Search(t.Context(), store.Query{})
	if err != nil {
		t.Fatal(err)
	}
	return idsOf(found)
}

func idsOf(found []store.Audited) []string {
	var ids []string
	for _, a := range found {
		ids = append(ids, a.ID)
	}
	return ids
}

// removeAudited removes the audit document of an event.
func removeAudited(t *testing.T, db store.Retention, eventID string) {
	t.Helper()
	for e, err := range db.Expired(t.Context(), time.Time{}, noon().AddDate(100, 0, 0)) {
		if err != nil {
			t.Fatal(err)
		}
		if e.EventID == eventID {
			if err := db.RemoveExpired(t.Context(), []string{e.ID}); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("there is no audit document of %s", eventID)
}

func testCanceled(t *testing.T, b Backend) {
	db := b.Connect()
	entry := Entry("sub_1", "evt_1", "updated", 1, "active")
	commit(t, db, entry)
	have, err := db.Record(t.Context(), kit.Key("sub_1"))
	if err != nil {
		t.Fatal(err)
	}
	d := store.Decision{Winner: entry.Message, Verdict: ordering.Fold([]ordering.Fact{factOf(t, entry.Message)})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	calls := map[string]func() error{
		"Insert":     func() error { return db.Insert(ctx, []store.Entry{Entry("sub_1", "evt_2", "updated", 1, "active")})[0] },
		"Find":       func() error { _, err := db.Find(ctx, entry.Key()); return err },
		"Messages":   func() error { _, err := db.Messages(ctx, []string{entry.Key(), kit.Key("evt_2")}); return err },
		"Histories":  func() error { return last(db.Histories(ctx, []string{kit.Key("sub_1")})) },
		"Trail":      func() error { return last(db.Trail(ctx, kit.Key("sub_1"))) },
		"Heads":      func() error { _, err := db.Heads(ctx, []string{kit.Key("sub_1")}); return err },
		"Mark":       func() error { return db.Mark(ctx, store.Head{Key: kit.Key("sub_1"), Revision: 1}) },
		"Identify":   func() error { return db.Identify(ctx, []store.Identity{{Key: "evt_2"}})[0] },
		"Identities": func() error { _, err := db.Identities(ctx, store.Owners{Customers: []string{"cus_1"}}); return err },
		"Identified": func() error { _, err := db.Identified(ctx, []string{"evt_1"}); return err },
		"ReplaceId": func() error {
			_, err := db.ReplaceIdentity(ctx, store.Identity{Key: "evt_1"}, store.Identity{Key: "evt_1"})
			return err
		},
		"Owned":         func() error { return last(db.Owned(ctx, store.Owners{Customers: []string{"cus_1"}})) },
		"SetUsers":      func() error { return db.SetUsers(ctx, []store.Head{{Key: kit.Key("sub_1"), Revision: 2}})[0] },
		"Anonymous":     func() error { return last(db.Anonymous(ctx)) },
		"ClaimsOf":      func() error { return last(db.ClaimsOf(ctx, store.Owners{Customers: []string{"cus_1"}})) },
		"Claims":        func() error { return last(db.Claims(ctx)) },
		"Replace":       func() error { return db.Replace(ctx, []store.Record{recordAt(t, "sub_2", 1, "active")})[0] },
		"Search":        func() error { _, err := db.Search(ctx, store.Query{Event: "evt_1"}); return err },
		"Payload":       func() error { _, _, err := db.Payload(ctx, "evt_1"); return err },
		"State":         func() error { _, _, err := db.State(ctx, kit.Key("sub_1")); return err },
		"RecordsOf":     func() error { _, err := db.RecordsOf(ctx, []store.AccessOwner{{User: "u1"}}); return err },
		"RecordKeys":    func() error { return last(db.RecordKeys(ctx)) },
		"Completed":     func() error { _, err := db.Completed(ctx); return err },
		"SetCompleted":  func() error { return db.SetCompleted(ctx, "bucket") },
		"Access":        func() error { _, _, err := db.Access(ctx, "access"); return err },
		"ReplaceAccess": func() error { return db.ReplaceAccess(ctx, "access", events.AccessDocument{Revision: 1}) },
		"Audit":         func() error { return last(db.Audit(ctx)) },
		"AuditSize":     func() error { _, err := db.AuditSize(ctx); return err },
		"Records":       func() error { return last(db.Records(ctx)) },
		"Record":        func() error { _, err := db.Record(ctx, kit.Key("sub_1")); return err },
		"Rewrite":       func() error { _, err := db.Rewrite(ctx, have, d); return err },
		"Expired":       func() error { return last(db.Expired(ctx, time.Time{}, noon())) },
		"Turn":          func() error { _, err := db.Turn(ctx); return err },
		"SetTurn":       func() error { _, err := db.SetTurn(ctx, store.Turn{}, store.Turn{}); return err },
		"RecordLetter":  func() error { return db.RecordLetter(ctx, store.Letter{ID: "1"}) },
		"RemoveExpired": func() error { return db.RemoveExpired(ctx, []string{"evt_9"}) },
	}
	maps.Copy(calls, canceledCatalog(ctx, db))
	maps.Copy(calls, canceledEntitlements(ctx, db))
	for name, call := range calls {
		if err := call(); err == nil || errors.Is(err, store.ErrExists) || fault.KindOf(err) != fault.Transient {
			t.Errorf("%s: got %v, want a transient error", name, err)
		}
	}
}

// last returns the error that ends a sequence.
func last[T any](seq func(func(T, error) bool)) (err error) {
	seq(func(_ T, e error) bool {
		err = e
		return true
	})
	return err
}

// stopAt returns a clock that calls do once, when it is read for the first time: after a
// committer has read a record and before it replaces it.
func stopAt(do func()) func() time.Time {
	done := false
	return func() time.Time {
		if !done {
			done = true
			do()
		}
		return noon()
	}
}
