package storetest

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/kit"
)

var searchTests = map[string]func(*testing.T, Backend){
	"a search finds what matches the query":        testSearch,
	"a search finds what names an owner otherwise": testSearchNamed,
	"a search follows payments":                    testSearchRelated,
	"a search finds a user by claims":              testSearchUser,
	"records without a user are found":             testAnonymous,
	"a search returns all but the payload":         testFound,
	"events of one moment are in the stream":       testSearchOrder,
	"a payload is what Stripe sent":                testPayload,
}

var verificationTests = map[string]func(*testing.T, Backend){
	"a committed record has the fields of its verdict":  testFields,
	"fields name what differs":                          testDifferingFields,
	"an older rule changes its own fields only":         testRuleFields,
	"a record that differs is rewritten":                testRewrite,
	"a missing record is rewritten":                     testRewriteMissing,
	"a damaged record is rewritten":                     testRewriteDamaged,
	"a rewrite gives way to another writer":             testRewriteRace,
	"one of many concurrent rewrites or commits counts": testConcurrentRewrites,
}

func testSearch(t *testing.T, b Backend) {
	db := b.Connect()
	of := func(e store.Entry, customer, user string) store.Entry {
		e.CustomerID = customer
		if e.Data.Subscription != nil {
			e.Data.Subscription.CustomerID, e.Data.Subscription.UserID = customer, user
		}
		return e
	}
	connected := of(Entry("sub_1", "evt_5", "updated", 5, "active"), "cus_5", "")
	connected.StripeAccount, connected.Source = "acct_1", events.Source(false, "acct_1")
	paid := of(Ignored(invoice("sub_1", "evt_3", 3)), "cus_1", "")
	commit(t, db, of(Entry("sub_1", "evt_1", "created", 1, "active"), "cus_1", "u_1"), of(Entry("sub_2", "evt_2", "created", 2, "active"), "cus_2", "u_2"), paid,
		of(Entry("sub_1", "evt_4", "updated", 4, "unpaid"), "cus_1", "u_1"), connected)
	at := paid.Time
	for name, tt := range map[string]struct {
		query store.Query
		want  []string
	}{
		"everything":                 {store.Query{}, []string{"evt_1", "evt_2", "evt_3", "evt_4", "evt_5"}},
		"the newest":                 {store.Query{Limit: 2}, []string{"evt_4", "evt_5"}},
		"more than there are":        {store.Query{Limit: 9}, []string{"evt_1", "evt_2", "evt_3", "evt_4", "evt_5"}},
		"subscription":               {store.Query{Subscription: "sub_1"}, []string{"evt_1", "evt_3", "evt_4", "evt_5"}},
		"the newest of subscription": {store.Query{Subscription: "sub_1", Limit: 1}, []string{"evt_5"}},
		"subscription by its key":    {store.Query{Subscription: "test:platform:sub_1"}, []string{"evt_1", "evt_3", "evt_4"}},
		"connected by its key":       {store.Query{Subscription: "test:acct_1:sub_1"}, []string{"evt_5"}},
		"the other mode":             {store.Query{Subscription: "live:platform:sub_1"}, nil},
		"customer":                   {store.Query{Customer: "cus_1"}, []string{"evt_1", "evt_3", "evt_4"}},
		"type":                       {store.Query{Type: "customer.subscription.created"}, []string{"evt_1", "evt_2"}},
		"ignored":                    {store.Query{Ignored: true}, []string{"evt_3"}},
		"ignored of a customer":      {store.Query{Ignored: true, Customer: "cus_2"}, nil},
		"customer and type":          {store.Query{Customer: "cus_1", Type: "invoice.paid"}, []string{"evt_3"}},
		"user, including invoices":   {store.Query{User: "u_1"}, []string{"evt_1", "evt_3", "evt_4", "evt_5"}},
		"user and type":              {store.Query{User: "u_1", Type: "invoice.paid"}, []string{"evt_3"}},
		"unknown user":               {store.Query{User: "u_9"}, nil},
		"event":                      {store.Query{Event: "evt_2"}, []string{"evt_2"}},
		"event by its key":           {store.Query{Event: "test:platform:evt_2"}, []string{"evt_2"}},
		"event of an account":        {store.Query{Event: "evt_5"}, []string{"evt_5"}},
		"event of another customer":  {store.Query{Event: "evt_2", Customer: "cus_1"}, nil},
		"unknown event":              {store.Query{Event: "evt_9"}, nil},
		"since":                      {store.Query{Since: at}, []string{"evt_3", "evt_4", "evt_5"}},
		"until":                      {store.Query{Until: at}, []string{"evt_1", "evt_2", "evt_3"}},
		"a second of a subscription": {store.Query{Subscription: "sub_1", Since: at, Until: at}, []string{"evt_3"}},
	} {
		found, err := db.Search(t.Context(), tt.query)
		equal(t, name, tt.want, idsOf(found))
		equal(t, name+": error", nil, err)
	}
	for ignored, err := range db.Ignored(t.Context()) {
		equal(t, "ignored", []any{"evt_3", paid.Data.Event, nil}, []any{ignored.ID, ignored.Data.Event, err})
	}
}

