package verdict

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/access"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/stripesim"
)

var began = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// scene is a run in which everything went well, until a test alters it.
type scene struct {
	run Run
	evidence
}

func (s scene) judge() Result { return judge(s.run, s.evidence) }

// history has customers with several subscriptions, and users.
func history(seed uint64) stripesim.History {
	return stripesim.Generate(stripesim.Config{
		Seed: seed, Subscriptions: 40, PerCustomer: 3, UserIDs: true, Ties: 0.5, Kinds: stripesim.SentKinds(),
	})
}

func goodRun(t *testing.T, h stripesim.History) *scene {
	t.Helper()
	s := &scene{run: Run{Accepted: map[string]time.Time{}, History: h, CleanStops: []CleanStop{{Process: "bridge1", At: began}}}}
	s.begins = began.Add(-time.Hour)
	s.records, s.access, s.entries = map[string]events.Record{}, map[string]events.AccessDocument{}, map[string]accessEntry{}
	known := map[string][]ordering.Fact{}
	states := map[string]events.Subscription{}
	n := normalizer(t)
	for _, d := range h.Deliveries {
		if s.run.Accepted[d.ID].IsZero() {
			s.audit = append(s.audit, audited{d.ID, d.Type})
		}
		s.run.Accepted[d.ID] = began
		m, err := n.Event(d.Body, normalize.Receipt{Origin: events.OriginWebhook})
		if err != nil {
			t.Fatal(err)
		}
		if fact, ok := ordering.FactOf(m); ok {
			known[m.SubscriptionKey()] = append(known[m.SubscriptionKey()], fact)
			states[m.ID+m.StripeAPIVersion] = *m.Data.Subscription
		}
	}
	owned := map[string][]access.Record{}
	for key, facts := range known {
		verdict := store.Decide(facts)
		sub := states[verdict.Winner.EventID+verdict.Winner.APIVersion]
		sub.UserID = h.Truth[key].UserID
		s.records[key] = recordOf(sub, verdict)
		for _, owner := range ownersOf(sub) {
			owned[owner] = append(owned[owner], access.Record{Subscription: sub, Alternatives: alternatives(verdict)})
		}
	}
	s.states = maps.Clone(s.records)
	for _, key := range sortedKeys(owned) {
		s.grant(key, access.Of(owned[key], nil))
	}
	for second := range 60 {
		for _, process := range []string{"bridge1", "subscriber1", "subscriber2"} {
			s.run.Samples = append(s.run.Samples, Sample{At: began.Add(time.Duration(second) * time.Second), Process: process, RSS: 50 << 20, Goroutines: 40})
		}
	}
	return s
}

// clone makes a run that can be altered.
func (s scene) clone() *scene {
	s.audit, s.messages, s.run.Samples = slices.Clone(s.audit), slices.Clone(s.messages), slices.Clone(s.run.Samples)
	s.records, s.states = maps.Clone(s.records), maps.Clone(s.states)
	s.access, s.entries = maps.Clone(s.access), maps.Clone(s.entries)
	return &s
}

