package subscriber

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/verify"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/storetest"
)

// memoryStore is a store on a database in memory.
type memoryStore struct {
	*storetest.Client
	*store.Queue
	server *storetest.Memory
}

func newMemoryStore(t *testing.T) *memoryStore {
	t.Helper()
	server := storetest.NewMemory()
	client := server.Connect(storetest.Hooks{})
	queue := store.NewQueue(store.NewCommitter(client, time.Now), 64)
	t.Cleanup(queue.Close)
	return &memoryStore{client, queue, server}
}

func (*memoryStore) Provision(context.Context, bool)   {}
func (*memoryStore) Ping(context.Context) error        { return nil }
func (*memoryStore) Check(context.Context) error       { return nil }
func (m *memoryStore) Close(ctx context.Context) error { return ctx.Err() }

// histories are the events of some subscriptions, of their Checkout sessions, which name
// users, and of a product and its price.
func histories(t *testing.T, subscriptions int) []store.Entry {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var all []store.Entry
	for i := range subscriptions {
		sub := fmt.Sprintf("sub_%d", i)
		all = append(all, storetest.Generate(random, sub, 12)...)
		session := storetest.Entry(sub, "evt_session_"+sub, "created", 1, "active")
		session.Type, session.StripeType, session.Data.Subscription = "stripe.checkout.session.completed", "checkout.session.completed", nil
		session.Data.CheckoutSession = &events.CheckoutSession{ID: "cs_" + sub, SubscriptionID: sub, Mode: "subscription"}
		session.Data.Identity = &events.Identity{UserID: "user of " + sub, Source: events.IdentityCheckoutSession, SubscriptionID: sub}
		all = append(all, session)
	}
	product := storetest.Entry("prod_1", "evt_product", "created", 1, "active")
	product.Type, product.StripeType, product.Data.Subscription = "stripe.product.updated", "product.updated", nil
	product.Data.Product = &events.Product{ID: "prod_1", Name: "Gold"}
	all = append(all, product)
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

func commitAll(t *testing.T, db *memoryStore, entries []store.Entry) {
	t.Helper()
	for _, e := range entries {
		if _, err := db.Commit(t.Context(), e); err != nil {
			t.Fatalf("committing %s: %v", e.ID, err)
		}
	}
	if _, err := db.Sweep(t.Context(), "test", nil); err != nil {
		t.Fatal(err)
	}
}

// fieldsOf returns all records without their processing times, and the users that events
// name.
func fieldsOf(t *testing.T, db *memoryStore) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	for record, err := range db.Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		all[record.Key] = record.Fields
	}
	for key := range db.server.Audited() {
		if identity, ok := db.server.Identity(key); ok {
			all["identity "+key] = map[string]string{"user": identity.UserID}
		}
	}
	return all
}

var reading = config.Webhook{Livemode: "any", Accounts: []string{"any"}, ClientReference: "api"}

// replayMemory replays the audit trail of one database into another one.
func replayMemory(t *testing.T, from, into *memoryStore, r config.Replay) (text string, err error) {
	t.Helper()
	r.FromAudit = true
	cfg := config.Subscriber{Replay: r, MaxInFlight: 20, MaxBytes: 1 << 20, Reading: reading}
	var out bytes.Buffer
	err = newReplay(cfg, from, into, io.Discard, slog.New(slog.DiscardHandler)).execute(t.Context(), &out)
	return out.String(), err
}

