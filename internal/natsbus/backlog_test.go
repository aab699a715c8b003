package natsbus_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// backlog returns what is pending, and how old the oldest message is.
func (r *rig) backlog(t *testing.T, l *natsbus.Backlog) (natsbus.Pending, time.Duration) {
	t.Helper()
	pending, err := l.Pending(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	age, err := l.Oldest(t.Context(), pending)
	if err != nil {
		t.Fatal(err)
	}
	return pending, age
}

// ack acknowledges messages by their sequence in the stream, in this order.
func (r *rig) ack(t *testing.T, sequences ...uint64) {
	t.Helper()
	c, err := r.js.Consumer(t.Context(), "BILLBUS", consumer)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := c.FetchNoWait(100)
	if err != nil {
		t.Fatal(err)
	}
	messages := map[uint64]jetstream.Msg{}
	for msg := range batch.Messages() {
		meta, err := msg.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		messages[meta.Sequence.Stream] = msg
	}
	for _, sequence := range sequences {
		if err := messages[sequence].DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// wantOldest checks that the oldest pending message has this sequence. The consumer may
// learn about a message a moment after its publisher.
func (r *rig) wantOldest(t *testing.T, l *natsbus.Backlog, sequence uint64) {
	t.Helper()
	var pending natsbus.Pending
	var age time.Duration
	kit.Eventually(t, "a message is pending", func() bool {
		pending, age = r.backlog(t, l)
		return pending.Messages > 0
	})
	if want := pending.At().Sub(natstest.Message(t, r.js, "BILLBUS", sequence).Time); age != want {
		t.Errorf("the oldest pending message is %s old, want %s", age, want)
	}
}

func TestBacklogOfAnEmptyStreamIsZero(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if pending, age := r.backlog(t, r.bus.NewBacklog("BILLBUS", consumer)); pending.Messages != 0 || age != 0 {
		t.Errorf("got %d messages, the oldest %s old, want nothing", pending.Messages, age)
	}
}

func TestOldestPendingIsTheFirstThatIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.bus.NewBacklog("BILLBUS", consumer)
	r.publish(t, 4)
	r.wantOldest(t, l, 1)
	r.ack(t, 1, 3)
	r.wantOldest(t, l, 2)
	if pending, _ := r.backlog(t, l); pending.Messages != 2 {
		t.Errorf("got %d pending messages, want 2", pending.Messages)
	}
}

func TestOldestPendingSkipsDeletedMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(t, 3)
	stream := natstest.Stream(t, r.js, "BILLBUS")
	for sequence := range uint64(2) {
		if err := stream.DeleteMsg(t.Context(), sequence+1); err != nil {
			t.Fatal(err)
		}
	}
	r.wantOldest(t, r.bus.NewBacklog("BILLBUS", consumer), 3)
}

func TestBacklogForgetsADeletedStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := r.bus.NewBacklog("BILLBUS", consumer)
	r.publish(t, 1)
	r.wantOldest(t, l, 1)
	if err := r.js.DeleteStream(t.Context(), "BILLBUS"); err != nil {
		t.Fatal(err)
	}
	provisioned(t, r.bus, settings(), natsbus.SubscriberConsumer(consumer))
	r.publish(t, 1)
	r.wantOldest(t, l, 1)
}

func TestStreamSizeAndLimit(t *testing.T) {
	t.Parallel()
	bus := open(t, natstest.Start(t).URL())
	s := settings()
	s.MaxBytes = 1 << 20
	provisioned(t, bus, s, noConsumer)
	if bytes, limit, err := bus.StreamSize(t.Context(), "BILLBUS"); bytes != 0 || limit != 1<<20 || err != nil {
		t.Errorf("got %d of %d bytes, %v, want 0 of %d", bytes, limit, err, 1<<20)
	}
	if _, _, err := bus.StreamSize(t.Context(), "NONE"); err == nil {
		t.Error("got the size of a stream that does not exist")
	}
}