// event returns an entry of an event that shows no subscription.
func event(id string, second int, refs events.References) store.Entry {
	e := invoice("sub_x", id, second)
	e.References = refs
	return e
}

func expectFound(t *testing.T, db store.Search, want map[string]struct {
	query store.Query
	ids   []string
},
) {
	t.Helper()
	for name, tt := range want {
		found, err := db.Search(t.Context(), tt.query)
		equal(t, name, tt.ids, idsOf(found))
		equal(t, name+": error", nil, err)
	}
}

func testSearchNamed(t *testing.T, b Backend) {
	db := b.Connect()
	sub := Entry("sub_1", "evt_1", "created", 1, "active")
	sub.CustomerID, sub.CustomerAccountID = "cus_1", "acct_c1"
	sub.Data.Subscription.CustomerID, sub.Data.Subscription.CustomerAccountID, sub.Data.Subscription.UserID = "cus_1", "acct_c1", "u_1"
	commit(t, db, sub,
		event("evt_2", 2, events.References{NamedIDs: []string{"sub_2", "sub_1"}}),
		event("evt_3", 3, events.References{SubscriptionID: "sub_2", NamedIDs: []string{"cus_1"}}),
		event("evt_4", 4, events.References{CustomerAccountID: "acct_c1"}),
		event("evt_5", 5, events.References{SubscriptionID: "sub_2", CustomerID: "cus_2", CustomerAccountID: "acct_c2"}),
		event("evt_6", 6, events.References{}))
	expectFound(t, db, map[string]struct {
		query store.Query
		ids   []string
	}{
		"subscription":            {store.Query{Subscription: "sub_1"}, []string{"evt_1", "evt_2"}},
		"the other subscription":  {store.Query{Subscription: "test:platform:sub_2"}, []string{"evt_2", "evt_3", "evt_5"}},
		"customer":                {store.Query{Customer: "cus_1"}, []string{"evt_1", "evt_3"}},
		"account":                 {store.Query{Customer: "acct_c1"}, []string{"evt_1", "evt_4"}},
		"user":                    {store.Query{User: "u_1"}, []string{"evt_1", "evt_2", "evt_3", "evt_4"}},
		"subscription of account": {store.Query{Subscription: "sub_1", Customer: "acct_c1"}, []string{"evt_1"}},
	})
}

// The session names the user and the customer, the customer's events and invoices name
// the customer alone. A subscription whose user is another one belongs to both.
func testSearchUser(t *testing.T, b Backend) {
	db := b.Connect()
	sub := ofCustomer("cus_1", "sub_1", "evt_1", "created", 1)
	own := ofCustomer("cus_3", "sub_3", "evt_6", "created", 6)
	own.Data.Subscription.UserID = "u_2"
	commit(t, db, sub, Claim("evt_2", 2, ofSession("u_1", "", "cus_1")), Claim("evt_3", 3, ofMetadata("", "cus_1")),
		event("evt_4", 4, events.References{CustomerID: "cus_1", ObjectID: "in_1"}), Claim("evt_5", 5, ofLink("u_2", "cus_2")),
		own, Claim("evt_7", 7, ofSession("u_1", "sub_3", "")), event("evt_8", 8, events.References{CustomerID: "cus_3"}))
	expectFound(t, db, map[string]struct {
		query store.Query
		ids   []string
	}{
		"of one customer":      {store.Query{User: "u_1"}, []string{"evt_1", "evt_2", "evt_3", "evt_4", "evt_6", "evt_7"}},
		"of a linked customer": {store.Query{User: "u_2"}, []string{"evt_5", "evt_6", "evt_7", "evt_8"}},
		"of nobody":            {store.Query{User: "u_3"}, nil},
	})
}

