package examples_test

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripesim"
)

// stream is a server with the stream in it, as Billbus makes it.
type stream struct {
	url  string
	js   jetstream.JetStream
	sent uint64 // to subscription.*
}

func newStream(t *testing.T) *stream {
	t.Helper()
	srv, err := natsserver.Start(natsserver.Config{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	bus, err := natsbus.Open(natsbus.Auth{URL: srv.URL()}, t.Name(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	if err := bus.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	settings := natsbus.StreamSettings{Name: "BILLBUS", Replicas: 1, MaxBytes: -1, DuplicateWindow: 72 * time.Hour}
	if err := bus.Alter(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	return &stream{url: srv.URL(), js: connect(t, srv.URL())}
}

func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// publish leaves out the message id, by which the stream would recognize a message
// that comes again: this is what happens after the duplicate window.
func (s *stream) publish(t *testing.T, messages ...events.Message) {
	t.Helper()
	for _, m := range messages {
		payload, err := events.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		s.publishRaw(t, m.Type, payload)
	}
}

func (s *stream) publishRaw(t *testing.T, subject string, payload []byte) {
	t.Helper()
	if _, err := s.js.Publish(t.Context(), subject, payload); err != nil {
		t.Fatal(err)
	}
	s.sent++
}

// settled counts the messages that the durable consumer has heard the last of.
func (s *stream) settled(t *testing.T, durable string) uint64 {
	t.Helper()
	info, ok := s.consumer(t, durable)
	if !ok || info.Delivered.Consumer == 0 { // what is pending is not counted at once
		return 0
	}
	return s.sent - info.NumPending - uint64(info.NumAckPending)
}

func (s *stream) consumer(t *testing.T, durable string) (jetstream.ConsumerInfo, bool) {
	t.Helper()
	stream, err := s.js.Stream(t.Context(), "BILLBUS")
	if err != nil {
		t.Fatal(err)
	}
	consumers := stream.ListConsumers(t.Context())
	for info := range consumers.Info() {
		if info.Name == durable {
			return *info, true
		}
	}
	if err := consumers.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
		t.Fatal(err)
	}
	return jetstream.ConsumerInfo{}, false
}

// hurry makes the server deliver again soon what a killed process had in hand. It
// is also what whoever runs an example may have set by himself.
func (s *stream) hurry(t *testing.T, durable string) {
	t.Helper()
	info, ok := s.consumer(t, durable)
	if !ok {
		t.Fatalf("there is no consumer %s", durable)
	}
	info.Config.AckWait = 2 * time.Second
	update := func() error { _, err := s.js.UpdateConsumer(t.Context(), "BILLBUS", info.Config); return err }
	if info.Config.DeliverSubject != "" {
		update = func() error { _, err := s.js.UpdatePushConsumer(t.Context(), "BILLBUS", info.Config); return err }
	}
	if err := update(); err != nil {
		t.Fatal(err)
	}
}

// story is what happens to a few subscriptions.
type story struct {
	truth    map[string]stripesim.Truth
	messages []events.Message // of subscriptions, in no order
}

func newStory(t *testing.T, subscriptions int) story {
	t.Helper()
	n, err := normalize.New(normalize.Options{Livemode: normalize.Test, Accounts: []string{normalize.Platform}, UserIDKeys: []string{"user_id"}, ClientReference: normalize.ClientReferenceOff})
	if err != nil {
		t.Fatal(err)
	}
	// Without ties: then everybody who compares the moments finds the truth.
	history := stripesim.Generate(stripesim.Config{Seed: 7, Subscriptions: subscriptions, UserIDs: true})
	s := story{truth: history.Truth}
	for _, d := range history.Deliveries {
		m, err := n.Event(d.Body, normalize.Receipt{Origin: events.OriginWebhook, ReceivedAt: d.Created})
		if err != nil {
			t.Fatal(err)
		}
		if m.Data.Subscription != nil {
			s.messages = append(s.messages, m)
		}
	}
	rng := rand.New(rand.NewPCG(7, 7))
	rng.Shuffle(len(s.messages), func(i, j int) { s.messages[i], s.messages[j] = s.messages[j], s.messages[i] })
	return s
}