func TestReplayFromTheAuditTrailRestoresTheRest(t *testing.T) {
	t.Parallel()
	lived, lost := newMemoryStore(t), newMemoryStore(t)
	entries := histories(t, 8)
	commitAll(t, lived, entries)
	for a, err := range lived.Everything(t.Context(), time.Time{}) { // nothing but the audit trail is left
		if err != nil {
			t.Fatal(err)
		}
		lost.Insert(t.Context(), []store.Entry{a.Entry})
	}
	text, err := replayMemory(t, lost, lost, config.Replay{})
	if err != nil || !strings.HasPrefix(text, fmt.Sprintf("replayed %d messages, of the audit trail", len(lived.server.Audited()))) {
		t.Errorf("got %q, %v", text, err)
	}
	if diff := cmp.Diff(fieldsOf(t, lived), fieldsOf(t, lost)); diff != "" {
		t.Errorf("records and users (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(lived.server.Audited(), lost.server.Audited()); diff != "" {
		t.Errorf("audit trail (-want +got):\n%s", diff)
	}
	if left, err := lost.Progress(t.Context()); left != (store.Progress{}) || err != nil {
		t.Errorf("progress: got %+v, %v, want none", left, err)
	}
}

func TestReplayIntoAShadowGivesTheSameRecords(t *testing.T) {
	t.Parallel()
	live, shadow := newMemoryStore(t), newMemoryStore(t)
	commitAll(t, live, histories(t, 8))
	before := fieldsOf(t, live)
	if _, err := replayMemory(t, live, shadow, config.Replay{Into: "shadow"}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, fieldsOf(t, shadow)); diff != "" {
		t.Errorf("shadow (-live +shadow):\n%s", diff)
	}
	if diff := cmp.Diff(before, fieldsOf(t, live)); diff != "" {
		t.Errorf("live (-before +after):\n%s", diff)
	}
}

// A replay of the audit trail continues where it was interrupted, and only if it does the
// same.
func TestReplayFromTheAuditTrailResumes(t *testing.T) {
	t.Parallel()
	live, shadow := newMemoryStore(t), newMemoryStore(t)
	for i := range 60 {
		commitAll(t, live, []store.Entry{storetest.Entry("sub_1", fmt.Sprintf("evt_%d", i), "updated", i, "active")})
	}
	if err := shadow.SetProgress(t.Context(), store.Progress{What: "the beginning, into shadow", Reached: kit.At(50)}); err != nil {
		t.Fatal(err)
	}
	_, err := replayMemory(t, live, shadow, config.Replay{Into: "shadow", Account: "platform"})
	if !errors.Is(err, natsbus.ErrOtherReplay) || !strings.Contains(err.Error(), "--restart") {
		t.Errorf("another replay: got %v", err)
	}
	text, err := replayMemory(t, live, shadow, config.Replay{Into: "shadow", JSON: true})
	if !strings.Contains(text, `"resumed_at":"2026-01-01T00:00:50Z","messages":10`) || err != nil {
		t.Errorf("the same replay: got %q, %v", text, err)
	}
	if text, err = replayMemory(t, live, shadow, config.Replay{Into: "shadow", Restart: true}); !strings.HasPrefix(text, "replayed 60") || err != nil {
		t.Errorf("from the start: got %q, %v", text, err)
	}
}

func TestReplayFromTheAuditTrailCountsWhatItLacks(t *testing.T) {
	t.Parallel()
	live, shadow := newMemoryStore(t), newMemoryStore(t)
	bare, damaged := storetest.Entry("sub_1", "evt_1", "created", 1, "active"), storetest.Entry("sub_1", "evt_2", "updated", 2, "active")
	bare.Data.Event = nil
	commitAll(t, live, []store.Entry{bare, damaged, storetest.Entry("sub_2", "evt_3", "created", 3, "active")})
	live.server.DamageAudit(damaged.Key())
	text, err := replayMemory(t, live, shadow, config.Replay{Into: "shadow"})
	if !strings.Contains(text, "2 applied, 1 permanent\n1 of them do not have what Stripe sent") || err != nil {
		t.Errorf("got %q, %v", text, err)
	}
	if _, ok := shadow.server.Record(kit.Key("sub_1")); !ok {
		t.Error("the message without its event made no record")
	}
}

// faulty returns an event as a release with a fault has read it: what Stripe sent is
// right, and the status is always wrong.
func faulty(t *testing.T, sub, id string, second int, status string) store.Entry {
	t.Helper()
	e := storetest.Entry(sub, id, "updated", second, status)
	e.Data.Event = fmt.Appendf(nil, `{"id":%q,"object":"event","type":"customer.subscription.updated","api_version":"2026-06-24.dahlia","created":%d,"livemode":false,
		"data":{"object":{"id":%q,"object":"subscription","status":%q,"customer":"cus_1","livemode":false,"items":{"object":"list","data":[]}}}}`,
		id, e.Time.Unix(), sub, status)
	again, err := readAgain(reading)
	if err != nil {
		t.Fatal(err)
	}
	if e.Message, err = again(e.Message); err != nil || e.Data.Subscription.Status != status {
		t.Fatalf("reading again: %v, %+v", err, e.Data.Subscription)
	}
	read := *e.Data.Subscription
	read.Status, read.Access = "unpaid", events.Access("unpaid")
	e.Data.Subscription, e.Data.RereadAt = &read, time.Time{}
	return e
}

// diff compares with a shadow, or applies it.
func diff(ctx context.Context, live, shadow *memoryStore, fix bool) (string, error) {
	var out bytes.Buffer
	err := printComparison(ctx, verify.Shadow{Live: live, Audit: live, Shadow: shadow, Fix: fix, Settle: time.Millisecond, Now: time.Now}, true, &out)
	return out.String(), err
}

// Events arrive, and come again, while a shadow is built, compared and applied.
func TestApplyingAShadowMendsWhatWasReadWrongly(t *testing.T) {
	t.Parallel()
	const subscriptions, before, after, apart = 12, 6, 6, 40
	live, shadow := newMemoryStore(t), newMemoryStore(t)
	event := func(sub, n int) store.Entry {
		return faulty(t, fmt.Sprintf("sub_%d", sub), fmt.Sprintf("evt_%d_%d", sub, n), n*apart, "active")
	}
	var old, late []store.Entry
	for sub := range subscriptions {
		for n := range before + after {
			switch e := event(sub, n); {
			case n < before:
				old = append(old, e)
			case sub%2 == 0: // the others get no more events
				late = append(late, e)
			}
		}
	}
	commitAll(t, live, old)
	if text, err := replayMemory(t, live, shadow, config.Replay{Into: "shadow", Renormalize: true, JSON: true}); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { watchRecords(ctx, t, live) })
	work.Go(func() {
		for i, e := range late {
			commitAll(t, live, []store.Entry{e, old[i%len(old)]})
		}
	})
	text, err := diff(t.Context(), live, shadow, false)
	if !errors.Is(err, errShadowDiffers) || !strings.Contains(text, `"field":"status","have":"\"unpaid\"","want":"\"active\""`) {
		t.Errorf("before: got %v\n%s", err, text)
	}
	if text, err := diff(t.Context(), live, shadow, true); err != nil {
		t.Errorf("applying: got %v\n%s", err, text)
	}
	if text, err := diff(t.Context(), live, shadow, false); err != nil || strings.Contains(text, `"difference"`) {
		t.Errorf("after: got %v\n%s", err, text)
	}
	stop()
	work.Wait()
	mended := 0
	for key := range live.server.Audited() {
		if m, _ := live.server.Message(key); m.Data.Subscription.Status == "active" {
			mended++
		}
	}
	if mended != len(old) {
		t.Errorf("%d audit documents are mended, want %d", mended, len(old))
	}
}