func testAnonymous(t *testing.T, b Backend) {
	db := b.Connect()
	plain, named := ofCustomer("cus_1", "sub_1", "evt_1", "created", 1), ofCustomer("cus_2", "sub_2", "evt_2", "created", 2)
	plain.Data.Subscription.Metadata, named.Data.Subscription.UserID = map[string]string{"plan": "a", "b.c": ""}, "u_1"
	claim := Claim("evt_3", 3, ofMetadata("", "cus_1"))
	commit(t, db, plain, named, claim, event("evt_4", 4, events.References{CustomerID: "cus_1"}), Claim("evt_5", 5, ofMetadata("", "cus_3")))
	for record, err := range db.Anonymous(t.Context()) {
		equal(t, "record", store.Anonymous{
			Owned: store.Owned{Key: kit.Key("sub_1"), Owner: store.OwnerOf(plain.Data.Subscription)}, Metadata: []string{"b.c", "plan"},
		}, record)
		equal(t, "error", nil, err)
	}
	claims := func(seq func(func(store.Audited, error) bool)) (ids []string) {
		for a, err := range seq {
			equal(t, "error", nil, err)
			ids = append(ids, a.ID)
		}
		slices.Sort(ids)
		return ids
	}
	equal(t, "claims of the customer", []string{"evt_3"}, claims(db.ClaimsOf(t.Context(), store.Owners{Customers: []string{"cus_1", "cus_2"}})))
	equal(t, "all claims", []string{"evt_3", "evt_5"}, claims(db.Claims(t.Context())))
}

// A dispute names a charge, the charge a payment intent, and the payment of the invoice
// both the payment intent and the invoice.
func testSearchRelated(t *testing.T, b Backend) {
	db := b.Connect()
	related := func(ids ...string) events.References { return events.References{RelatedIDs: ids} }
	of := func(subscription, customer string, ids ...string) events.References {
		return events.References{SubscriptionID: subscription, CustomerID: customer, RelatedIDs: ids}
	}
	sub := Entry("sub_1", "evt_01", "created", 1, "active")
	sub.References = of("sub_1", "cus_1", "in_1", "sched_1")
	sub.Data.Subscription.CustomerID, sub.Data.Subscription.UserID = "cus_1", "u_1"
	elsewhere := event("evt_09", 9, related("in_1"))
	elsewhere.StripeAccount, elsewhere.Source = "acct_1", events.Source(false, "acct_1")
	commit(t, db, sub,
		event("evt_02", 2, related("ch_1", "dispute")), event("evt_03", 3, of("", "cus_1", "pi_1", "ch_1")), event("evt_04", 4, related("in_1", "pi_1")),
		event("evt_05", 5, of("sub_1", "cus_1", "in_1")), event("evt_06", 6, of("", "cus_1", "sched_1")),
		event("evt_07", 7, of("sub_2", "cus_1", "in_1", "in_2")), event("evt_08", 8, related("in_2")), elsewhere,
		event("evt_10", 10, of("", "cus_2", "ch_1")), event("evt_11", 11, related("in_9")))
	whole := []string{"evt_01", "evt_02", "evt_03", "evt_04", "evt_05", "evt_06", "evt_09", "evt_10"}
	expectFound(t, db, map[string]struct {
		query store.Query
		ids   []string
	}{
		"subscription":           {store.Query{Subscription: "sub_1"}, whole},
		"subscription by key":    {store.Query{Subscription: "test:platform:sub_1"}, slices.DeleteFunc(slices.Clone(whole), func(id string) bool { return id == "evt_09" })},
		"subscription, in time":  {store.Query{Subscription: "sub_1", Since: event("", 2, related()).Time, Until: event("", 3, related()).Time}, []string{"evt_02", "evt_03"}},
		"subscription, limited":  {store.Query{Subscription: "sub_1", Limit: 2}, []string{"evt_09", "evt_10"}},
		"the other subscription": {store.Query{Subscription: "sub_2"}, append([]string{"evt_02", "evt_03", "evt_04", "evt_07", "evt_08", "evt_09"}, "evt_10")},
		"customer":               {store.Query{Customer: "cus_1"}, []string{"evt_01", "evt_02", "evt_03", "evt_04", "evt_05", "evt_06", "evt_07", "evt_08", "evt_09"}},
		"another customer":       {store.Query{Customer: "cus_2"}, []string{"evt_02", "evt_10"}},
		"user":                   {store.Query{User: "u_1"}, []string{"evt_01", "evt_02", "evt_03", "evt_04", "evt_05", "evt_06", "evt_07", "evt_08", "evt_09"}},
		"both":                   {store.Query{Subscription: "sub_1", Customer: "cus_2"}, []string{"evt_02", "evt_10"}},
		"unknown":                {store.Query{Subscription: "sub_9"}, nil},
	})
}

