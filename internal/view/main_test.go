package view_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/access"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/view"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
	"github.com/billbus/billbus/test/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const stream = "BILLBUS"

// rig is a NATS server with the streams and the bucket, and a database.
type rig struct {
	bus *natsbus.Bus
	js  jetstream.JetStream
	db  *storetest.Memory

	mu      sync.Mutex
	written map[string]map[uint64]time.Time // when the event of each state entry was created, by revision
}

func newRig(t *testing.T) *rig {
	t.Helper()
	return newRigWith(t, 72*time.Hour)
}

func newRigWith(t *testing.T, window time.Duration) *rig {
	t.Helper()
	url := natstest.Start(t).URL()
	bus, err := natsbus.Open(natsbus.Auth{URL: url}, t.Name(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	if err := bus.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := bus.Alter(t.Context(), settings(window)); err != nil {
		t.Fatal(err)
	}
	return &rig{bus: bus, js: natstest.JetStream(t, url), db: storetest.NewMemory(), written: map[string]map[uint64]time.Time{}}
}

func settings(window time.Duration) natsbus.StreamSettings {
	return natsbus.StreamSettings{Name: stream, Replicas: 1, MaxBytes: -1, DuplicateWindow: window, StateView: true}
}

var errDead = errors.New("the process is dead")

// process is a subscriber that can die between any two steps.
type process struct {
	*rig
	*storetest.Client
	committer *store.Committer
	view      *view.View
	publisher *natsbus.Publisher
	bucket    *natsbus.Bucket

	mu   sync.Mutex
	dead bool
	// step is called before and after each write, and before each read, unless it is nil. An
	// error kills the process.
	step   func(op string) error
	counts counts
	// users are the users of subscriptions, by their ids, if others than in the events.
	users map[string]string
	// listed counts how often the records of an owner are listed.
	listed int
}

func (p *process) RecordsOf(ctx context.Context, of []store.AccessOwner) (map[store.AccessOwner][]string, error) {
	p.count(&p.listed)
	return p.Client.RecordsOf(ctx, of)
}

// State says what the record says, with the user that other events name.
func (p *process) State(ctx context.Context, key string) (store.State, bool, error) {
	state, found, err := p.Client.State(ctx, key)
	p.setUser(&state)
	return state, found, err
}

func (p *process) setUser(state *store.State) {
	if user, ok := p.users[state.Subscription.ID]; ok {
		state.Subscription.UserID = user
	}
}

type counts struct{ gets, puts, published int }

func (r *rig) process(t *testing.T) *process {
	t.Helper()
	publisher, err := r.bus.NewPublisher(stream, 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{rig: r, publisher: publisher, bucket: r.bus.NewBucket(events.StateBucket)}
	hook := func(_ context.Context, op storetest.Operation) error {
		if op == storetest.Access || op == storetest.ReplaceAccess {
			return p.at(string(op))
		}
		return nil
	}
	p.Client = r.db.Connect(storetest.Hooks{Before: hook, Written: hook})
	p.committer = store.NewCommitter(p.Client, time.Now)
	p.view = view.New(view.Config{
		Store: p, Bucket: p, Publisher: p, Sent: r.bus.NewJournal(stream, events.SubjectAccess).Sent,
		MaxValue: r.bus.MaxMessage, Now: time.Now, Metrics: p,
	})
	return p
}

func (p *process) AccessChanged(string)       {}
func (p *process) StateViewLag(time.Duration) {}

func (p *process) died() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// at is a step.
func (p *process) at(op string) error {
	p.mu.Lock()
	step := p.step
	dead := p.dead
	p.mu.Unlock()
	if !dead && step != nil {
		dead = step(op) != nil
	}
	if !dead {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
	return fault.New(fault.Transient, fault.Other, errDead)
}

func (p *process) count(n *int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*n++
}

func (p *process) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if err := p.at("get"); err != nil {
		return nil, 0, err
	}
	p.count(&p.counts.gets)
	return p.bucket.Get(ctx, key)
}

func (p *process) Put(ctx context.Context, key string, value []byte, revision uint64) (uint64, bool, error) {
	if err := p.at("put"); err != nil {
		return 0, false, err
	}
	p.count(&p.counts.puts)
	next, ok, err := p.bucket.Put(ctx, key, value, revision)
	if ok && !strings.HasPrefix(key, "access.") {
		p.write(key, value, next)
	}
	if dead := p.at("put"); dead != nil {
		return 0, false, dead
	}
	return next, ok, err
}

func (r *rig) write(key string, value []byte, revision uint64) {
	var record events.Record
	if err := json.Unmarshal(value, &record); err != nil {
		panic(fmt.Sprint("a state entry that is not a record: ", err))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.written[key] == nil {
		r.written[key] = map[uint64]time.Time{}
	}
	r.written[key][revision] = record.Version.EventCreated
}

// checkWritten checks that no state went back.
func (r *rig) checkWritten(t *testing.T) {
	t.Helper()
	for key, states := range r.written {
		var before time.Time
		for _, revision := range slices.Sorted(maps.Keys(states)) {
			if states[revision].Before(before) {
				t.Errorf("%s went back in revision %d", key, revision)
			}
			before = states[revision]
		}
	}
}

func (p *process) Publish(subject string, messages ...*message.Message) error {
	if err := p.at("publish"); err != nil {
		return err
	}
	p.count(&p.counts.published)
	err := p.publisher.Publish(subject, messages...)
	return cmp.Or(p.at("publish"), err)
}

func (p *process) ID(ctx context.Context) (string, error) { return p.bucket.ID(ctx) }

// handle does what the subscriber does with a message.
func (p *process) handle(ctx context.Context, e store.Entry) error {
	var changed []store.Changed
	e.Committed = func(c []store.Changed) { changed = c }
	if res := p.committer.Commit(ctx, []store.Entry{e})[0]; res.Err != nil {
		return res.Err
	}
	for _, c := range changed {
		if c.State != nil {
			p.setUser(c.State)
		}
	}
	return p.view.Follow(ctx, e.Message, changed)
}

func (p *process) mustHandle(t *testing.T, entries ...store.Entry) {
	t.Helper()
	for _, e := range entries {
		if err := p.handle(t.Context(), e); err != nil {
			t.Fatalf("%s: %v", e.ID, err)
		}
	}
}

// entry is an event of a subscription of a customer and a user.
func entry(sub, id string, second int, status, customer, user string) store.Entry {
	e := storetest.Entry(sub, id, "updated", second, status)
	s := e.Data.Subscription
	s.CustomerID, s.UserID, s.StartDate = customer, user, kit.At(0)
	s.Items = []events.Item{{ID: "si_" + sub, ProductID: "prod_" + sub, PriceID: "price_" + sub}}
	if s.Terminal() {
		s.EndsAt = e.Time
	}
	return e
}

// messages returns the messages about changes of access by their keys.
func (r *rig) messages(t *testing.T) map[string][]events.Message {
	t.Helper()
	found := map[string][]events.Message{}
	s := natstest.Stream(t, r.js, stream)
	for seq := uint64(1); ; seq++ {
		raw, err := s.GetMsg(t.Context(), seq, jetstream.WithGetMsgSubject(events.SubjectAccess))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		m, err := events.Decode(raw.Data)
		if err != nil {
			t.Fatal(err)
		}
		if id := raw.Header.Get("Nats-Msg-Id"); id != m.MessageID() {
			t.Errorf("got the id %q, want %q", id, m.MessageID())
		}
		found[m.Subject] = append(found[m.Subject], m)
		seq = raw.Sequence
	}
}

func get[T any](t *testing.T, r *rig, key string) (value T, found bool) {
	t.Helper()
	raw, revision, err := r.bus.NewBucket(events.StateBucket).Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if revision > 0 {
		if err := json.Unmarshal(raw, &value); err != nil {
			t.Fatal(err)
		}
	}
	return value, revision > 0
}

// check compares everything with the records in the database: state entries, access
// entries and documents, and the messages that led to them.
func (r *rig) check(t *testing.T) {
	t.Helper()
	r.checkWritten(t)
	owners := map[string][]access.Record{}
	client := r.db.Connect(storetest.Hooks{})
	for key, err := range client.RecordKeys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		state, _, err := client.State(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := get[events.Record](t, r, strings.ReplaceAll(key, ":", "."))
		if !ok || got.Version.EventID != state.EventID || got.Version.N != state.Revision || !got.FirstSeenAt.Equal(state.FirstSeenAt) {
			t.Errorf("%s: got %s in revision %d, want %s in %d", key, got.Version.EventID, got.Version.N, state.EventID, state.Revision)
		}
		if diff := gocmp.Diff(state.Subscription, got.Subscription); diff != "" {
			t.Errorf("%s (-record +entry):\n%s", key, diff)
		}
		s := state.Subscription
		for _, owner := range []string{events.CustomerAccessKey(false, "", s.CustomerID), events.UserAccessKey(false, "", s.UserID)} {
			owners[owner] = append(owners[owner], access.Record{Subscription: s, Alternatives: alternatives(state)})
		}
	}
	for key, err := range client.EntitlementKeys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		entitled, _ := r.db.Entitled(key)
		owner := events.CustomerAccessKey(false, "", entitled.CustomerID)
		owners[owner] = append(owners[owner], []access.Record{}...)
	}
	messages := r.messages(t)
	for key, records := range owners {
		if !strings.HasSuffix(key, events.SafeID("")) {
			r.checkAccess(t, client, key, r.access(key, records), messages[key])
		}
	}
}

// alternatives returns what a subscription may give instead.
func alternatives(state store.State) (list []access.Alternative) {
	verdict := store.Decide(state.Known)
	for _, f := range verdict.Candidates {
		list = append(list, access.Alternative{Access: f.Access, SameItems: f.Products == verdict.Winner.Products})
	}
	return list
}

// access returns what an access document must say.
func (r *rig) access(key string, records []access.Record) events.AccessDocument {
	customers := map[string]bool{}
	if customer, ok := strings.CutPrefix(key, customerKey("")[:len("access.test.platform.customer.")]); ok {
		customers[customer] = true
	}
	for _, record := range records {
		customers[record.CustomerID] = true
	}
	var features []string
	ambiguous := false
	for customer := range customers {
		entitled, _ := r.db.Entitled(kit.Key(customer))
		ambiguous = ambiguous || entitled.Ambiguous
		for _, f := range entitled.Features {
			features = append(features, f.LookupKey)
		}
	}
	doc := access.Of(records, features)
	doc.Ambiguous = doc.Ambiguous || ambiguous
	return doc
}

func (r *rig) checkAccess(t *testing.T, client *storetest.Client, key string, want events.AccessDocument, messages []events.Message) {
	t.Helper()
	got, _ := get[events.AccessDocument](t, r, key)
	if !got.SameDocument(want) {
		t.Errorf("%s: got %+v, want %+v", key, got, want)
	}
	stored, _, err := client.Access(t.Context(), strings.ReplaceAll(key, ".", ":"))
	if err != nil || gocmp.Diff(got, stored) != "" {
		t.Errorf("%s: the database has another document than the bucket, %v:\n%s", key, err, gocmp.Diff(got, stored))
	}
	last := events.AccessDocument{Access: events.AccessNone}
	for i, m := range messages {
		var before events.AccessDocument
		if m.Data.PreviousAccess != nil {
			before = *m.Data.PreviousAccess
		}
		if m.Type != events.AccessSubject(last, *m.Data.Access) || !agree(before, last) {
			t.Errorf("%s: message %d is %s from %+v to %+v, after %+v", key, i, m.Type, before, *m.Data.Access, last)
		}
		last = *m.Data.Access
	}
	if !agree(last, got) {
		t.Errorf("%s: the last message says %+v, the document %+v", key, last, got)
	}
}

// agree reports whether two documents give the same answer, or both give no access, about
// which nothing is published.
func agree(a, b events.AccessDocument) bool { return a.SameAnswer(b) || noAccess(a) && noAccess(b) }

func noAccess(d events.AccessDocument) bool { return d.Access == "" || d.Access == events.AccessNone }

// words returns the subjects of messages, in short.
func words(messages []events.Message) string {
	var list []string
	for _, m := range messages {
		list = append(list, strings.TrimPrefix(m.Type, "access."))
	}
	return strings.Join(list, " ")
}

// watcher collects what a watcher of the bucket sees.
type watcher struct {
	watcher jetstream.KeyWatcher
	done    chan struct{}
	mu      sync.Mutex
	seen    map[string][]events.Record
}

func (r *rig) watch(t *testing.T) *watcher {
	t.Helper()
	kv, err := r.js.KeyValue(t.Context(), events.StateBucket)
	if err != nil {
		t.Fatal(err)
	}
	kw, err := kv.Watch(t.Context(), "test.>")
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{watcher: kw, done: make(chan struct{}), seen: map[string][]events.Record{}}
	go w.run()
	return w
}

func (w *watcher) run() {
	defer close(w.done)
	for update := range w.watcher.Updates() {
		if update == nil {
			continue
		}
		var record events.Record
		if err := json.Unmarshal(update.Value(), &record); err != nil {
			panic(fmt.Sprint("a value that is no record: ", err))
		}
		w.mu.Lock()
		w.seen[update.Key()] = append(w.seen[update.Key()], record)
		w.mu.Unlock()
	}
}

func (w *watcher) last(key string) events.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen[key]) == 0 {
		return events.Record{}
	}
	return w.seen[key][len(w.seen[key])-1]
}

// check waits for the final states, and then checks that no state went back.
func (w *watcher) check(t *testing.T, r *rig) {
	t.Helper()
	client := r.db.Connect(storetest.Hooks{})
	for key, err := range client.RecordKeys(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		state, _, _ := client.State(t.Context(), key)
		kit.Eventually(t, "the watcher sees the final state of "+key, func() bool {
			return w.last(strings.ReplaceAll(key, ":", ".")).Version.EventID == state.EventID
		})
	}
	if err := w.watcher.Stop(); err != nil {
		t.Fatal(err)
	}
	<-w.done
	for key, states := range w.seen {
		if !slices.IsSortedFunc(states, func(a, b events.Record) int { return a.Version.EventCreated.Compare(b.Version.EventCreated) }) {
			t.Errorf("%s went back", key)
		}
	}
}
