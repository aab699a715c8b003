package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/standalone"
	"github.com/billbus/billbus/test/corpus"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// alone is standalone, running inside the test.
type alone struct {
	webhookURL, natsURL, mongoURI, admin string
	out                                  *kit.Buffer
	stop                                 func() error
}

func runStandalone(t *testing.T, dir string, more ...string) *alone {
	t.Helper()
	web, admin, natsAddr, docAddr := kit.FreeAddr(t), kit.FreeAddr(t), kit.FreeAddr(t), kit.FreeAddr(t)
	env := map[string]string{
		"DATA_DIR": dir, "LISTEN_ADDR": web, "ADMIN_ADDR": admin,
		"STANDALONE_NATS_ADDR": natsAddr, "STANDALONE_MONGODB_ADDR": docAddr, "STRIPE_WEBHOOK_SECRETS": secret,
	}
	for _, pair := range more {
		key, value, _ := strings.Cut(pair, "=")
		env[key] = value
	}
	var cfg config.Standalone
	if err := config.StandaloneRun(&cfg).Load("standalone", nil, func(key string) string { return env[key] }); err != nil {
		t.Fatal(err)
	}
	a := &alone{
		webhookURL: "http://" + web + "/webhooks/stripe", natsURL: "nats://" + natsAddr, mongoURI: "mongodb://" + docAddr,
		admin: "http://" + admin, out: &kit.Buffer{},
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- standalone.Run(ctx, cfg, a.out, slog.New(slog.NewTextHandler(io.Discard, nil))) }()
	a.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := a.stop(); err != nil {
			t.Error(err)
		}
	})
	ready(t, a.admin)
	return a
}

// drained waits until everything is stored, and returns the stream's server.
func (a *alone) drained(t *testing.T) jetstream.JetStream {
	t.Helper()
	js := natstest.JetStream(t, a.natsURL)
	drained(t, js)
	return js
}

func (a *alone) database(t *testing.T) *mongo.Database {
	t.Helper()
	return database(t, a.mongoURI, "billbus")
}

// TestRecordedEvents sends every recorded event through standalone. Each must be
// answered 200, be in the audit trail once, be on the stream for any consumer, and be a
// record if it is about a subscription.
func TestRecordedEvents(t *testing.T) {
	t.Parallel()
	files := corpus.Load(t)
	a := runStandalone(t, t.TempDir())
	nc, err := nats.Connect(a.natsURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	live, err := nc.SubscribeSync("subscription.*")
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		if got, body := post(a.webhookURL, corpus.Fresh(file.Raw, i)); got != http.StatusOK {
			t.Errorf("%s: got %d %s", file.Name, got, body)
		}
	}
	messages := consumeAll(t, a.drained(t), len(files))
	db := a.database(t)
	audited, recorded := byKey(audit[bson.M](t, db)), byKey(records[bson.M](t, db))
	if len(audited) != len(files) {
		t.Errorf("got %d audit documents for %d events", len(audited), len(files))
	}
	subscriptions := 0
	for _, m := range messages {
		checkAuditDocument(t, m, audited[m.Key()])
		if m.Data.Subscription != nil {
			subscriptions++
			checkRecord(t, m, recorded[m.SubscriptionKey()])
		}
	}
	if subscriptions == 0 || len(recorded) != subscriptions {
		t.Errorf("got %d records for %d subscriptions", len(recorded), subscriptions)
	}
	for n := range subscriptions {
		if _, err := live.NextMsg(5 * time.Second); err != nil {
			t.Fatalf("a NATS subscriber got %d of %d messages: %v", n, subscriptions, err)
		}
	}
	t.Logf("%d events, %d subscriptions", len(files), subscriptions)
}

