package natsbus_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const consumer = "billbus-subscriber"

// noConsumer makes a provisioner of the streams alone.
var noConsumer = natsbus.Consumer{}

func open(t testing.TB, url string) *natsbus.Bus {
	t.Helper()
	return openAs(t, natsbus.Auth{URL: url})
}

func openAs(t testing.TB, auth natsbus.Auth) *natsbus.Bus {
	t.Helper()
	bus, err := natsbus.Open(auth, t.Name(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	return bus
}

// connected opens a bus and waits until it is connected.
func connected(t testing.TB, url string) *natsbus.Bus {
	t.Helper()
	bus := open(t, url)
	if err := bus.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	return bus
}

func settings() natsbus.StreamSettings {
	return natsbus.StreamSettings{Name: "BILLBUS", Replicas: 1, MaxBytes: -1, DuplicateWindow: 72 * time.Hour}
}

// provision runs a provisioner until the test ends.
func provision(t testing.TB, bus *natsbus.Bus, mode natsbus.ProvisionMode, s natsbus.StreamSettings, c natsbus.Consumer) *natsbus.Provisioner {
	t.Helper()
	p, stop := running(t, bus, mode, s, c)
	t.Cleanup(stop)
	return p
}

func running(t testing.TB, bus *natsbus.Bus, mode natsbus.ProvisionMode, s natsbus.StreamSettings, c natsbus.Consumer) (p *natsbus.Provisioner, stop func()) {
	t.Helper()
	p = bus.NewProvisioner(mode, s, c)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	return p, func() { cancel(); <-done }
}

// created creates the streams and a consumer, and leaves them to themselves: a provisioner
// that goes on would repair what the test alters.
func created(t testing.TB, url string, c natsbus.Consumer) {
	t.Helper()
	p, stop := running(t, open(t, url), natsbus.ProvisionCreate, settings(), c)
	defer stop()
	kit.Eventually(t, "ready", ready(p))
}

// provisioned creates the streams and a consumer, and waits until they are ready.
func provisioned(t testing.TB, bus *natsbus.Bus, s natsbus.StreamSettings, c natsbus.Consumer) *natsbus.Provisioner {
	t.Helper()
	p := provision(t, bus, natsbus.ProvisionCreate, s, c)
	kit.Eventually(t, "ready", ready(p))
	return p
}

func ready(p *natsbus.Provisioner) func() bool {
	return func() bool { return p.Check(context.Background()) == nil }
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

// rig is a server with the streams and the consumer, and a bus that is connected to
// it.
type rig struct {
	url string
	bus *natsbus.Bus
	js  jetstream.JetStream
	pub *natsbus.Publisher
}

func newRig(t testing.TB) *rig {
	t.Helper()
	url := natstest.Start(t).URL()
	bus := open(t, url)
	provisioned(t, bus, settings(), natsbus.SubscriberConsumer(consumer))
	return &rig{url: url, bus: bus, js: natstest.JetStream(t, url), pub: publisher(t, bus)}
}

// publish publishes evt_0 to evt_<n-1>.
func (r *rig) publish(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		if err := r.pub.Publish("stripe.x", newMessage(fmt.Sprintf("evt_%d", i), fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
}
