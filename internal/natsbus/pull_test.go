package natsbus_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// A consumer with replicas sends a message when the replicas agree, but at once that a
// pull has all of its messages.
func TestPullsOfAConsumerWithReplicasLoseNoMessage(t *testing.T) {
	t.Parallel()
	url := natstest.StartCluster(t, 3)
	bus, s := connected(t, url), settings()
	s.Replicas = 3
	provisioned(t, bus, s, natsbus.SubscriberConsumer(consumer))
	r := &rig{url: url, bus: bus, js: natstest.JetStream(t, url), pub: publisher(t, bus)}
	r.publish(t, 100)

	t.Run("subscriber", func(t *testing.T) {
		var mu sync.Mutex
		deliveries := map[uint64]uint64{}
		cfg := r.config()
		cfg.MaxInFlight = 1 // each pull is complete after one message
		cfg.Settled = func(d natsbus.Delivery) {
			mu.Lock()
			defer mu.Unlock()
			deliveries[d.Sequence] = max(deliveries[d.Sequence], d.Deliveries)
		}
		stop := r.consume(t, cfg, func(*message.Message) error { return nil })
		r.settled(t)
		stop()
		for sequence, n := range deliveries {
			if n > 1 {
				t.Errorf("message %d came with delivery %d", sequence, n)
			}
		}
		if len(deliveries) != 100 {
			t.Errorf("got %d messages, want 100", len(deliveries))
		}
	})
	t.Run("replay", func(t *testing.T) {
		replay, err := bus.OpenReplay(t.Context(), natsbus.ReplayConfig{Stream: "BILLBUS", Consumer: "billbus-replay"})
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for {
			messages, err := replay.Next(t.Context(), 3)
			if err != nil {
				t.Fatal(err)
			}
			if len(messages) == 0 {
				break
			}
			for _, msg := range messages {
				if d, _ := natsbus.DeliveryOf(msg); d.Deliveries > 1 {
					t.Errorf("message %d came with delivery %d", d.Sequence, d.Deliveries)
				}
				got = append(got, msg.UUID)
			}
			if err := replay.Done(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 100 {
			want = append(want, fmt.Sprint("evt_", i))
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %d messages %v, want 100 in order", len(got), got)
		}
	})
}

// While the connection is down, a pull fails at once. Each subscription that it left behind would be made
// again at the next connection.
func TestPullThatFailsLeavesNoSubscription(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	bus := connected(t, srv.URL())
	before := bus.Subscriptions()
	srv.Close()
	kit.Eventually(t, "disconnected", func() bool { return bus.Check(t.Context()) != nil })
	if err := bus.Pull(t.Context(), "BILLBUS.c"); err == nil {
		t.Error("a pull has not failed")
	}
	if got := bus.Subscriptions(); got != before {
		t.Errorf("got %d subscriptions, want %d", got, before)
	}
}

// The client drops what does not fit into the channel of a subscription, and the message is
// delivered again only after the ack wait.
func TestAPullHasRoomForAllOfItsMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(t, 200)
	got, err := r.bus.PullLate(t.Context(), "BILLBUS."+consumer, 200, func() {
		kit.Eventually(t, "the server has sent all messages", func() bool { return r.info(t).NumAckPending == 200 })
	})
	if got != 200 || err != nil {
		t.Errorf("got %d of 200 messages, and error %v", got, err)
	}
}