func testFound(t *testing.T, b Backend) {
	db := b.Connect()
	entry := Entry("sub_1", "evt_1", "updated", 1, "active")
	entry.References = events.References{ObjectID: "sub_1", SubscriptionID: "sub_1", CustomerID: "cus_1", CustomerAccountID: "acct_c", NamedIDs: []string{"sub_2"}, RelatedIDs: []string{"in_1", "ch_1"}, RequestID: "req_1", IdempotencyKey: "key_1"}
	entry.Position = store.Position{StreamSequence: 1 << 40, StoredAt: kit.At(3)}
	db.Insert(t.Context(), []store.Entry{entry, invoice("sub_1", "evt_2", 2)})
	found, err := db.Search(t.Context(), store.Query{})
	if err != nil || len(found) != 2 {
		t.Fatalf("got %v, %v, want two events", found, err)
	}
	got := found[0]
	equal(t, "subscriptions", []string{kit.Key("sub_1"), ""}, []string{got.Subscription, found[1].Subscription})
	equal(t, "references", entry.References, got.References)
	equal(t, "position", entry.Position, got.Position)
	equal(t, "message", []any{entry.ID, entry.StripeType, entry.Time, entry.Livemode, entry.Source}, []any{got.ID, got.StripeType, got.Time, got.Livemode, got.Source})
	entry.Data.Event = nil
	equal(t, "data", entry.Data, got.Data)
	equal(t, "unreadable", false, got.Unreadable)
}

func testSearchOrder(t *testing.T, b Backend) {
	db := b.Connect()
	var entries []store.Entry
	for i, id := range []string{"evt_3", "evt_1", "evt_2"} {
		e := Entry("sub_1", id, "updated", 1, "active")
		e.StreamSequence = uint64(10 - i)
		entries = append(entries, e)
	}
	db.Insert(t.Context(), entries)
	equal(t, "order", []string{"evt_2", "evt_1", "evt_3"}, auditedIDs(t, db))
}

func testPayload(t *testing.T, b Backend) {
	db := b.Connect()
	omitted := Entry("sub_1", "evt_2", "updated", 2, "active")
	omitted.Data.Event, omitted.Data.EventOmitted = nil, events.OmittedSize
	connected := Entry("sub_1", "evt_5", "updated", 5, "active")
	connected.StripeAccount, connected.Source = "acct_1", events.Source(false, "acct_1")
	db.Insert(t.Context(), []store.Entry{Entry("sub_1", "evt_1", "updated", 1, "active"), omitted, snapshot("sub_1", "snap_1", 3, "active"), connected})
	for event, want := range map[string]struct {
		payload string
		found   bool
	}{
		"evt_1":               {`{"id":"evt_1"}`, true},
		"test:platform:evt_1": {`{"id":"evt_1"}`, true},
		"live:platform:evt_1": {"", false},
		"evt_2":               {"", true},
		"snap_1":              {`{"id":"sub_1"}`, true},
		"evt_5":               {`{"id":"evt_5"}`, true},
		"test:acct_1:evt_5":   {`{"id":"evt_5"}`, true},
		"evt_9":               {"", false},
	} {
		payload, found, err := db.Payload(t.Context(), event)
		equal(t, event, want.payload, payload)
		equal(t, event, want.found, found)
		equal(t, event, nil, err)
	}
}