// consumeAll reads the stream from its beginning, as another service would.
func consumeAll(t *testing.T, js jetstream.JetStream, want int) []events.Message {
	t.Helper()
	c, err := js.CreateConsumer(t.Context(), "BILLBUS", jetstream.ConsumerConfig{
		Durable: "another-service", AckPolicy: jetstream.AckExplicitPolicy, FilterSubjects: events.FactSubjects(),
	})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := c.Fetch(want, jetstream.FetchMaxWait(20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	var all []events.Message
	for msg := range batch.Messages() {
		m, err := events.Decode(msg.Data())
		if err != nil {
			t.Fatalf("%s: %v", msg.Subject(), err)
		}
		if m.Type != msg.Subject() {
			t.Errorf("type %s on subject %s", m.Type, msg.Subject())
		}
		all = append(all, m)
		_ = msg.Ack()
	}
	if len(all) != want {
		t.Fatalf("a second consumer got %d of %d messages", len(all), want)
	}
	return all
}

func byKey(docs []bson.M) map[any]bson.M {
	index := make(map[any]bson.M, len(docs))
	for _, doc := range docs {
		index[doc["_id"]] = doc
	}
	return index
}

func checkAuditDocument(t *testing.T, m events.Message, doc bson.M) {
	t.Helper()
	if doc == nil {
		t.Errorf("%s is not in the audit trail", m.ID)
		return
	}
	if doc["type"] != m.StripeType || doc["event_id"] != m.ID || doc["event_sha256"] != m.Data.EventSHA256 {
		t.Errorf("%s: got audit document %v", m.ID, doc)
	}
	if got := doc["payload"]; got != string(m.Data.Event) {
		t.Errorf("%s: the payload in the audit trail differs from the message's event", m.ID)
	}
	if created, ok := doc["created"].(bson.DateTime); !ok || !created.Time().Equal(m.Time.Truncate(time.Millisecond)) {
		t.Errorf("%s: got created %v, want %v", m.ID, doc["created"], m.Time)
	}
}

// checkRecord compares the record with the message field by field: every field of the
// subscription is at the top level under its own name.
func checkRecord(t *testing.T, m events.Message, doc bson.M) {
	t.Helper()
	if doc == nil {
		t.Errorf("%s has no record", m.SubscriptionKey())
		return
	}
	raw, err := json.Marshal(m.Data.Subscription)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		t.Fatal(err)
	}
	for name, want := range fields {
		if name == "id" {
			name = "subscription_id"
		}
		got, ok := doc[name]
		if text, isText := want.(string); !ok || isText && !sameText(got, text) {
			t.Errorf("%s: record has %s %v, message has %v", m.SubscriptionKey(), name, got, want)
		}
	}
}

func sameText(got any, want string) bool {
	if date, ok := got.(bson.DateTime); ok {
		return date.Time().UTC().Format(time.RFC3339) == want
	}
	return got == want
}

func TestEventOfAnotherModeOrAccountIsInTheAuditTrailOnly(t *testing.T) {
	t.Parallel()
	a := runStandalone(t, t.TempDir(), "WEBHOOK_LIVEMODE=test")
	connected := bytes.Replace(event("evt_conn", "sub_1", 1), []byte(`"object":"event"`), []byte(`"object":"event","account":"acct_1"`), 1)
	live := bytes.Replace(event("evt_live", "sub_1", 2), []byte(`"livemode":false`), []byte(`"livemode":true`), 1)
	for _, body := range [][]byte{connected, live} {
		if got, answer := post(a.webhookURL, body); got != http.StatusOK || !strings.Contains(answer, "ignored") {
			t.Errorf("got %d %s", got, answer)
		}
	}
	for _, m := range consumeAll(t, a.drained(t), 2) {
		if m.Type != "stripe.customer.subscription.updated" || m.Data.Subscription != nil {
			t.Errorf("got %s with subscription %v", m.Type, m.Data.Subscription)
		}
	}
	db := a.database(t)
	audited := byKey(audit[bson.M](t, db))
	if audited["test:acct_1:evt_conn"] == nil || audited["live:platform:evt_live"] == nil {
		t.Errorf("got audit documents %v", audited)
	}
	if got := records[bson.M](t, db); len(got) != 0 {
		t.Errorf("got records %v of ignored events", got)
	}
}

func TestStandaloneKeepsItsDataAndItsSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := runStandalone(t, dir, "STRIPE_WEBHOOK_SECRETS=")
	generated, err := os.ReadFile(filepath.Join(dir, "signing_secret"))
	if err != nil {
		t.Fatal(err)
	}
	printed := first.out.String()
	for _, want := range []string{strings.TrimSpace(string(generated)), first.webhookURL[len("http://127.0.0.1"):], first.natsURL, first.mongoURI, first.admin} {
		if !strings.Contains(printed, want) {
			t.Errorf("the output does not contain %q:\n%s", want, printed)
		}
	}
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	// With the secret of the other tests, to store an event. Without a secret again, to
	// compare the generated one.
	second := runStandalone(t, dir)
	accept(t, second.webhookURL, event("evt_1", "sub_1", 1))
	if strings.Contains(second.out.String(), secret) {
		t.Error("a configured secret is printed")
	}
	second.drained(t)
	if err := second.stop(); err != nil {
		t.Fatal(err)
	}
	third := runStandalone(t, dir, "STRIPE_WEBHOOK_SECRETS=")
	if !strings.Contains(third.out.String(), strings.TrimSpace(string(generated))) {
		t.Error("the generated secret is different after a restart")
	}
	if got := natstest.Count(t, natstest.JetStream(t, third.natsURL), "BILLBUS"); got != 1 {
		t.Errorf("the stream has %d messages after a restart, want 1", got)
	}
	if got := len(records[bson.M](t, third.database(t))); got != 1 {
		t.Errorf("the database has %d records after a restart, want 1", got)
	}
}

func TestFirstRejectedSignatureIsExplainedOnce(t *testing.T) {
	t.Parallel()
	a := runStandalone(t, t.TempDir(), "STRIPE_WEBHOOK_SECRETS=whsec_another_0123456789")
	for range 3 {
		if got, body := post(a.webhookURL, event("evt_1", "sub_1", 1)); got != http.StatusBadRequest {
			t.Errorf("got %d %s", got, body)
		}
	}
	if n := strings.Count(a.out.String(), "A webhook was rejected"); n != 1 {
		t.Errorf("the hint was printed %d times:\n%s", n, a.out)
	}
}

func TestSecondStandaloneOnOneFolderFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	runStandalone(t, dir)
	var cfg config.Standalone
	if err := config.StandaloneRun(&cfg).Load("standalone", nil, func(key string) string { return map[string]string{"DATA_DIR": dir}[key] }); err != nil {
		t.Fatal(err)
	}
	err := standalone.Run(t.Context(), cfg, io.Discard, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "in use by another standalone") {
		t.Errorf("got %v", err)
	}
}
