package natsbus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit"
)

// rig is a server with streams and consumer, and a bus on it.
type rig struct {
	url string
	bus *natsbus.Bus
	js  jetstream.JetStream
	pub *natsbus.Publisher
}

func newRig(t *testing.T) *rig {
	t.Helper()
	srv := startServer(t)
	bus := open(t, srv.URL())
	kit.Eventually(t, "ready", ready(provision(t, bus, natsbus.ProvisionCreate, settings(), consumer)))
	return &rig{url: srv.URL(), bus: bus, js: jetStream(t, srv.URL()), pub: publisher(t, bus)}
}

func (r *rig) publish(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		if err := r.pub.Publish("stripe.x", newMessage(fmt.Sprintf("evt_%d", i), fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *rig) config() natsbus.SubscriberConfig {
	return natsbus.SubscriberConfig{
		Stream: "BILLBUS", Consumer: consumer, MaxInFlight: 16, CloseTimeout: 5 * time.Second,
		Delay:      func(fault.Kind, uint64) time.Duration { return 20 * time.Millisecond },
		DeadLetter: r.bus.NewDeadLetters(time.Now).Keep,
		Log:        slog.New(slog.DiscardHandler),
	}
}

// consume runs handle for each message as watermill's router does, until stop.
func (r *rig) consume(t *testing.T, cfg natsbus.SubscriberConfig, handle message.NoPublishHandlerFunc) (stop func()) {
	t.Helper()
	sub, err := r.bus.NewSubscriber(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out, err := sub.Subscribe(context.WithoutCancel(t.Context()), ">")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for msg := range out {
			work.Go(func() {
				if natsbus.Outcome(handle)(msg) != nil {
					msg.Nack()
					return
				}
				msg.Ack()
			})
		}
	})
	stop = sync.OnceFunc(func() {
		if err := sub.Close(); err != nil {
			t.Error(err)
		}
		work.Wait()
	})
	t.Cleanup(stop)
	return stop
}

func (r *rig) info(t *testing.T) *jetstream.ConsumerInfo {
	t.Helper()
	c, err := r.js.Consumer(t.Context(), "BILLBUS", consumer)
	if err != nil {
		t.Fatal(err)
	}
	return c.CachedInfo()
}

// settled goes by the stream's own count: a consumer learns of a new message a
// moment after the publisher did.
func (r *rig) settled(t *testing.T) func() bool {
	return func() bool {
		stream, err := r.js.Stream(t.Context(), "BILLBUS")
		if err != nil {
			t.Fatal(err)
		}
		return r.info(t).AckFloor.Stream == stream.CachedInfo().State.LastSeq
	}
}

func TestSubscriberBoundsWorkInFlight(t *testing.T) {
	r := newRig(t)
	r.publish(t, 200)
	var now, most, done atomic.Int64
	r.consume(t, r.config(), func(*message.Message) error {
		n := now.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		time.Sleep(time.Millisecond)
		now.Add(-1)
		done.Add(1)
		return nil
	})
	kit.Eventually(t, "all messages are done", func() bool { return done.Load() >= 200 })
	kit.Eventually(t, "all messages are acknowledged", r.settled(t))
	if most.Load() > 16 || most.Load() < 2 {
		t.Errorf("got %d messages at once, want 2 to 16", most.Load())
	}
	if done.Load() != 200 {
		t.Errorf("got %d deliveries of 200 messages", done.Load())
	}
}

func TestSubscriberFetchesNothingThatCannotStart(t *testing.T) {
	r := newRig(t)
	r.publish(t, 50)
	hold := make(chan struct{})
	var started atomic.Int64
	r.consume(t, r.config(), func(*message.Message) error {
		started.Add(1)
		<-hold
		return nil
	})
	kit.Eventually(t, "16 have started", func() bool { return started.Load() == 16 })
	if got := r.info(t).NumAckPending; got != 16 {
		t.Errorf("the server has handed out %d messages, want 16", got)
	}
	close(hold)
	kit.Eventually(t, "all are acknowledged", r.settled(t))
}

func TestSubscriberAcksNothingThatFailed(t *testing.T) {
	r := newRig(t)
	r.publish(t, 20)
	var healthy atomic.Bool
	var failures atomic.Int64
	r.consume(t, r.config(), func(*message.Message) error {
		if healthy.Load() {
			return nil
		}
		failures.Add(1)
		return errors.New("an error that nobody has marked")
	})
	kit.Eventually(t, "some failures", func() bool { return failures.Load() > 5 })
	if floor := r.info(t).AckFloor.Stream; floor != 0 {
		t.Errorf("got ack floor %d, want 0", floor)
	}
	healthy.Store(true)
	kit.Eventually(t, "all are acknowledged", r.settled(t))
	if got := messages(t, r.js, natsbus.DeadLetterStream); got != 0 {
		t.Errorf("got %d dead letters, want none", got)
	}
}

func TestSubscriberSlowsDownWhileEverythingFails(t *testing.T) {
	r := newRig(t)
	r.publish(t, 100)
	var tries atomic.Int64
	cfg := r.config()
	cfg.Delay = func(fault.Kind, uint64) time.Duration { return time.Millisecond }
	stop := r.consume(t, cfg, func(*message.Message) error {
		tries.Add(1)
		return errors.New("the database is away")
	})
	time.Sleep(2 * time.Second) // an outage has a length
	stop()
	if got := tries.Load(); got > 60 {
		t.Errorf("got %d tries in 2 s of outage, want a few", got)
	}
}

func TestSubscriberBuriesWhatIsPermanentOnce(t *testing.T) {
	r := newRig(t)
	nc, err := nats.Connect(r.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	in := nats.NewMsg("stripe.x")
	in.Data = []byte("not a message")
	in.Header["X-Repeated"] = []string{"a", "b"}
	in.Header.Set("Nats-Msg-Id", "evt_bad")
	if _, err := js.PublishMsg(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	r.publish(t, 3)
	r.consume(t, r.config(), func(msg *message.Message) error {
		if string(msg.Payload) == "not a message" {
			return fault.New(fault.Permanent, fault.MessageUnreadable, errors.New("cannot be read:\r\n"+strings.Repeat("é", 2000)))
		}
		return nil
	})
	kit.Eventually(t, "all are settled", r.settled(t))
	if floor := r.info(t).AckFloor.Stream; floor != 4 {
		t.Errorf("got ack floor %d, want 4", floor)
	}
	stream, err := r.js.Stream(t.Context(), natsbus.DeadLetterStream)
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Fatalf("got %d dead letters, want 1", n)
	}
	letter, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	checkLetter(t, letter)
	checkLetterID(t, r, letter)
}

func checkLetter(t *testing.T, letter *jetstream.RawStreamMsg) {
	t.Helper()
	if string(letter.Data) != "not a message" || letter.Subject != "billbus.dlq.stripe.x" {
		t.Errorf("got %q on %s", letter.Data, letter.Subject)
	}
	if got := letter.Header.Values("Billbus-Original-X-Repeated"); len(got) != 2 {
		t.Errorf("got repeated header %v, want a and b", got)
	}
	if letter.Header.Get("Billbus-Original-Nats-Msg-Id") != "" {
		t.Error("a header that the server obeys was kept")
	}
	reason := letter.Header.Get(natsbus.HeaderReason)
	if !strings.HasPrefix(reason, "cannot be read:") || len(reason) > 1024 {
		t.Errorf("got a reason of %d bytes: %.40q", len(reason), reason)
	}
	for header, want := range map[string]string{
		natsbus.HeaderStream: "BILLBUS", natsbus.HeaderSequence: "1", natsbus.HeaderSubject: "stripe.x",
		natsbus.HeaderConsumer: consumer, natsbus.HeaderDeliveries: "1",
	} {
		if got := letter.Header.Get(header); got != want {
			t.Errorf("got %s %q, want %q", header, got, want)
		}
	}
}

func checkLetterID(t *testing.T, r *rig, letter *jetstream.RawStreamMsg) {
	t.Helper()
	stream, err := r.js.Stream(t.Context(), "BILLBUS")
	if err != nil {
		t.Fatal(err)
	}
	want := "BILLBUS@" + stream.CachedInfo().Created.UTC().Format(time.RFC3339Nano) + ":" + consumer + ":1"
	if got := letter.Header.Get("Nats-Msg-Id"); got != want {
		t.Errorf("got letter id %q, want %q", got, want)
	}
}

func TestSubscriberKeepsTheMessageWhileTheLetterCannotBeKept(t *testing.T) {
	r := newRig(t)
	r.publish(t, 1)
	var tries atomic.Int64
	cfg := r.config()
	keep := cfg.DeadLetter
	cfg.DeadLetter = func(ctx context.Context, l natsbus.Letter) error {
		if tries.Add(1) < 3 {
			return errors.New("stream is full")
		}
		return keep(ctx, l)
	}
	r.consume(t, cfg, func(*message.Message) error { return fault.New(fault.Permanent, "bad", errors.New("bad")) })
	kit.Eventually(t, "settled", r.settled(t))
	if got := messages(t, r.js, natsbus.DeadLetterStream); got != 1 || tries.Load() != 3 {
		t.Errorf("got %d letters after %d tries, want 1 after 3", got, tries.Load())
	}
}

func TestSubscriberBuriesWhatPanicsEveryTime(t *testing.T) {
	r := newRig(t)
	r.publish(t, 2)
	var panics atomic.Int64
	r.consume(t, r.config(), func(msg *message.Message) error {
		if msg.UUID == "evt_0" {
			panics.Add(1)
			panic("whatever")
		}
		return nil
	})
	kit.Eventually(t, "settled", r.settled(t))
	if got := messages(t, r.js, natsbus.DeadLetterStream); got != 1 || panics.Load() != 5 {
		t.Errorf("got %d letters after %d panics, want 1 after 5", got, panics.Load())
	}
}

func TestLetterThatWouldNotFitSaysSo(t *testing.T) {
	r := newRig(t)
	payload := strings.Repeat("x", r.bus.MaxMessage()+4<<10) // fits into the stream, not with our headers
	if err := r.pub.Publish("stripe.x", newMessage("evt_big", payload)); err != nil {
		t.Fatal(err)
	}
	r.consume(t, r.config(), func(*message.Message) error { return fault.New(fault.Permanent, "bad", errors.New("bad")) })
	kit.Eventually(t, "settled", r.settled(t))
	stream, err := r.js.Stream(t.Context(), natsbus.DeadLetterStream)
	if err != nil {
		t.Fatal(err)
	}
	letter, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(letter.Data) != 0 || letter.Header.Get(natsbus.HeaderPayload) != "omitted" {
		t.Errorf("got %d bytes and %q", len(letter.Data), letter.Header.Get(natsbus.HeaderPayload))
	}
}

func TestCloseFinishesAndAcknowledgesWorkInFlight(t *testing.T) {
	r := newRig(t)
	r.publish(t, 200)
	seen := sync.Map{}
	var finished atomic.Int64
	handle := func(msg *message.Message) error {
		time.Sleep(2 * time.Millisecond)
		if _, again := seen.LoadOrStore(msg.UUID, true); again {
			t.Errorf("%s was finished and came again", msg.UUID)
		}
		finished.Add(1)
		return nil
	}
	stop := r.consume(t, r.config(), handle)
	kit.Eventually(t, "some work is done", func() bool { return finished.Load() > 20 })
	stop()
	before := finished.Load()
	if before == 200 {
		t.Fatal("nothing was left when closing: the test shows nothing")
	}
	r.consume(t, r.config(), handle)
	kit.Eventually(t, "the rest is done by the next", func() bool { return finished.Load() >= 200 })
	kit.Eventually(t, "all are acknowledged", r.settled(t))
}

func TestClosingOneSubscriberLeavesItsSiblingWorking(t *testing.T) {
	r := newRig(t)
	var first, second atomic.Int64
	stop := r.consume(t, r.config(), func(*message.Message) error { first.Add(1); return nil })
	r.consume(t, r.config(), func(*message.Message) error { second.Add(1); return nil })
	r.publish(t, 100)
	kit.Eventually(t, "all messages are done", func() bool { return first.Load()+second.Load() == 100 })
	stop()
	for i := range 50 {
		if err := r.pub.Publish("stripe.x", newMessage(fmt.Sprintf("evt_later_%d", i), "x")); err != nil {
			t.Fatal(err)
		}
	}
	kit.Eventually(t, "the second goes on", func() bool { return first.Load()+second.Load() == 150 })
	kit.Eventually(t, "all are acknowledged", r.settled(t))
}

func TestSubscriberSurvivesServerRestart(t *testing.T) {
	dir := t.TempDir()
	srv := startServerAt(t, "127.0.0.1:0", dir)
	addr := strings.TrimPrefix(srv.URL(), "nats://")
	bus := open(t, srv.URL())
	p := provision(t, bus, natsbus.ProvisionCreate, settings(), consumer)
	kit.Eventually(t, "ready", ready(p))
	r := &rig{url: srv.URL(), bus: bus, pub: publisher(t, bus)}
	var done atomic.Int64
	r.consume(t, r.config(), func(*message.Message) error { done.Add(1); return nil })
	r.publish(t, 10)
	kit.Eventually(t, "ten are done", func() bool { return done.Load() >= 10 })
	srv.Close()
	kit.Eventually(t, "not ready", func() bool { return bus.Check(t.Context()) != nil })
	startServerAt(t, addr, dir)
	kit.Eventually(t, "ready again", func() bool { return bus.Check(t.Context()) == nil })
	before := done.Load()
	for i := range 10 {
		kit.Eventually(t, "published", func() bool {
			return r.pub.Publish("stripe.x", newMessage(fmt.Sprintf("evt_after_%d", i), "x")) == nil
		})
	}
	kit.Eventually(t, "ten more are done", func() bool { return done.Load() >= before+10 })
}

func TestSubscriberSurvivesTheLossOfItsConsumer(t *testing.T) {
	r := newRig(t)
	var done atomic.Int64
	r.consume(t, r.config(), func(*message.Message) error { done.Add(1); return nil })
	r.publish(t, 5)
	kit.Eventually(t, "five are done", func() bool { return done.Load() == 5 })
	p := provision(t, r.bus, natsbus.ProvisionCreate, settings(), consumer)
	kit.Eventually(t, "ready", ready(p))
	if err := r.js.DeleteConsumer(t.Context(), "BILLBUS", consumer); err != nil {
		t.Fatal(err)
	}
	p.Wake()
	kit.Eventually(t, "it starts again from the beginning", func() bool { return done.Load() >= 10 })
}
