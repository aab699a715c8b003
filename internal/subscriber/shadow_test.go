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
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/store"
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

// replayMemory replays the audit trail of one database into another one.
func replayMemory(t *testing.T, from, into *memoryStore, r config.Replay) (text string, err error) {
	t.Helper()
	r.FromAudit = true
	cfg := config.Subscriber{Replay: r, MaxInFlight: 20, MaxBytes: 1 << 20, Reading: config.Webhook{Livemode: "any", Accounts: []string{"any"}}}
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
