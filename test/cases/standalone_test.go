package cases_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

const (
	secret = "whsec_cases_0123456789abcdef"
	stream = "BILLBUS"
)

// alone is a running standalone.
type alone struct {
	process                            *kit.Process
	webhookURL, natsURL, mongoURI, url string
	settings                           []string
	consumers                          []string
}

// startAlone starts standalone on a folder and waits until it is ready.
func startAlone(t *testing.T, dir string, settings ...string) *alone {
	t.Helper()
	web, admin, natsAddr, docAddr := kit.FreeAddr(t), kit.FreeAddr(t), kit.FreeAddr(t), kit.FreeAddr(t)
	env := append([]string{
		"DATA_DIR=" + dir, "LISTEN_ADDR=" + web, "ADMIN_ADDR=" + admin, "STANDALONE_NATS_ADDR=" + natsAddr,
		"STANDALONE_MONGODB_ADDR=" + docAddr, "STRIPE_WEBHOOK_SECRETS=" + secret,
	}, settings...)
	a := &alone{
		process: &kit.Process{
			Name: "standalone", Command: []string{filepath.Join(binaries, "standalone")}, Env: env, Log: filepath.Join(dir, "log"),
		},
		webhookURL: "http://" + web + "/webhooks/stripe", natsURL: "nats://" + natsAddr, mongoURI: "mongodb://" + docAddr,
		url: "http://" + admin, settings: settings, consumers: []string{"billbus-subscriber"},
	}
	a.start(t)
	return a
}

// start starts standalone again, on the same addresses.
func (a *alone) start(t *testing.T) {
	t.Helper()
	a.process.Start(t)
	kit.Eventually(t, "standalone is ready; its log is "+a.process.Log, func() bool {
		return kit.Get(a.url+"/readyz").Status == http.StatusOK
	})
}

func (a *alone) stop(t *testing.T) {
	t.Helper()
	if err := a.process.Terminate(t); err != nil {
		t.Error(err)
	}
}

// send sends a signed webhook.
func (a *alone) send(body []byte) (kit.Response, error) {
	return kit.Post(a.webhookURL, body, kit.Sign(body, secret, time.Now()))
}

// accept sends a webhook that must be answered 200, and returns the answer.
func (a *alone) accept(t *testing.T, body []byte) string {
	t.Helper()
	resp, err := a.send(body)
	if err != nil || resp.Status != http.StatusOK {
		t.Errorf("got %d %s, %v", resp.Status, resp.Body, err)
	}
	return resp.Body
}

func (a *alone) jetStream(t *testing.T) jetstream.JetStream {
	t.Helper()
	return natstest.JetStream(t, a.natsURL)
}

// settle waits until every message has been acknowledged, also those that the resolver
// publishes, and until the records have the names of the catalog.
func (a *alone) settle(t *testing.T) {
	t.Helper()
	for _, consumer := range a.consumers {
		a.settleOf(t, consumer)
	}
	catalog := a.database(t).Collection("catalog")
	kit.Drained(t, "the records have the names of the catalog", func() (uint64, error) {
		n, err := catalog.CountDocuments(t.Context(), bson.D{{Key: "sweep.unfinished", Value: true}})
		return uint64(n), err //nolint:gosec // not negative
	})
}

func (a *alone) settleOf(t *testing.T, consumer string) {
	t.Helper()
	js := a.jetStream(t)
	kit.Drained(t, consumer+" has acknowledged every message", func() (uint64, error) {
		return natstest.Unsettled(t, js, stream, consumer)
	})
}

// subscriber runs a command of the subscriber and returns what it prints.
func (a *alone) subscriber(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "subscriber"), args...)
	cmd.Env = append([]string{"NATS_URL=" + a.natsURL, "MONGODB_URI=" + a.mongoURI}, a.settings...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	return string(out) + errs.String(), err
}

// messages returns all messages of the stream by the id of the event, as JSON.
func (a *alone) messages(t *testing.T) map[string][]any {
	t.Helper()
	consumer, err := a.jetStream(t).OrderedConsumer(t.Context(), stream, jetstream.OrderedConsumerConfig{FilterSubjects: events.FactSubjects()})
	if err != nil {
		t.Fatal(err)
	}
	left := consumer.CachedInfo().NumPending
	all := map[string][]any{}
	for ; left > 0; left-- {
		msg, err := consumer.Next(jetstream.FetchMaxWait(20 * time.Second))
		if err != nil {
			t.Fatalf("reading the stream: %v", err)
		}
		var m map[string]any
		if err := json.Unmarshal(msg.Data(), &m); err != nil {
			t.Fatal(err)
		}
		id, _ := m["id"].(string)
		all[id] = append(all[id], m)
	}
	return all
}
