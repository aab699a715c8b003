package natsbus_test

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/billbus/billbus/test/kit/natstest"
)

func (r *rig) config() natsbus.SubscriberConfig {
	return natsbus.SubscriberConfig{
		Stream: "BILLBUS", Consumer: consumer, MaxInFlight: 16, CloseTimeout: 5 * time.Second,
		Delay:      func(uint64) time.Duration { return 20 * time.Millisecond },
		DeadLetter: r.bus.NewDeadLetters(time.Now).Keep,
	}
}

// consume handles messages in a router until stop is called or the test ends.
func (r *rig) consume(t *testing.T, cfg natsbus.SubscriberConfig, handle message.NoPublishHandlerFunc) (stop func()) {
	t.Helper()
	router, err := r.bus.NewRouter(cfg, handle)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- router.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
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

// settled waits until all messages of the stream are acknowledged.
func (r *rig) settled(t *testing.T) {
	t.Helper()
	kit.Drained(t, "all messages are acknowledged", func() (uint64, error) {
		return natstest.Unsettled(t, r.js, "BILLBUS", consumer)
	})
}

func (r *rig) letters(t *testing.T) uint64 {
	t.Helper()
	return natstest.Count(t, r.js, natsbus.DeadLetterStream)
}

func TestSubscriberLimitsMessagesInFlight(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(t, 200)
	const limit = 16
	var inFlight, highest, done atomic.Int64
	var once sync.Once
	full := make(chan struct{})
	r.consume(t, r.config(), func(*message.Message) error {
		n := inFlight.Add(1)
		for h := highest.Load(); n > h && !highest.CompareAndSwap(h, n); h = highest.Load() {
		}
		if n == limit {
			once.Do(func() { close(full) })
		}
		<-full
		inFlight.Add(-1)
		done.Add(1)
		return nil
	})
	kit.Eventually(t, "all messages are done", func() bool { return done.Load() >= 200 })
	r.settled(t)
	if got := highest.Load(); got != limit {
		t.Errorf("got %d messages at once, want %d", got, limit)
	}
	if got := done.Load(); got != 200 {
		t.Errorf("got %d deliveries of 200 messages", got)
	}
}

func TestSubscriberFetchesOnlyWhatCanStart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(t, 50)
	hold := make(chan struct{})
	var started atomic.Int64
	r.consume(t, r.config(), func(*message.Message) error {
		started.Add(1)
		<-hold
		return nil
	})
	kit.Eventually(t, "16 messages have started", func() bool { return started.Load() == 16 })
	if got := r.info(t).NumAckPending; got != 16 {
		t.Errorf("the server has delivered %d messages, want 16", got)
	}
	close(hold)
	r.settled(t)
}

func TestFailedMessagesAreNotAcknowledged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(t, 20)
	var healthy atomic.Bool
	var failures atomic.Int64
	r.consume(t, r.config(), func(*message.Message) error {
		if healthy.Load() {
			return nil
		}
		failures.Add(1)
		return errors.New("an error without a reason")
	})
	kit.Eventually(t, "some failures", func() bool { return failures.Load() > 5 })
	if floor := r.info(t).AckFloor.Stream; floor != 0 {
		t.Errorf("got ack floor %d, want 0", floor)
	}
	healthy.Store(true)
	r.settled(t)
	if got := r.letters(t); got != 0 {
		t.Errorf("got %d dead letters, want none", got)
	}
}

func TestSubscriberSlowsDownWhileEverythingFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(t, 100)
	var tries atomic.Int64
	cfg := r.config()
	cfg.Delay = func(uint64) time.Duration { return time.Millisecond }
	stop := r.consume(t, cfg, func(*message.Message) error {
		tries.Add(1)
		return errors.New("the database is down")
	})
	<-time.After(2 * time.Second) // the rate is measured over the length of an outage
	stop()
	if got := tries.Load(); got > 60 {
		t.Errorf("got %d tries in 2 s, want a few", got)
	}
}

func TestPermanentFailureBecomesOneDeadLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := nats.NewMsg("stripe.x")
	in.Data = []byte("not a message")
	in.Header["X-Repeated"] = []string{"a", "b"}
	in.Header.Set("Nats-Msg-Id", "evt_bad")
	if _, err := r.js.PublishMsg(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	r.publish(t, 3)
	r.consume(t, r.config(), func(msg *message.Message) error {
		if string(msg.Payload) == "not a message" {
			return fault.New(fault.Permanent, fault.MessageUnreadable, errors.New("cannot be read:\r\n"+strings.Repeat("é", 2000)))
		}
		return nil
	})
	r.settled(t)
	if floor := r.info(t).AckFloor.Stream; floor != 4 {
		t.Errorf("got ack floor %d, want 4", floor)
	}
	if n := r.letters(t); n != 1 {
		t.Fatalf("got %d dead letters, want 1", n)
	}
	letter := natstest.Message(t, r.js, natsbus.DeadLetterStream, 1)
	checkLetter(t, letter)
	created := natstest.Stream(t, r.js, "BILLBUS").CachedInfo().Created.UTC().Format(time.RFC3339Nano)
	if got, want := letter.Header.Get("Nats-Msg-Id"), "BILLBUS@"+created+":"+consumer+":1"; got != want {
		t.Errorf("got letter id %q, want %q", got, want)
	}
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
		t.Error("got a header that the server obeys")
	}
	reason := letter.Header.Get("Billbus-Dlq-Reason")
	if !strings.HasPrefix(reason, "cannot be read:") || len(reason) > 1024 {
		t.Errorf("got a reason of %d bytes: %.40q", len(reason), reason)
	}
	for header, want := range map[string]string{
		"Billbus-Dlq-Code": "unreadable", "Billbus-Dlq-Stream": "BILLBUS", "Billbus-Dlq-Sequence": "1", "Billbus-Dlq-Subject": "stripe.x",
		"Billbus-Dlq-Consumer": consumer, "Billbus-Dlq-Deliveries": "1",
	} {
		if got := letter.Header.Get(header); got != want {
			t.Errorf("got %s %q, want %q", header, got, want)
		}
	}
}

func TestMessageStaysUntilItsDeadLetterIsStored(t *testing.T) {
	t.Parallel()
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
	r.settled(t)
	if got := r.letters(t); got != 1 || tries.Load() != 3 {
		t.Errorf("got %d letters after %d tries, want 1 after 3", got, tries.Load())
	}
}

func TestFifthPanicBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(t, 2)
	var panics atomic.Int64
	r.consume(t, r.config(), func(msg *message.Message) error {
		if msg.UUID == "evt_0" {
			panics.Add(1)
			panic("private")
		}
		return nil
	})
	r.settled(t)
	if got := r.letters(t); got != 1 || panics.Load() != 5 {
		t.Errorf("got %d letters after %d panics, want 1 after 5", got, panics.Load())
	}
	header := natstest.Message(t, r.js, natsbus.DeadLetterStream, 1).Header
	if code, reason := header.Get("Billbus-Dlq-Code"), header.Get("Billbus-Dlq-Reason"); code != "panic" || strings.Contains(reason, "private") {
		t.Errorf("got code %q and reason %q, want panic and not its value", code, reason)
	}
}

func TestDeadLetterThatIsTooLargeHasNoPayload(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	payload := strings.Repeat("x", r.bus.MaxMessage()+4<<10) // fits into the stream, but not with our headers
	if err := r.pub.Publish("stripe.x", newMessage("evt_big", payload)); err != nil {
		t.Fatal(err)
	}
	r.consume(t, r.config(), func(*message.Message) error { return fault.New(fault.Permanent, "bad", errors.New("bad")) })
	r.settled(t)
	letter := natstest.Message(t, r.js, natsbus.DeadLetterStream, 1)
	if len(letter.Data) != 0 || letter.Header.Get("Billbus-Dlq-Payload") != "omitted" {
		t.Errorf("got %d bytes and %q", len(letter.Data), letter.Header.Get("Billbus-Dlq-Payload"))
	}
}

func TestCloseFinishesAndAcknowledgesMessagesInFlight(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.publish(t, 200)
	var started, finished atomic.Int64
	seen := sync.Map{}
	finish := func(msg *message.Message) error {
		if _, again := seen.LoadOrStore(msg.UUID, true); again {
			t.Errorf("%s was finished and delivered again", msg.UUID)
		}
		finished.Add(1)
		return nil
	}
	stop := r.consume(t, r.config(), func(msg *message.Message) error {
		if started.Add(1) > 30 {
			<-msg.Context().Done() // in flight until the subscriber closes
		}
		return finish(msg)
	})
	kit.Eventually(t, "16 messages are in flight", func() bool { return started.Load() == 30+16 })
	stop()
	if got := finished.Load(); got < 30+16 || got == 200 {
		t.Fatalf("got %d messages finished when closed, want those in flight and not all", got)
	}
	r.consume(t, r.config(), finish)
	kit.Eventually(t, "another subscriber has done the rest", func() bool { return finished.Load() >= 200 })
	r.settled(t)
}

