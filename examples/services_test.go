package examples_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

const webhookSecret = "whsec_examples_0123456789"

// service is an example that runs for as long as its operator wants.
type service struct {
	*kit.Process
	name, folder, url string
	kills             int
}

func newService(t *testing.T, name, natsURL string) *service {
	t.Helper()
	dir, addr := t.TempDir(), kit.FreeAddr(t)
	s := &service{name: name, folder: filepath.Join(dir, "folder"), url: "http://" + addr}
	s.Process = &kit.Process{
		Name: name, Command: []string{filepath.Join(binaries, name)}, Log: filepath.Join(dir, "log"),
		Env: append(os.Environ(), "NATS_URL="+natsURL, "FOLDER="+s.folder, "LISTEN_ADDR="+addr, "MAX_AGE=0"),
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s:\n%s", name, s.printed(t))
		}
	})
	return s
}

func (s *service) printed(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile(s.Log)
	if err != nil {
		t.Error(err)
	}
	return text
}

// killed kills the service, and starts it again.
func (s *service) killed(t *testing.T) {
	t.Helper()
	s.Kill(t)
	s.kills++
	s.Start(t)
}

// alone is the program standalone.
type alone struct {
	*kit.Process
	webhook, nats, ready string
	js                   jetstream.JetStream
}

func startAlone(t *testing.T) *alone {
	t.Helper()
	web, admin, natsAddr := kit.FreeAddr(t), kit.FreeAddr(t), kit.FreeAddr(t)
	a := &alone{webhook: "http://" + web + "/webhooks/stripe", nats: "nats://" + natsAddr, ready: "http://" + admin + "/readyz"}
	a.Process = &kit.Process{
		Name: "standalone", Command: []string{filepath.Join(binaries, "standalone")}, Log: filepath.Join(t.TempDir(), "log"),
		Env: append(
			os.Environ(), "DATA_DIR="+t.TempDir(), "LISTEN_ADDR="+web, "ADMIN_ADDR="+admin, "LOG_LEVEL=warn",
			"STANDALONE_NATS_ADDR="+natsAddr, "STANDALONE_MONGODB_ADDR="+kit.FreeAddr(t), "STRIPE_WEBHOOK_SECRETS="+webhookSecret,
		),
	}
	a.start(t)
	a.js = natstest.JetStream(t, a.nats)
	return a
}

func (a *alone) start(t *testing.T) {
	t.Helper()
	a.Start(t)
	kit.Eventually(t, "standalone is ready", func() bool {
		if a.Ended() {
			text, _ := os.ReadFile(a.Log)
			t.Fatalf("standalone ended:\n%s", text)
		}
		return kit.Get(a.ready).Status == 200
	})
}

// send sends a part of a history out of order, with repetitions.
func (a *alone) send(ctx context.Context, h stripesim.History, deliveries []stripesim.Delivery) error {
	h.Deliveries = deliveries
	_, err := stripesim.Send(ctx, h, stripesim.SendConfig{URL: a.webhook, Secret: webhookSecret, Duplicates: 0.2, Disorder: true})
	return err
}

// settled waits until the subscriber, and then a service with a durable consumer, has
// acknowledged everything. A service that ends, because it is started while the server is
// down, is started again, as its operator would do.
func (a *alone) settled(t *testing.T, s *service) {
	t.Helper()
	kit.Drained(t, "all records are stored", func() (uint64, error) { return natstest.Unsettled(t, a.js, "BILLBUS", "billbus-subscriber") })
	kit.Drained(t, s.name+" has processed everything", func() (uint64, error) {
		if s.Ended() {
			s.Start(t)
		}
		c, err := a.js.Consumer(t.Context(), "BILLBUS", s.name)
		if err != nil {
			return 0, err
		}
		return c.CachedInfo().NumPending + uint64(c.CachedInfo().NumAckPending), nil
	})
}