// watchRecords fails the test when a record has a lower revision, an earlier event, or an
// earlier reading of the same one, than before.
func watchRecords(ctx context.Context, t *testing.T, live *memoryStore) {
	last, polls := map[string]store.State{}, 0
	for ; ctx.Err() == nil; polls++ {
		for key, err := range live.RecordKeys(context.WithoutCancel(ctx)) {
			now, _, stateErr := live.State(context.WithoutCancel(ctx), key)
			if err != nil || stateErr != nil {
				t.Errorf("%v, %v", err, stateErr)
				return
			}
			was := last[key]
			unmended := now.EventID == was.EventID && was.Subscription.Status == "active" && now.Subscription.Status != "active"
			if now.Revision < was.Revision || now.EventCreated.Before(was.EventCreated) || unmended {
				t.Errorf("%s went back from %+v to %+v", key, was, now)
			}
			last[key] = now
		}
	}
	t.Logf("polled all records %d times", polls)
}

// A record with later events than the shadow is not different, nor is one that only the
// live database has.
func TestAShadowIsBehindLiveTraffic(t *testing.T) {
	t.Parallel()
	live, shadow := newMemoryStore(t), newMemoryStore(t)
	commitAll(t, live, append(histories(t, 5), storetest.Entry("sub_open", "evt_open", "created", 1, "active")))
	if _, err := replayMemory(t, live, shadow, config.Replay{Into: "shadow"}); err != nil {
		t.Fatal(err)
	}
	commitAll(t, live, []store.Entry{storetest.Entry("sub_open", "evt_new", "updated", 500, "past_due"), storetest.Entry("sub_new", "evt_other", "created", 1, "active")})
	text, err := diff(t.Context(), live, shadow, false)
	if want := `{"kind":"summary","subscriptions":6,"newer":1,"differing":0,"fixed":0,"unverifiable":0}` + "\n"; text != want || err != nil {
		t.Errorf("got %s%v, want %s", text, err, want)
	}
}

