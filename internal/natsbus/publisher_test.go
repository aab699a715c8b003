package natsbus_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

func TestPublishStoresEachIDOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const ids, tries = 200, 5
	var work sync.WaitGroup
	for i := range ids * tries {
		work.Go(func() {
			id := fmt.Sprintf("evt_%d", i%ids)
			if err := r.pub.Publish("stripe.x", newMessage(id, id)); err != nil {
				t.Errorf("publishing %s: %v", id, err)
			}
		})
	}
	work.Wait()
	if got := natstest.Count(t, r.js, "BILLBUS"); got != ids {
		t.Errorf("got %d messages, want %d", got, ids)
	}
	for sequence := uint64(1); sequence <= ids; sequence++ {
		msg := natstest.Message(t, r.js, "BILLBUS", sequence)
		if id := msg.Header.Get("Nats-Msg-Id"); id != string(msg.Data) {
			t.Fatalf("message %q was stored under id %q", msg.Data, id)
		}
	}
}

func TestPublishIgnoresMetadataThatTheServerWouldObey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	msg := newMessage("evt_1", "x")
	msg.Metadata.Set("Nats-Rollup", "all")
	msg.Metadata.Set("nats-msg-id", "other")
	msg.Metadata.Set("Billbus-Livemode", "true")
	if err := r.pub.Publish("stripe.x", msg); err != nil {
		t.Fatal(err)
	}
	stored := natstest.Message(t, r.js, "BILLBUS", 1)
	if stored.Header.Get("Nats-Rollup") != "" || stored.Header.Get("nats-msg-id") != "" {
		t.Errorf("got headers %v", stored.Header)
	}
	if stored.Header.Get("Billbus-Livemode") != "true" || stored.Header.Get("Nats-Msg-Id") != "evt_1" {
		t.Errorf("got headers %v", stored.Header)
	}
}

func TestPublishFailsIfOnlyAnotherStreamHasTheSubject(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	_, err := natstest.JetStream(t, srv.URL()).CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"stripe.>"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := publisher(t, connected(t, srv.URL())).Publish("stripe.x", newMessage("evt_1", "x")); err == nil {
		t.Error("got no error without our stream")
	}
}

const maxStore = 1 << 20

func TestPublishFailsAsTransient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		arrange func(t *testing.T, srv *natsserver.Server, bus *natsbus.Bus)
		reason  fault.Reason
	}{
		"server down": {func(t *testing.T, srv *natsserver.Server, bus *natsbus.Bus) {
			srv.Close()
			kit.Eventually(t, "disconnected", func() bool { return bus.Check(t.Context()) != nil })
		}, fault.NATSUnreachable},
		"stream missing": {func(*testing.T, *natsserver.Server, *natsbus.Bus) {}, fault.StreamMissing},
		"stream full": {func(t *testing.T, _ *natsserver.Server, bus *natsbus.Bus) {
			small := settings()
			small.MaxBytes = 1
			provisioned(t, bus, small, noConsumer)
		}, fault.StreamFull},
		"JetStream full": {func(t *testing.T, _ *natsserver.Server, bus *natsbus.Bus) {
			provisioned(t, bus, settings(), noConsumer)
			large := strings.Repeat("x", maxStore/2)
			kit.Eventually(t, "full", func() bool { return publisher(t, bus).Publish("stripe.x", newMessage("", large)) != nil })
		}, fault.JetStreamFull},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := natstest.StartWith(t, natsserver.Config{Addr: "127.0.0.1:0", Dir: t.TempDir(), MaxStore: maxStore})
			bus := connected(t, srv.URL())
			c.arrange(t, srv, bus)
			start := time.Now()
			err := publisher(t, bus).Publish("stripe.x", newMessage("evt_1", "some payload"))
			if err == nil || fault.KindOf(err) != fault.Transient || fault.ReasonOf(err) != c.reason {
				t.Errorf("got %v (%s), want a transient error with reason %s", err, fault.ReasonOf(err), c.reason)
			}
			if took := time.Since(start); took > 3500*time.Millisecond {
				t.Errorf("took %v, longer than the publish timeout", took)
			}
		})
	}
}

// BenchmarkPublish measures what a webhook waits for.
func BenchmarkPublish(b *testing.B) {
	payload := strings.Repeat("x", 4<<10)
	b.Run("serial", func(b *testing.B) {
		pub := benchmarkPublisher(b)
		for i := 0; b.Loop(); i++ {
			if err := pub.Publish("stripe.x", newMessage(fmt.Sprintf("evt_%d", i), payload)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		pub := benchmarkPublisher(b)
		var last atomic.Int64
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := pub.Publish("stripe.x", newMessage(fmt.Sprintf("evt_%d", last.Add(1)), payload)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func benchmarkPublisher(b *testing.B) *natsbus.Publisher {
	b.Helper()
	bus := connected(b, natstest.Start(b).URL())
	if err := bus.Alter(b.Context(), settings()); err != nil {
		b.Fatal(err)
	}
	return publisher(b, bus)
}

func TestSmallMaxPayloadIsKnown(t *testing.T) {
	t.Parallel()
	for maxPayload, want := range map[int32]int{1024: 512, 8192: 4096, 16384: 8192, 1 << 20: 1<<20 - 8192} {
		srv := natstest.StartWith(t, natsserver.Config{Addr: "127.0.0.1:0", Dir: t.TempDir(), MaxPayload: maxPayload})
		if got := connected(t, srv.URL()).MaxMessage(); got != want {
			t.Errorf("max_payload %d: got messages of up to %d bytes, want %d", maxPayload, got, want)
		}
	}
	if got := open(t, "nats://"+kit.FreeAddr(t)).MaxMessage(); got != 0 {
		t.Errorf("not connected: got %d, want 0 for unknown", got)
	}
}