// hurry shortens the ack wait of a durable consumer, after which the server delivers the
// messages of a killed process again.
func (a *alone) hurry(t *testing.T, durable string, ackWait time.Duration) {
	t.Helper()
	kit.Eventually(t, durable+" has its consumer", func() bool {
		c, err := a.js.Consumer(t.Context(), "BILLBUS", durable)
		if err != nil {
			return false
		}
		config := c.CachedInfo().Config
		config.AckWait = ackWait
		_, err = a.js.UpdateConsumer(t.Context(), "BILLBUS", config)
		return err == nil
	})
}

// lastSequence returns how many messages were stored.
func (a *alone) lastSequence(t *testing.T) uint64 {
	t.Helper()
	return natstest.Stream(t, a.js, "BILLBUS").CachedInfo().State.LastSeq
}

// TestServicesAgreeWithTheTruth runs the examples while standalone receives the webhooks of
// simulated subscriptions, and kills all of them on the way.
func TestServicesAgreeWithTheTruth(t *testing.T) {
	t.Parallel()
	touch(t, "..//cmd/standalone", "../config", "../events", "../handlers", "../internal")
	a := startAlone(t)
	a.hurry(t, "billbus-subscriber", time.Second)
	entitlements, provisioner, notifier := newService(t, "entitlements", a.nats), newService(t, "provisioner", a.nats), newService(t, "notifier", a.nats)
	entitlements.Start(t)
	provisioner.Start(t)
	a.hurry(t, "provisioner", time.Second)
	h := stripesim.Generate(stripesim.Config{Seed: seed, Subscriptions: 36, UserIDs: true})
	parts := slices.Collect(slices.Chunk(h.Deliveries, len(h.Deliveries)/4+1))
	if err := a.send(t.Context(), h, parts[0]); err != nil {
		t.Fatal(err)
	}
	notifier.Start(t)
	a.hurry(t, "notifier", 10*time.Second) // longer than it ever needs for a message
	a.publishIgnored(t, slices.Concat(parts[1:]...))
	all := []*service{entitlements, provisioner, notifier}
	for i, part := range parts[1:] {
		a.sendAndKill(t, h, part, i == 1, all)
	}
	a.settled(t, provisioner)
	a.settled(t, notifier)
	checkEntitlements(t, entitlements, h)
	checkProvisioned(t, provisioner, h)
	checkNoticed(t, notifier, slices.Concat(parts[1:]...))
	for _, s := range all {
		if err := s.Terminate(t); err != nil {
			t.Errorf("%s ended with %v, want no error", s.name, err)
		}
	}
}