func normalizer(t *testing.T) *normalize.Normalizer {
	t.Helper()
	n, err := normalize.New(normalize.Options{Livemode: "any", Accounts: []string{"platform"}, UserIDKeys: []string{"user_id"}, ClientReference: "api"})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func recordOf(sub events.Subscription, v store.Verdict) events.Record {
	r := events.Record{Subscription: sub, Ordering: string(v.Ordering), Explanation: v.Explanation}
	r.Version = events.RecordVersion{EventID: v.Winner.EventID, N: 3}
	for _, f := range v.Relevant {
		r.Version.Known = append(r.Version.Known, events.KnownEvent{
			EventID: f.EventID, Type: f.Type, APIVersion: f.APIVersion, Moment: f.Moment, Terminal: f.Terminal, Request: f.Request,
			First: f.First, Before: events.StateDigest(f.Before), After: events.StateDigest(f.After), Access: f.Access, Products: f.Products,
		})
	}
	return r
}

func alternatives(v store.Verdict) (list []access.Alternative) {
	for _, f := range v.Candidates {
		list = append(list, access.Alternative{Access: f.Access, SameItems: f.Products == v.Winner.Products})
	}
	return list
}

// grant stores an access document. Its first message said that access is granted for a month,
// and the second what it is now.
func (s *scene) grant(key string, now events.AccessDocument) {
	first := now
	first.Access, first.Revision, first.Until = events.AccessGranted, 1, began.AddDate(0, 1, 0)
	now.Revision, now.UpdatedAt = 2, began
	s.access[key], s.entries[key] = now, accessEntry{now, first}
	s.say(key, events.AccessDocument{}, first)
	s.say(key, first, now)
}

func (s *scene) say(key string, before, after events.AccessDocument) {
	m := events.Message{ID: "access_" + key, Type: events.AccessSubject(before, after), Subject: strings.ReplaceAll(key, ":", ".")}
	m.Data.Access = &after
	if before.Access != "" {
		m.Data.PreviousAccess = &before
	}
	s.messages = append(s.messages, m)
}

func TestAGoodRunHasNoFinding(t *testing.T) {
	t.Parallel()
	open, ambiguous := 0, 0.0
	for seed := range uint64(8) {
		s := goodRun(t, history(seed))
		got := s.judge()
		for _, f := range got.Findings {
			t.Errorf("seed %d: %s", seed, f)
		}
		if got.Figures["events audited"] == 0 || got.Figures["records"] != 40 || got.Figures["access messages"] == 0 {
			t.Errorf("seed %d: got the figures %v", seed, got.Figures)
		}
		open += s.run.History.Open()
		ambiguous += got.Figures["records that are ambiguous"]
	}
	if ambiguous < float64(open) || open == 0 {
		t.Errorf("got %v records that are ambiguous, want at least the %d that are open, and some", ambiguous, open)
	}
}

// place is where an alteration is made: a subscription with a user, whose record is not
// ambiguous, and the access document of the user.
type place struct {
	key, user, event string
}

func (s *scene) place(t *testing.T) place {
	t.Helper()
	for _, key := range sortedKeys(s.run.History.Truth) {
		truth := s.run.History.Truth[key]
		ambiguous := func(key string) bool { return s.records[key].Ordering == string(ordering.Ambiguous) }
		if truth.UserID != "" && truth.Subscription.Access == events.AccessGranted && !slices.ContainsFunc(sortedKeys(s.records), func(other string) bool {
			return s.records[other].CustomerID == truth.Subscription.CustomerID && ambiguous(other)
		}) {
			owners := ownersOf(truth.Recorded()[0])
			return place{key, owners[1], truth.Events[0].ID}
		}
	}
	t.Fatal("no subscription is suitable")
	return place{}
}

func alter[T any](m map[string]T, key string, change func(*T)) {
	value := m[key]
	change(&value)
	m[key] = value
}

// without removes the first message about a document.
func (s *scene) without(key string, revision int64) events.Message {
	i := slices.IndexFunc(s.messages, func(m events.Message) bool {
		return databaseKey(m.Subject) == key && m.Data.Access.Revision == revision
	})
	m := s.messages[i]
	s.messages = slices.Delete(slices.Clone(s.messages), i, i+1)
	return m
}

// alteration is what goes wrong in a run, and the finding that it should have.
type alteration struct {
	rule    string
	subject func(place) string
	make    func(*scene, place)
}

func theRecord(p place) string { return p.key }
func theUser(p place) string   { return p.user }
func theEvent(p place) string  { return p.event }
func process(name string) func(place) string {
	return func(place) string { return name }
}

func alterations() map[string]alteration {
	return map[string]alteration{
		"an event is lost": {Lost, theEvent, func(s *scene, p place) {
			s.audit = slices.DeleteFunc(s.audit, func(a audited) bool { return a.EventID == p.event })
			delete(s.records, p.key) // cannot be the last state, and is not judged
			delete(s.states, p.key)
		}},
		"an event is there twice": {Twice, theEvent, func(s *scene, p place) {
			s.audit = append(s.audit, audited{p.event, "customer.created"})
		}},
		"an event was never sent": {Unsent, process("evt_other"), func(s *scene, _ place) {
			s.audit = append(s.audit, audited{"evt_other", "customer.created"}, audited{"snap_1", "stripe.product.snapshot"})
		}},
		"a record is missing":  {State, theRecord, func(s *scene, p place) { delete(s.records, p.key) }},
		"a record is too many": {State, process("test:platform:sub_x"), func(s *scene, p place) { s.records["test:platform:sub_x"] = s.records[p.key] }},
		"a record has another state": {State, theRecord, func(s *scene, p place) {
			alter(s.records, p.key, func(r *events.Record) { r.CurrentPeriodEnd = began })
		}},
		"a record is ambiguous, and the events are not": {State, theRecord, func(s *scene, p place) {
			alter(s.records, p.key, func(r *events.Record) { r.Ordering = string(ordering.Ambiguous) })
		}},
		"a record has another user": {User, theRecord, func(s *scene, p place) {
			alter(s.records, p.key, func(r *events.Record) { r.UserID = "user_other" })
		}},
		"a record has the wrong name of a product": {State, theRecord, func(s *scene, p place) {
			alter(s.records, p.key, func(r *events.Record) {
				r.Items = slices.Clone(r.Items)
				r.Items[0].ProductName = "Other"
			})
		}},
		"an access document is missing": {Access, theUser, func(s *scene, p place) { delete(s.access, p.user) }},
		"an access document is wrong": {Access, theUser, func(s *scene, p place) {
			alter(s.access, p.user, func(d *events.AccessDocument) { d.Access = events.AccessGrace })
		}},
		"an access document is ambiguous, and no record is": {Access, theUser, func(s *scene, p place) {
			alter(s.access, p.user, func(d *events.AccessDocument) { d.Ambiguous = true })
		}},
		"an access document belongs to nobody": {Access, process("access:test:platform:user:x"), func(s *scene, p place) {
			s.entries["access:test:platform:user:x"] = accessEntry{AccessDocument: access.Of(nil, nil)}
			s.access["access:test:platform:user:x"] = events.AccessDocument{Access: events.AccessGranted, Explanation: "Because."}
		}},
		"an entry of the bucket is missing": {Bucket, theRecord, func(s *scene, p place) { delete(s.states, p.key) }},
		"an entry of the bucket has another user": {Bucket, theRecord, func(s *scene, p place) {
			alter(s.states, p.key, func(r *events.Record) { r.UserID = "" })
		}},
		"an entry of the bucket is of an earlier revision": {Bucket, theRecord, func(s *scene, p place) {
			alter(s.states, p.key, func(r *events.Record) { r.Version.N-- })
		}},
		"an entry of the bucket is too many": {Bucket, process("test:platform:sub_x"), func(s *scene, p place) { s.states["test:platform:sub_x"] = s.states[p.key] }},
		"an access entry is missing":         {Bucket, theUser, func(s *scene, p place) { delete(s.entries, p.user) }},
		"an access entry is of an earlier revision": {Bucket, theUser, func(s *scene, p place) {
			alter(s.entries, p.user, func(e *accessEntry) { e.Revision-- })
		}},
		"an access message is repeated with another id": {AccessMessage, theUser, func(s *scene, p place) {
			m := s.messages[slices.IndexFunc(s.messages, func(m events.Message) bool { return databaseKey(m.Subject) == p.user })]
			m.ID = "access_again"
			s.messages = append(s.messages, m)
		}},
		"the first access message is lost": {AccessMessage, theUser, func(s *scene, p place) { s.without(p.user, 1) }},
		"the last access message is lost":  {AccessMessage, theUser, func(s *scene, p place) { s.without(p.user, 2) }},
		"access messages have changed places": {AccessMessage, theUser, func(s *scene, p place) {
			s.messages = append(s.messages, s.without(p.user, 1))
			s.run.Renewed = []time.Time{began.Add(-time.Hour)} // or else the last one would have no beginning, too
		}},
		"an access message is on another subject": {AccessMessage, theUser, func(s *scene, p place) {
			m := s.without(p.user, 2)
			m.Type = events.SubjectAccessGranted
			s.messages = append(s.messages, m)
		}},
		"an access message says nothing": {AccessMessage, theUser, func(s *scene, p place) {
			s.messages = append(s.messages, events.Message{Subject: strings.ReplaceAll(p.user, ":", ".")})
		}},
		"the message of a renewed stream is lost": {AccessMessage, theUser, func(s *scene, p place) {
			s.run.Renewed = []time.Time{began.Add(-time.Hour)}
			s.without(p.user, 1)
			s.without(p.user, 2)
		}},
		"a dead letter": {DeadLetter, process("billbus.dlq.subscription.updated"), func(s *scene, _ place) {
			s.letters = []letter{{"billbus.dlq.subscription.updated", "too large", 1}}
		}},
		"work is done again": {Redelivered, process("subscriber1"), func(s *scene, _ place) {
			s.run.CleanStops = append(s.run.CleanStops, CleanStop{"subscriber1", began, 2})
		}},
		"memory leaks":      {Memory, process("subscriber2"), func(s *scene, _ place) { s.atTheEnd("subscriber2", 200<<20, 40) }},
		"goroutines leak":   {Goroutines, process("bridge1"), func(s *scene, _ place) { s.atTheEnd("bridge1", 50<<20, 90) }},
		"nothing is normal": {Memory, process("other"), func(s *scene, _ place) { s.atTheEnd("other", 1, 1) }},
		"nothing is known of the end": {Memory, process("bridge2"), func(s *scene, _ place) {
			s.run.Samples = append(s.run.Samples, Sample{At: began, Process: "bridge2", RSS: 50 << 20, Goroutines: 40})
		}},
		"faults began early": {Memory, process("bridge1"), func(s *scene, _ place) { s.highFirst("bridge1", 200<<20); s.atTheEnd("bridge1", 190<<20, 1) }},
	}
}

// highFirst makes a process need more memory than usual at second 2, after the first fault.
func (s *scene) highFirst(process string, rss int64) {
	s.run.Disturbed = began.Add(time.Second)
	for i := range s.run.Samples {
		if r := &s.run.Samples[i]; r.Process == process && r.At.Equal(began.Add(2*time.Second)) {
			r.RSS = rss
		}
	}
}

func (s *scene) atTheEnd(process string, rss int64, goroutines int) {
	for second := 55; second < 60; second++ {
		at := began.Add(time.Duration(second) * time.Second)
		s.run.Samples = slices.DeleteFunc(s.run.Samples, func(r Sample) bool { return r.Process == process && r.At.Equal(at) })
		s.run.Samples = append(s.run.Samples, Sample{At: at, Process: process, RSS: rss, Goroutines: goroutines})
	}
}

func TestEachAlterationHasItsFinding(t *testing.T) {
	t.Parallel()
	good := goodRun(t, history(1))
	for name, a := range alterations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := good.clone()
			p := s.place(t)
			a.make(s, p)
			var got [][2]string
			for _, f := range s.judge().Findings {
				got = append(got, [2]string{f.Rule, f.Subject})
				t.Log(f)
			}
			if diff := cmp.Diff([][2]string{{a.rule, a.subject(p)}}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A record that is rightly ambiguous must not rule out the truth, and neither must access.
func TestAmbiguityIsNoExcuse(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 1, Subscriptions: 12, UserIDs: true, Ties: 1, Kinds: []stripesim.Kind{stripesim.OpenCircle}})
	for name, tt := range map[string]struct {
		rule, what string
		alter      func(s *scene, key string)
	}{
		"the truth is ruled out": {State, "it is ambiguous, and rules out", func(s *scene, key string) {
			alter(s.records, key, func(r *events.Record) {
				last := h.Truth[key].LastEventID
				r.Version.Known = slices.DeleteFunc(slices.Clone(r.Version.Known), func(e events.KnownEvent) bool { return e.EventID == last })
			})
		}},
		"the user is another": {User, "its user is user_other", func(s *scene, key string) {
			alter(s.records, key, func(r *events.Record) { r.UserID = "user_other" })
		}},
		"access is wrong, and not ambiguous": {Access, "it is not ambiguous", func(s *scene, key string) {
			alter(s.records, key, func(r *events.Record) { r.Access = events.AccessNone })
			for _, owner := range ownersOf(s.records[key].Subscription) {
				s.access[owner] = access.Of([]access.Record{{Subscription: s.records[key].Subscription}}, nil)
			}
		}},
	} {
		s := goodRun(t, h)
		key := sortedKeys(h.Truth)[0]
		if s.records[key].Ordering != string(ordering.Ambiguous) || h.Truth[key].Subscription.Access == events.AccessNone {
			t.Fatalf("%s is not suitable", key)
		}
		tt.alter(s, key)
		got := s.judge().Findings
		if !slices.ContainsFunc(got, func(f Finding) bool { return f.Rule == tt.rule && strings.HasPrefix(f.What, tt.what) }) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// A stream that was created again has only the messages since then.
func TestARenewedStreamHasTheLastMessages(t *testing.T) {
	t.Parallel()
	s := goodRun(t, history(1))
	p := s.place(t)
	s.run.Renewed = []time.Time{began.Add(-time.Hour)}
	s.without(p.user, 1)
	if got := s.judge().Findings; len(got) > 0 {
		t.Errorf("without the first message: got %v", got)
	}
	s.begins = began.Add(time.Minute)
	s.without(p.user, 2)
	if got := s.judge().Findings; len(got) > 0 {
		t.Errorf("without messages since the document was changed: got %v", got)
	}
	s.begins = began.Add(-time.Hour)
	alter(s.entries, p.user, func(e *accessEntry) { e.Previous = e.AccessDocument })
	if got := s.judge().Findings; len(got) > 0 {
		t.Errorf("after a change that has no message: got %v", got)
	}
}
