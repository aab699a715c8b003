package examples_test

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/test/kit/natstest"
)

// stream is a server with the stream that Billbus creates.
type stream struct {
	url  string
	js   jetstream.JetStream
	sent uint64 // to subscription.*
}

func newStream(t *testing.T) *stream {
	t.Helper()
	url := natstest.Start(t).URL()
	bus, err := natsbus.Open(natsbus.Auth{URL: url}, t.Name(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	if err := bus.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	settings := natsbus.StreamSettings{Name: "BILLBUS", Replicas: 1, MaxBytes: -1, DuplicateWindow: 72 * time.Hour, StateView: true}
	if err := bus.Alter(t.Context(), settings); err != nil {
		t.Fatal(err)
	}
	return &stream{url: url, js: natstest.JetStream(t, url)}
}

// publish sends no message id, so the stream stores a repeated message again, as it does
// after the duplicate window.
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

// settled returns how many messages the durable consumer has settled.
func (s *stream) settled(t *testing.T, durable string) uint64 {
	t.Helper()
	info, ok := s.consumer(t, durable)
	if !ok || info.Delivered.Consumer == 0 { // a new consumer does not know its pending messages yet
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

// hurry shortens the ack wait, after which the server delivers the messages of a killed
// process again. Examples must accept a consumer with other settings.
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

// story is the history of some subscriptions.
type story struct {
	truth    map[string]stripesim.Truth
	messages []events.Message // about subscriptions, in random order
}

// seed makes the same events in the same order each time.
const seed = 7

func newStory(t *testing.T, subscriptions int) story {
	t.Helper()
	n, err := normalize.New(normalize.Options{Livemode: normalize.Test, Accounts: []string{normalize.Platform}, UserIDKeys: []string{"user_id"}, ClientReference: normalize.ClientReferenceOff})
	if err != nil {
		t.Fatal(err)
	}
	// There are no changes in one second, so comparing times finds the correct state.
	history := stripesim.Generate(stripesim.Config{Seed: seed, Subscriptions: subscriptions, UserIDs: true})
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
	rng := rand.New(rand.NewPCG(seed, seed))
	rng.Shuffle(len(s.messages), func(i, j int) { s.messages[i], s.messages[j] = s.messages[j], s.messages[i] })
	return s
}