func TestClosingOneSubscriberDoesNotStopAnother(t *testing.T) {
	t.Parallel()
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
	kit.Eventually(t, "the second has done the rest", func() bool { return first.Load()+second.Load() == 150 })
	r.settled(t)
}

func TestSubscriberSurvivesServerRestart(t *testing.T) {
	t.Parallel()
	addr, dir := kit.FreeAddr(t), t.TempDir()
	srv := natstest.StartAt(t, addr, dir)
	bus := open(t, srv.URL())
	provisioned(t, bus, settings(), natsbus.SubscriberConsumer(consumer))
	r := &rig{url: srv.URL(), bus: bus, pub: publisher(t, bus)}
	var done atomic.Int64
	r.consume(t, r.config(), func(*message.Message) error { done.Add(1); return nil })
	r.publish(t, 10)
	kit.Eventually(t, "ten are done", func() bool { return done.Load() >= 10 })
	srv.Close()
	kit.Eventually(t, "disconnected", func() bool { return bus.Check(t.Context()) != nil })
	natstest.StartAt(t, addr, dir)
	if err := bus.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := done.Load()
	for i := range 10 {
		kit.Eventually(t, "published", func() bool {
			return r.pub.Publish("stripe.x", newMessage(fmt.Sprintf("evt_after_%d", i), "x")) == nil
		})
	}
	kit.Eventually(t, "ten more are done", func() bool { return done.Load() >= before+10 })
}

func TestSubscriberSurvivesTheLossOfItsConsumer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var done atomic.Int64
	r.consume(t, r.config(), func(*message.Message) error { done.Add(1); return nil })
	r.publish(t, 5)
	kit.Eventually(t, "five are done", func() bool { return done.Load() == 5 })
	p := provisioned(t, r.bus, settings(), natsbus.SubscriberConsumer(consumer))
	if err := r.js.DeleteConsumer(t.Context(), "BILLBUS", consumer); err != nil {
		t.Fatal(err)
	}
	p.Wake()
	kit.Eventually(t, "it starts again from the beginning", func() bool { return done.Load() >= 10 })
}

// A database that is down answers after a while, and with an error. Meanwhile the
// messages wait in the stream, and not in a queue of redeliveries.
func TestOneMessageAtATimeDuringAnOutage(t *testing.T) {
	t.Parallel()
	const backlog, limit, probes = 500, 64, 4
	r := newRig(t)
	r.publish(t, backlog)
	var tries, atOnce, highest, redelivered atomic.Int64
	cfg := r.config()
	cfg.MaxInFlight, cfg.Delay = limit, nil
	cfg.Settled = func(d natsbus.Delivery) {
		if d.Deliveries > 1 {
			redelivered.Add(1)
		}
	}
	r.consume(t, cfg, func(*message.Message) error {
		n := tries.Add(1)
		if n > limit+probes {
			return nil
		}
		if now := atOnce.Add(1); n > limit {
			highest.Store(max(highest.Load(), now))
		}
		defer atOnce.Add(-1)
		<-time.After(100 * time.Millisecond) // the database's timeout
		return fault.New(fault.Transient, fault.DatabaseUnreachable, errors.New("no primary"))
	})
	r.settled(t)
	if got := highest.Load(); got != 1 {
		t.Errorf("got %d messages at once during the outage, want 1", got)
	}
	if got := redelivered.Load(); got > limit+probes {
		t.Errorf("got %d redeliveries of %d messages, want those that were in flight when it began, and %d", got, backlog, probes)
	}
}

// A message that takes longer than the ack wait is not delivered again, since the server
// hears that it is in progress.
func TestSlowMessageIsDeliveredOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	nc, err := nats.Connect(r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	beats := make(chan *nats.Msg, 10)
	if _, err := nc.ChanSubscribe("$JS.ACK.BILLBUS."+consumer+".>", beats); err != nil {
		t.Fatal(err)
	}
	var started atomic.Int64
	r.consume(t, r.config(), func(*message.Message) error {
		started.Add(1)
		for begin := time.Now(); time.Since(begin) < r.info(t).Config.AckWait; {
			if beat := <-beats; string(beat.Data) != "+WPI" {
				t.Errorf("got %s, want a heartbeat", beat.Data)
			}
		}
		return nil
	})
	r.publish(t, 1)
	r.settled(t)
	if got := started.Load(); got != 1 {
		t.Errorf("it was delivered %d times", got)
	}
}