// What was lost since, or changed by another program, comes back; what came later stays.
func TestApplyingAShadowRestoresWhatWasLost(t *testing.T) {
	t.Parallel()
	live, shadow := newMemoryStore(t), newMemoryStore(t)
	commitAll(t, live, histories(t, 4))
	want := fieldsOf(t, live)
	if _, err := replayMemory(t, live, shadow, config.Replay{Into: "shadow"}); err != nil {
		t.Fatal(err)
	}
	for key, m := range live.server.Audited() {
		if m.SubscriptionKey() == kit.Key("sub_0") {
			live.server.Delete(key, kit.Key("sub_0"))
		}
	}
	changed, _ := live.server.Record(kit.Key("sub_1"))
	changed.Explanation = "changed by another program"
	live.server.Put(changed)
	text, err := diff(t.Context(), live, shadow, true)
	if !strings.Contains(text, `"newer":0,"differing":0,"fixed":2`) || err != nil {
		t.Errorf("got %v\n%s", err, text)
	}
	if diff := cmp.Diff(want, fieldsOf(t, live)); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

// mendedFirst is a database in which a record is written only after its events.
type mendedFirst struct {
	*memoryStore
	t       *testing.T
	written int
}

func (m *mendedFirst) Rewrite(ctx context.Context, have store.StoredRecord, d store.Decision) (bool, error) {
	m.written++
	for key, a := range m.server.Audited() {
		if a.SubscriptionKey() == have.Key && a.Data.Subscription.Status != "active" {
			m.t.Errorf("%s is as it was when the record is written: the next event would be decided from it", key)
		}
	}
	return m.memoryStore.Rewrite(ctx, have, d)
}

func TestApplyingAShadowBringsEventsBeforeRecords(t *testing.T) {
	t.Parallel()
	live, shadow := newMemoryStore(t), newMemoryStore(t)
	for n := range 5 {
		commitAll(t, live, []store.Entry{faulty(t, "sub_1", fmt.Sprintf("evt_%d", n), n*40, "active")})
	}
	if _, err := replayMemory(t, live, shadow, config.Replay{Into: "shadow", Renormalize: true}); err != nil {
		t.Fatal(err)
	}
	watched := &mendedFirst{memoryStore: live, t: t}
	err := printComparison(t.Context(), verify.Shadow{Live: watched, Audit: live, Shadow: shadow, Fix: true, Now: time.Now}, true, io.Discard)
	if err != nil || watched.written != 1 {
		t.Errorf("got %v, and %d records written", err, watched.written)
	}
}
