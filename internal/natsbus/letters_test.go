package natsbus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

func refuse(*message.Message) error {
	return fault.New(fault.Permanent, fault.MessageUnreadable, errors.New("cannot be read"))
}

// without removes the stream of the dead letters while messages are handled, and returns
// a function that creates it again.
func (r *rig) without(t *testing.T, handle message.NoPublishHandlerFunc) (tries *atomic.Int64, restore func()) {
	t.Helper()
	if err := r.js.DeleteStream(t.Context(), natsbus.DeadLetterStream); err != nil {
		t.Fatal(err)
	}
	tries = &atomic.Int64{}
	cfg := r.config()
	keep := cfg.DeadLetter
	cfg.DeadLetter = func(ctx context.Context, l natsbus.Letter) error {
		err := keep(ctx, l)
		tries.Add(1)
		return err
	}
	r.consume(t, cfg, handle)
	return tries, func() { provisioned(t, r.bus, settings(), natsbus.SubscriberConsumer(consumer)) }
}

func TestMessageStaysWhileThereIsNoStreamForItsLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(t, 2)
	var good atomic.Int64
	tries, restore := r.without(t, func(msg *message.Message) error {
		if msg.UUID == "evt_0" {
			return refuse(msg)
		}
		good.Add(1)
		return nil
	})
	kit.Eventually(t, "several tries, and the other message is done", func() bool { return tries.Load() >= 2 && good.Load() == 1 })
	if floor := r.info(t).AckFloor.Stream; floor != 0 {
		t.Errorf("got ack floor %d without a letter, want 0", floor)
	}
	restore()
	r.settled(t)
	if n := r.letters(t); n != 1 {
		t.Errorf("got %d letters, want 1", n)
	}
}

// A letter of a message that panics is tried again at the next delivery, not after five
// further ones.
func TestPanicsAreCountedUntilTheLetterIsStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(t, 1)
	var panics atomic.Int64
	tries, restore := r.without(t, func(*message.Message) error {
		panics.Add(1)
		panic("always")
	})
	kit.Eventually(t, "several tries", func() bool { return tries.Load() >= 3 })
	restore()
	r.settled(t)
	if got, want := panics.Load(), tries.Load()+4; got != want || r.letters(t) != 1 {
		t.Errorf("got %d panics and %d letters, want %d and 1", got, r.letters(t), want)
	}
}

// all returns what All yields.
func all(t *testing.T, letters *natsbus.DeadLetters, subject string) (found []natsbus.StoredLetter) {
	t.Helper()
	for l, err := range letters.All(t.Context(), subject) {
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, l)
	}
	return found
}

func TestLettersAreReadAndRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i, subject := range []string{"stripe.x", "subscription.updated", "stripe.invoice.paid"} {
		msg := nats.NewMsg(subject)
		msg.Data = fmt.Append(nil, i)
		msg.Header.Set("ce-id", "evt")
		if _, err := r.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	r.consume(t, r.config(), refuse)
	r.settled(t)
	letters := r.bus.NewDeadLetters(time.Now)
	byMessage := map[uint64]natsbus.StoredLetter{}
	for _, l := range all(t, letters, "") {
		byMessage[l.Delivery.Sequence] = l
	}
	l := byMessage[2]
	stored := natstest.Message(t, r.js, "BILLBUS", 2).Time.UTC()
	want := natsbus.Delivery{Stream: "BILLBUS", Sequence: 2, StoredAt: stored, Deliveries: 1, Subject: "subscription.updated"}
	if diff := cmp.Diff(want, l.Delivery); diff != "" || len(byMessage) != 3 {
		t.Errorf("got %d letters, the delivery of one (-want +got):\n%s", len(byMessage), diff)
	}
	if l.Code != "unreadable" || l.Reason != "cannot be read" || l.Consumer != consumer || string(l.Payload) != "1" || l.Header["Ce-Id"] == nil && l.Header["ce-id"] == nil {
		t.Errorf("got %+v", l)
	}
	for pattern, n := range map[string]int{"stripe.>": 2, "subscription.*": 1, "stripe.x": 1, "stripe": 0} {
		if got := len(all(t, letters, pattern)); got != n {
			t.Errorf("%s: got %d letters, want %d", pattern, got, n)
		}
	}
	msg, err := letters.Message(t.Context(), l)
	if delivery, ok := natsbus.DeliveryOf(msg); err != nil || !ok || delivery != want || string(msg.Payload) != "1" {
		t.Errorf("got message %s of %+v, %v", msg.Payload, delivery, err)
	}
	for range 2 { // the second time it is gone
		if err := letters.Remove(t.Context(), l.Sequence); err != nil {
			t.Error(err)
		}
	}
	if _, err := letters.Get(t.Context(), l.Sequence); !errors.Is(err, natsbus.ErrNoLetter) || r.letters(t) != 2 {
		t.Errorf("got %v and %d letters, want it gone and 2", err, r.letters(t))
	}
}

func TestOmittedPayloadIsReadFromItsOwnStreamOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	payload := strings.Repeat("x", r.bus.MaxMessage()+4<<10)
	if err := r.pub.Publish("stripe.x", newMessage("evt_big", payload)); err != nil {
		t.Fatal(err)
	}
	stop := r.consume(t, r.config(), refuse)
	r.settled(t)
	stop()
	read := func() (*message.Message, error) {
		letters := r.bus.NewDeadLetters(time.Now)
		return letters.Message(t.Context(), all(t, letters, "")[0])
	}
	if msg, err := read(); err != nil || string(msg.Payload) != payload {
		t.Fatalf("got %v", err)
	}
	if err := r.js.DeleteStream(t.Context(), "BILLBUS"); err != nil {
		t.Fatal(err)
	}
	provisioned(t, r.bus, settings(), natsbus.SubscriberConsumer(consumer))
	if err := r.pub.Publish("stripe.x", newMessage("evt_other", "another message")); err != nil {
		t.Fatal(err)
	}
	if msg, err := read(); err == nil || !strings.Contains(err.Error(), "message 1 is no longer in the stream BILLBUS") {
		t.Errorf("got %v, %v, want no payload of another message", msg, err)
	}
}

func TestDocumentedPermissionsForDeadLettersAreEnough(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(string(text), "\n| `subscriber dlq` | ")
	row, _, _ = strings.Cut(row, "\n")
	var allowed []string
	for i, part := range strings.Split(row, "`") {
		if i%2 == 1 {
			allowed = append(allowed, part)
		}
	}
	url := restricted(t, &server.Permissions{
		Publish: &server.SubjectPermission{Allow: allowed}, Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
	})
	r := &rig{url: url, bus: open(t, url), js: natstest.JetStream(t, url)}
	provisioned(t, r.bus, settings(), natsbus.SubscriberConsumer(consumer))
	r.pub = publisher(t, r.bus)
	if err := r.pub.Publish("stripe.x", newMessage("evt_big", strings.Repeat("x", r.bus.MaxMessage()+4<<10))); err != nil {
		t.Fatal(err)
	}
	r.consume(t, r.config(), refuse)
	r.settled(t)
	bus := openAs(t, natsbus.Auth{URL: url, User: "program", Password: secret.New("pw")})
	if err := bus.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	letters := bus.NewDeadLetters(time.Now)
	l := all(t, letters, "")[0]
	if _, err := letters.Message(t.Context(), l); err != nil {
		t.Error(err)
	}
	if err := letters.Remove(t.Context(), l.Sequence); err != nil {
		t.Error(err)
	}
}
