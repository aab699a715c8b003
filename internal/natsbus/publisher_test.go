package natsbus_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit"
)

func natsserverWithPassword(t *testing.T) (*natsserver.Server, error) {
	t.Helper()
	srv, err := natsserver.Start(natsserver.Config{Addr: "127.0.0.1:0", Dir: t.TempDir(), Password: "right-password"})
	if err == nil {
		t.Cleanup(srv.Close)
	}
	return srv, err
}

func publisher(t testing.TB, bus *natsbus.Bus) *natsbus.Publisher {
	t.Helper()
	pub, err := bus.NewPublisher("BILLBUS", 3*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func newMessage(id, payload string) *message.Message { return message.NewMessage(id, []byte(payload)) }

func messages(t *testing.T, js jetstream.JetStream, stream string) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func TestPublishStoresEachIDOnce(t *testing.T) {
	srv := startServer(t)
	bus := open(t, srv.URL())
	kit.Eventually(t, "ready", ready(provision(t, bus, natsbus.ProvisionCreate, settings(), "")))
	pub := publisher(t, bus)
	const ids, tries = 200, 5
	var work sync.WaitGroup
	for i := range ids * tries {
		work.Go(func() {
			id := fmt.Sprintf("evt_%d", i%ids)
			if err := pub.Publish("stripe.x", newMessage(id, id)); err != nil {
				t.Errorf("publishing %s: %v", id, err)
			}
		})
	}
	work.Wait()
	js := jetStream(t, srv.URL())
	if got := messages(t, js, "BILLBUS"); got != ids {
		t.Errorf("got %d messages, want %d", got, ids)
	}
	stream, err := js.Stream(t.Context(), "BILLBUS")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= ids; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		if id := msg.Header.Get("Nats-Msg-Id"); id != string(msg.Data) {
			t.Fatalf("message %q was stored under id %q", msg.Data, id)
		}
	}
}

func TestPublishLetsNoMetadataCommandTheServer(t *testing.T) {
	srv := startServer(t)
	bus := open(t, srv.URL())
	kit.Eventually(t, "ready", ready(provision(t, bus, natsbus.ProvisionCreate, settings(), "")))
	msg := newMessage("evt_1", "x")
	msg.Metadata.Set("Nats-Rollup", "all")
	msg.Metadata.Set("nats-msg-id", "other")
	msg.Metadata.Set("Billbus-Livemode", "true")
	if err := publisher(t, bus).Publish("stripe.x", msg); err != nil {
		t.Fatal(err)
	}
	stream, err := jetStream(t, srv.URL()).Stream(t.Context(), "BILLBUS")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if stored.Header.Get("Nats-Rollup") != "" || stored.Header.Get("nats-msg-id") != "" {
		t.Errorf("got headers %v", stored.Header)
	}
	if stored.Header.Get("Billbus-Livemode") != "true" || stored.Header.Get("Nats-Msg-Id") != "evt_1" {
		t.Errorf("got headers %v", stored.Header)
	}
}

func TestPublishDoesNotTakeAnotherStreamsAckForOurs(t *testing.T) {
	srv := startServer(t)
	_, err := jetStream(t, srv.URL()).CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"stripe.>"}})
	if err != nil {
		t.Fatal(err)
	}
	bus := open(t, srv.URL())
	kit.Eventually(t, "connected", func() bool { return bus.Check(t.Context()) == nil })
	if err := publisher(t, bus).Publish("stripe.x", newMessage("evt_1", "x")); err == nil {
		t.Error("the publish succeeded without our stream")
	}
}

func TestPublishFailsAsTransient(t *testing.T) {
	for name, c := range map[string]struct {
		arrange func(t *testing.T, srv *natsserver.Server, bus *natsbus.Bus)
		reason  string
	}{
		"nats_unreachable": {func(t *testing.T, srv *natsserver.Server, bus *natsbus.Bus) {
			kit.Eventually(t, "connected", func() bool { return bus.Check(t.Context()) == nil })
			srv.Close()
			kit.Eventually(t, "disconnected", func() bool { return bus.Check(t.Context()) != nil })
		}, "nats_unreachable"},
		"stream_missing": {func(t *testing.T, _ *natsserver.Server, bus *natsbus.Bus) {
			kit.Eventually(t, "connected", func() bool { return bus.Check(t.Context()) == nil })
		}, "stream_missing"},
		"stream_full": {func(t *testing.T, _ *natsserver.Server, bus *natsbus.Bus) {
			small := settings()
			small.MaxBytes = 1
			kit.Eventually(t, "ready", ready(provision(t, bus, natsbus.ProvisionCreate, small, "")))
		}, "stream_full"},
	} {
		t.Run(name, func(t *testing.T) {
			srv := startServer(t)
			bus := open(t, srv.URL())
			c.arrange(t, srv, bus)
			start := time.Now()
			err := publisher(t, bus).Publish("stripe.x", newMessage("evt_1", "some payload"))
			if fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != fault.Reason(c.reason) || err == nil {
				t.Errorf("got %v (%s), want a transient error with reason %s", err, fault.ReasonOf(err), c.reason)
			}
			if took := time.Since(start); took > 3500*time.Millisecond {
				t.Errorf("took %v, longer than the publish timeout", took)
			}
		})
	}
}