// sendAndKill kills services while a part of the history is being sent, and standalone if
// the test wants that, too.
func (a *alone) sendAndKill(t *testing.T, h stripesim.History, part []stripesim.Delivery, too bool, services []*service) {
	t.Helper()
	began := a.lastSequence(t)
	sent := make(chan error, 1)
	go func() { sent <- a.send(t.Context(), h, part) }()
	kit.Eventually(t, "some of it was sent", func() bool { return a.lastSequence(t) > began+uint64(len(part)/3) })
	for _, s := range services {
		s.killed(t)
	}
	if too {
		a.Kill(t)
		a.start(t)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	a.repeat(t, began)
}

// publishIgnored publishes an event in the form that it has if it is not admitted. It will
// come again, admitted.
func (a *alone) publishIgnored(t *testing.T, deliveries []stripesim.Delivery) {
	t.Helper()
	i := slices.IndexFunc(deliveries, func(d stripesim.Delivery) bool { return d.Type == "invoice.payment_failed" })
	if i < 0 {
		t.Fatal("no payment fails")
	}
	m := events.Message{
		SpecVersion: events.SpecVersion, ID: deliveries[i].ID, Source: events.Source(false, ""), Type: "stripe.invoice.payment_failed",
		Time: deliveries[i].Created, DataContentType: events.DataContentType, StripeType: deliveries[i].Type,
		Data: events.Data{SchemaVersion: events.SchemaVersion, Origin: events.OriginWebhook, Ignored: events.IgnoredAccount, ReceivedAt: deliveries[i].Created},
	}
	publish(t, a.js, m)
}

// repeat publishes what the stream has got since a sequence again, as if Stripe
// had sent the events in another rendering, and as snapshots.
func (a *alone) repeat(t *testing.T, since uint64) {
	t.Helper()
	stream := natstest.Stream(t, a.js, "BILLBUS")
	for sequence := since + 1; sequence <= stream.CachedInfo().State.LastSeq; sequence++ {
		raw, err := stream.GetMsg(t.Context(), sequence)
		if err != nil {
			t.Fatal(err)
		}
		m, err := events.Decode(raw.Data)
		if err != nil {
			t.Fatal(err)
		}
		if m.Data.Subscription != nil || m.Type == "stripe.invoice.payment_failed" {
			publish(t, a.js, m)
		}
		if slices.Contains(m.Data.Changes, events.ChangeCancelScheduled) {
			publish(t, a.js, snapshotOf(m))
		}
	}
}

// snapshotOf returns a snapshot that says the same as an event.
func snapshotOf(m events.Message) events.Message {
	m.Data.Event, m.Data.Object, m.Data.ReadAt = nil, []byte(`{"id":"`+m.Subject+`"}`), m.Time
	m.Data.Reason, m.Data.BecauseOf = events.ReasonThin, m.ID
	m.ID, m.Type, m.StripeType = "snap_"+m.ID, events.SubjectSnapshot, ""
	return m
}

func publish(t *testing.T, js jetstream.JetStream, m events.Message) {
	t.Helper()
	payload, err := events.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), m.Type, payload); err != nil {
		t.Fatal(err)
	}
}

// answer is what the entitlements service answers.
type answer struct {
	UserID     string                 `json:"user_id"`
	CustomerID string                 `json:"customer_id"`
	Allowed    bool                   `json:"allowed"`
	Access     string                 `json:"access"`
	Until      time.Time              `json:"until"`
	Products   []events.AccessProduct `json:"products"`
	StaleSince time.Time              `json:"stale_since"`
}

// ask returns the zero answer if the service does not answer.
func (s *service) ask(t *testing.T, path string) (a answer) {
	t.Helper()
	if resp := kit.Get(s.url + path); resp.Status == 200 {
		decode(t, []byte(resp.Body), &a)
	}
	return a
}

// owned returns the true states of the subscriptions of each user and customer, by path.
func owned(h stripesim.History) map[string][]events.Subscription {
	all := map[string][]events.Subscription{}
	for _, truth := range h.Truth {
		all["/customers/"+truth.Subscription.CustomerID] = append(all["/customers/"+truth.Subscription.CustomerID], truth.Subscription)
		if truth.UserID != "" {
			all["/users/"+truth.UserID] = append(all["/users/"+truth.UserID], truth.Subscription)
		}
	}
	return all
}

// bestOf returns what subscriptions give together, computed without package access.
func bestOf(subs []events.Subscription) answer {
	rank := func(sub events.Subscription) int {
		return slices.Index([]string{"granted", "grace", "none"}, sub.Access)
	}
	best := slices.MinFunc(subs, func(a, b events.Subscription) int { return cmp.Compare(rank(a), rank(b)) })
	a := answer{Access: best.Access, Allowed: best.Access != "none"}
	for _, sub := range subs {
		if sub.Access == "none" {
			continue
		}
		a.Until = sub.EndsAt
		for _, item := range sub.Items {
			a.Products = append(a.Products, events.AccessProduct{
				ProductID: item.ProductID, PriceID: item.PriceID, Quantity: item.Quantity, SubscriptionID: sub.ID, Access: sub.Access,
				Nickname: item.Nickname, LookupKey: item.LookupKey,
			})
		}
	}
	slices.SortFunc(a.Products, func(a, b events.AccessProduct) int {
		return cmp.Or(cmp.Compare(a.SubscriptionID, b.SubscriptionID), cmp.Compare(a.ProductID, b.ProductID), cmp.Compare(a.PriceID, b.PriceID))
	})
	return a
}

