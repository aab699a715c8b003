package examples_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/access"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// site is a standalone Billbus that gets the webhooks of a history.
type site struct {
	*kit.Process
	stripesim.History
	secret, webhooks, ready, nats, data string
	js                                  jetstream.JetStream
}

func newSite(t *testing.T) *site {
	t.Helper()
	touch(t, "../cmd", "../config", "../internal")
	listen, admin, nats := kit.FreeAddr(t), kit.FreeAddr(t), kit.FreeAddr(t)
	s := &site{
		secret: "whsec_site_of_examples", webhooks: "http://" + listen + "/webhooks/stripe", ready: "http://" + admin + "/readyz", nats: "nats://" + nats, data: t.TempDir(),
		// Each record has to equal the truth, so there are no changes in one second.
		History: stripesim.Generate(stripesim.Config{Seed: seed, Subscriptions: 60, UserIDs: true}),
	}
	s.Process = &kit.Process{
		Name: "standalone", Command: []string{filepath.Join(binaries, "standalone")}, Log: filepath.Join(t.TempDir(), "standalone.log"),
		Env: append(
			os.Environ(), "LISTEN_ADDR="+listen, "ADMIN_ADDR="+admin, "STANDALONE_NATS_ADDR="+nats, "STANDALONE_MONGODB_ADDR="+kit.FreeAddr(t),
			"DATA_DIR="+s.data, "STRIPE_WEBHOOK_SECRETS="+s.secret, "LOG_LEVEL=warn", "USER_ID_CLIENT_REFERENCE=all",
		),
	}
	s.start(t)
	s.js = natstest.JetStream(t, s.nats)
	return s
}

func (s *site) start(t *testing.T) {
	t.Helper()
	s.Start(t)
	kit.Eventually(t, "standalone is ready", func() bool { return kit.Get(s.ready).Status == 200 || s.Ended() })
	if s.Ended() {
		text, err := os.ReadFile(s.Log)
		t.Fatalf("standalone ended: %s %v", text, err)
	}
}

// send sends a part of the webhooks, out of order and some of them twice: from is 0 at the
// beginning, and to is 1 at the end.
func (s *site) send(t *testing.T, from, to float64) {
	t.Helper()
	part := s.History
	n := float64(len(part.Deliveries))
	part.Deliveries = part.Deliveries[int(from*n):int(to*n)]
	if _, err := stripesim.Send(t.Context(), part, stripesim.SendConfig{URL: s.webhooks, Secret: s.secret, Duplicates: 0.2, Disorder: true}); err != nil {
		t.Fatal(err)
	}
}

// bucket opens the state view.
func (s *site) bucket(t *testing.T) jetstream.KeyValue {
	t.Helper()
	var kv jetstream.KeyValue
	kit.Eventually(t, "the bucket exists", func() (ok bool) {
		opened, err := s.js.KeyValue(t.Context(), events.StateBucket)
		kv = opened
		return err == nil
	})
	return kv
}

// put writes a value, as a subscriber would do.
func (s *site) put(t *testing.T, key, value string) {
	t.Helper()
	if _, err := s.bucket(t).PutString(t.Context(), key, value); err != nil {
		t.Fatal(err)
	}
}

// renewBucket loses everything that the NATS server has stored. Billbus fills the bucket
// again from its database. One of the first entries is a document under key, which has a
// lower revision than a watcher of the old bucket waits for.
func (s *site) renewBucket(t *testing.T, key string) {
	t.Helper()
	s.Kill(t)
	if err := os.RemoveAll(filepath.Join(s.data, "nats")); err != nil {
		t.Fatal(err)
	}
	s.start(t)
	s.put(t, key, `{"access":"none","explanation":"new","revision":1}`)
}

// records returns the true final state of each subscription, by its key in the bucket.
func (s *site) records() map[string]events.Subscription {
	all := map[string]events.Subscription{}
	for _, truth := range s.Truth {
		sub := truth.Recorded()[0]
		all[events.StateKey(sub.Livemode, sub.AccountID, sub.ID)] = sub
	}
	return all
}

// documents returns the true access of each customer and user, by its key in the bucket.
func (s *site) documents() map[string]events.AccessDocument {
	owned := map[string][]access.Record{}
	for _, sub := range s.records() {
		customer := events.CustomerAccessKey(sub.Livemode, sub.AccountID, sub.CustomerID)
		owned[customer] = append(owned[customer], access.Record{Subscription: sub})
		if sub.UserID != "" {
			user := events.UserAccessKey(sub.Livemode, sub.AccountID, sub.UserID)
			owned[user] = append(owned[user], access.Record{Subscription: sub})
		}
	}
	all := map[string]events.AccessDocument{}
	for key, records := range owned {
		all[key] = access.Of(records, nil)
	}
	return all
}

// eventually waits until two values are equal, and prints how they differ if that does not
// happen.
func eventually(t *testing.T, what string, difference func() string) {
	t.Helper()
	var last string
	t.Cleanup(func() {
		if t.Failed() && last != "" {
			t.Logf("%s (-want +got):\n%s", what, last)
		}
	})
	kit.Eventually(t, what, func() bool {
		last = difference()
		return last == ""
	})
}