// committed commits two events and returns the verdict on them, with its winner.
func committed(t *testing.T, db store.Database) (events.Message, ordering.Verdict) {
	t.Helper()
	first, second := Entry("sub_1", "evt_1", "created", 1, "incomplete"), Entry("sub_1", "evt_2", "updated", 2, "active")
	second.Data.Subscription.CurrentPeriodEnd = time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	second.Data.Subscription.UserID = "u_1"
	commit(t, db, first, second)
	return second.Message, ordering.Fold([]ordering.Fact{factOf(t, first.Message), factOf(t, second.Message)})
}

func storedRecord(t *testing.T, db store.Verification) store.StoredRecord {
	t.Helper()
	record, err := db.Record(t.Context(), kit.Key("sub_1"))
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// decision is about a subscription whose user is named by its own metadata alone.
func decision(winner events.Message, verdict ordering.Verdict) store.Decision {
	return store.Decision{Winner: winner, Verdict: verdict, User: store.OwnerOf(winner.Data.Subscription).User(nil)}
}

func fields(t *testing.T, db store.Verification, winner events.Message, verdict ordering.Verdict) map[string]string {
	t.Helper()
	fields, err := db.Fields(kit.Key("sub_1"), decision(winner, verdict))
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

func testFields(t *testing.T, b Backend) {
	db := b.Connect()
	winner, verdict := committed(t, db)
	record := storedRecord(t, db)
	equal(t, "fields", fields(t, db, winner, verdict), record.Fields)
	equal(t, "record", store.StoredRecord{
		Key: kit.Key("sub_1"), Exists: true, Revision: record.Revision, Rule: ordering.Rule, EventID: "evt_2", Fields: record.Fields,
	}, record)
	// The fields do not say when, and how often, the record was written.
	older(t, db, "sub_1", "active")
	later := func() time.Time { return noon().Add(time.Hour) }
	store.NewCommitter(db, later).Commit(t.Context(), []store.Entry{Entry("sub_1", "evt_1", "created", 1, "incomplete")})
	again := storedRecord(t, db)
	equal(t, "fields of a later revision", record.Fields, again.Fields)
	if again.Revision == record.Revision {
		t.Errorf("both revisions are %s", again.Revision)
	}
}

// differing returns the names of the fields that differ.
func differing(a, b map[string]string) []string {
	names := maps.Clone(a)
	maps.Copy(names, b)
	return slices.DeleteFunc(slices.Sorted(maps.Keys(names)), func(name string) bool {
		x, inA := a[name]
		y, inB := b[name]
		return inA == inB && x == y
	})
}

func testDifferingFields(t *testing.T, b Backend) {
	db := b.Connect()
	winner, verdict := committed(t, db)
	before := fields(t, db, winner, verdict)
	sub := *winner.Data.Subscription
	sub.Status, sub.CustomerID, sub.Metadata, sub.CurrentPeriodEnd = "paused", "cus_9", map[string]string{"a": "b"}, time.Time{}
	winner.Data.Subscription = &sub
	equal(t, "differing", []string{"current_period_end", "customer_id", "metadata", "status"}, differing(before, fields(t, db, winner, verdict)))
}

func testRuleFields(t *testing.T, b Backend) {
	db := b.Connect()
	record := recordAt(t, "sub_1", 1, "active")
	db.Replace(t.Context(), []store.Record{record})
	before := storedRecord(t, db)
	record.Revision, record.Rule, record.Known, record.Ordering, record.Explanation = 2, ordering.Rule-1, nil, ordering.Ambiguous, "another"
	db.Replace(t.Context(), []store.Record{record})
	after := storedRecord(t, db)
	equal(t, "differing", []string{"explanation", "ordering", "version.known", "version.rule"}, differing(before.Fields, after.Fields))
	equal(t, "rule", ordering.Rule-1, after.Rule)
}

func rewrite(t *testing.T, db store.Verification, have store.StoredRecord, winner events.Message, verdict ordering.Verdict, want bool) {
	t.Helper()
	written, err := db.Rewrite(t.Context(), have, decision(winner, verdict))
	if written != want || err != nil {
		t.Errorf("Rewrite: got %v, %v, want %v", written, err, want)
	}
	got := storedRecord(t, db)
	if differs := differing(fields(t, db, winner, verdict), got.Fields); want && len(differs) > 0 {
		t.Errorf("after the rewrite, the record differs in %v", differs)
	}
}

func testRewrite(t *testing.T, b Backend) {
	db := b.Connect()
	winner, verdict := committed(t, db)
	head := headOf(t, db, "sub_1")
	wrong := recordAt(t, "sub_1", 2+1, "unpaid")
	wrong.FirstSeenAt = noon().Add(-time.Hour)
	equal(t, "a wrong record", "written", outcomes(db.Replace(t.Context(), []store.Record{wrong})))
	rewrite(t, db, storedRecord(t, db), winner, verdict, true)
	head.FirstSeenAt, head.Revision, head.Reread, head.Listings = wrong.FirstSeenAt, 4, true, nil
	equal(t, "head", head, headOf(t, db, "sub_1"))
	expect(t, db, "sub_1", "evt_2", "active", ordering.Determined)
}

func testRewriteMissing(t *testing.T, b Backend) {
	db := b.Connect()
	winner, verdict := committed(t, db)
	b.RemoveRecord(kit.Key("sub_1"))
	rewrite(t, db, storedRecord(t, db), winner, verdict, true)
	equal(t, "revision", int64(1), headOf(t, db, "sub_1").Revision)
}

func testRewriteDamaged(t *testing.T, b Backend) {
	db := b.Connect()
	winner, verdict := committed(t, db)
	b.DamageRecord(kit.Key("sub_1"))
	have := storedRecord(t, db)
	equal(t, "exists", true, have.Exists)
	if differs := differing(fields(t, db, winner, verdict), have.Fields); len(differs) == 0 {
		t.Error("the damaged record does not differ")
	}
	rewrite(t, db, have, winner, verdict, true)
	commit(t, db, Entry("sub_1", "evt_3", "updated", 3, "unpaid"))
	expect(t, db, "sub_1", "evt_3", "unpaid", ordering.Determined)
}

func testRewriteRace(t *testing.T, b Backend) {
	db := b.Connect()
	winner, verdict := committed(t, db)
	have := storedRecord(t, db)
	commit(t, db, Entry("sub_1", "evt_3", "updated", 3, "unpaid"))
	rewrite(t, db, have, winner, verdict, false)
	expect(t, db, "sub_1", "evt_3", "unpaid", ordering.Determined)
	have = storedRecord(t, db)
	b.RemoveRecord(kit.Key("sub_1"))
	rewrite(t, db, have, winner, verdict, false)
	missing := storedRecord(t, db)
	equal(t, "removed meanwhile", store.StoredRecord{Key: kit.Key("sub_1")}, missing)
	db.Replace(t.Context(), []store.Record{recordAt(t, "sub_1", 1, "paused")})
	rewrite(t, db, missing, winner, verdict, false)
	equal(t, "created meanwhile", "paused", content(t, db, kit.Key("sub_1")).Status)
}

func testConcurrentRewrites(t *testing.T, b Backend) {
	if b.OneProcess {
		t.Skip("this database's replacements are not atomic across connections")
	}
	db := b.Connect()
	winner, verdict := committed(t, db)
	for range 20 {
		have, revision := storedRecord(t, db), headOf(t, db, "sub_1").Revision
		got := race(b, 4, func(db Store, client int) error {
			if client == 0 {
				return db.Replace(t.Context(), []store.Record{recordAt(t, "sub_1", revision+1, "paused")})[0]
			}
			written, err := db.Rewrite(t.Context(), have, decision(winner, verdict))
			if err == nil && !written {
				return store.ErrExists
			}
			return err
		})
		equal(t, "outcomes", map[string]int{"written": 1, "exists": 3}, got)
	}
}