func checkEntitlements(t *testing.T, s *service, h stripesim.History) {
	t.Helper()
	products := 0
	for path, subs := range owned(h) {
		want := bestOf(subs)
		s.answers(t, path, want)
		for _, p := range want.Products {
			products++
			if !s.ask(t, path+"?product="+url.QueryEscape(p.ProductID)).Allowed {
				t.Errorf("%s: product %q is not allowed", path, p.ProductID)
			}
		}
		if s.ask(t, path+"?product=prod_other").Allowed {
			t.Errorf("%s: a product that nobody has is allowed", path)
		}
	}
	if products == 0 {
		t.Error("nobody has access in the end")
	}
}

// answers waits until the service gives an answer, apart from the id.
func (s *service) answers(t *testing.T, path string, want answer) {
	t.Helper()
	var got answer
	defer func() {
		if t.Failed() {
			t.Logf("%s (-want +got):\n%s", path, gocmp.Diff(want, got))
		}
	}()
	kit.Eventually(t, "the answer about "+path, func() bool {
		got = s.ask(t, path)
		got.UserID, got.CustomerID = "", ""
		return gocmp.Equal(want, got)
	})
}

func checkProvisioned(t *testing.T, s *service, h stripesim.History) {
	t.Helper()
	var want, got []string
	for path, subs := range owned(h) {
		if user, ok := strings.CutPrefix(path, "/users/"); ok && bestOf(subs).Allowed {
			want = append(want, "access.test.platform.user."+user+".json")
		}
	}
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	slices.Sort(want)
	if diff := gocmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("%d files (-want +got):\n%s", len(want), diff)
	}
}

// checkNoticed expects a line for each event of deliveries that is to be noticed, and one
// more at most for each time that the notifier, or the server, was killed.
func checkNoticed(t *testing.T, s *service, deliveries []stripesim.Delivery) {
	t.Helper()
	want, got, types := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, d := range deliveries {
		if noticed(t, d) {
			want["test.platform."+d.ID], types[d.Type] = true, true
		}
	}
	if len(types) != 4 {
		t.Errorf("only these types of events are to be noticed: %v", slices.Collect(maps.Keys(types)))
	}
	lines := 0
	for line := range bytes.Lines(s.printed(t)) {
		if fields := strings.Fields(string(line)); len(fields) > 1 && fields[0] == "notice" {
			got[fields[1]] = true
			lines++
		}
	}
	t.Logf("%d notices about %d events", lines, len(want))
	if diff := gocmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" || len(want) == 0 {
		t.Errorf("%d notices (-want +got):\n%s", len(want), diff)
	}
	if lines > len(want)+s.kills+1 {
		t.Errorf("got %d notices about %d events, and the notifier was killed %d times, the server once", lines, len(want), s.kills)
	}
}

// noticed reports whether an event is one that the notifier promises to notice, from
// Stripe's JSON.
func noticed(t *testing.T, d stripesim.Delivery) bool {
	t.Helper()
	switch d.Type {
	case "customer.subscription.deleted", "customer.subscription.trial_will_end", "invoice.payment_failed":
		return true
	case "customer.subscription.updated":
	default:
		return false
	}
	type schedule struct {
		AtPeriodEnd *bool  `json:"cancel_at_period_end"`
		At          *int64 `json:"cancel_at"`
		Status      string `json:"status"`
	}
	var body struct {
		Data struct {
			Object   schedule
			Previous map[string]json.RawMessage `json:"previous_attributes"`
		}
	}
	decode(t, d.Body, &body)
	after := body.Data.Object
	_, at := body.Data.Previous["cancel_at"]
	_, atPeriodEnd := body.Data.Previous["cancel_at_period_end"]
	return after.Status != "canceled" && (*after.AtPeriodEnd || after.At != nil) && (at || atPeriodEnd)
}
