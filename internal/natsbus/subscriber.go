package natsbus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/fault"
)

const (
	pullExpiry = 5 * time.Second
	// handBackDelay keeps a message that was fetched while closing from coming
	// straight back to the one who closes.
	handBackDelay = time.Second
	// fetchGrace is how long an open pull may still fill when closing, so that
	// what the server has already sent is handed back, not left to time out.
	fetchGrace  = 100 * time.Millisecond
	ackTimeout  = 5 * time.Second
	panicTries  = 5
	maxNakDelay = 30 * time.Second
)

// SubscriberConfig says what to consume and how.
type SubscriberConfig struct {
	Stream   string
	Consumer string
	// Bind finds the durable consumer for a topic. The default looks up
	// Consumer and ignores the topic; nothing is created by subscribing.
	Bind func(ctx context.Context, topic string) (jetstream.Consumer, error)
	// MaxInFlight bounds the messages that are being worked on at once.
	MaxInFlight int
	// CloseTimeout bounds how long Close waits for work in flight.
	CloseTimeout time.Duration
	// Delay says after what time a failed message is delivered again.
	Delay func(kind fault.Kind, deliveries uint64) time.Duration
	// DeadLetter keeps a message that can never be processed.
	DeadLetter func(context.Context, Letter) error
	// Settled is told how each delivery ended; may be nil.
	Settled func(delivery Delivery, err error)
	Log     *slog.Logger
}

// Subscriber is a pull consumer behind watermill's message.Subscriber.
//
// It fetches no more than can start at once, tells the server every ten seconds
// that a message is still being worked on, confirms acknowledgements, and
// delays what failed by kind of fault. Messages are handed over concurrently
// and in no order. It survives the loss of the connection and of the consumer.
type Subscriber struct {
	bus *Bus
	cfg SubscriberConfig

	mu     sync.Mutex
	subs   []*subscription
	closed bool
}

// NewSubscriber checks cfg and fills in defaults.
func (b *Bus) NewSubscriber(cfg SubscriberConfig) (*Subscriber, error) {
	if cfg.Stream == "" || cfg.MaxInFlight < 1 || cfg.Log == nil || cfg.DeadLetter == nil {
		return nil, errors.New("natsbus: subscriber needs a stream, a bound, a logger and dead letters")
	}
	if cfg.Bind == nil {
		cfg.Bind = func(ctx context.Context, _ string) (jetstream.Consumer, error) {
			return b.js.Consumer(ctx, cfg.Stream, cfg.Consumer)
		}
	}
	if cfg.Delay == nil {
		cfg.Delay = RedeliveryDelay
	}
	if cfg.CloseTimeout == 0 {
		cfg.CloseTimeout = 20 * time.Second
	}
	return &Subscriber{bus: b, cfg: cfg}, nil
}

// RedeliveryDelay doubles from a quarter of a second up to 30 seconds.
func RedeliveryDelay(_ fault.Kind, deliveries uint64) time.Duration {
	delay := 250 * time.Millisecond << min(deliveries, 7)
	return min(delay, maxNakDelay)
}

// Subscribe starts consuming. The channel is closed when ctx is done or the
// subscriber is closed, and all work in flight has ended.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("subscriber is closed")
	}
	sub := newSubscription(ctx, s, topic)
	s.subs = append(s.subs, sub)
	go sub.run()
	return sub.out, nil
}

// Close stops fetching, waits for work in flight, and returns when everything
// that succeeded has been acknowledged.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	subs := s.subs
	s.mu.Unlock()
	for _, sub := range subs {
		sub.stop()
	}
	for _, sub := range subs {
		<-sub.done
	}
	return nil
}

// subscription is one call of Subscribe. run owns the goroutines of the
// deliveries and ends after all of them.
type subscription struct {
	*Subscriber
	topic string
	out   chan *message.Message
	slots chan struct{} // one token for each delivery in flight
	// fetching slows down for trouble with the connection or the consumer,
	// handling for messages that fail for a reason that goes away.
	fetching, handling pace

	ctx  context.Context // done: fetch no more, cancel message contexts
	stop context.CancelFunc
	// abandon is done when CloseTimeout has passed since ctx was: what is still
	// in flight is handed back.
	abandon context.Context
	done    chan struct{}

	mu     sync.Mutex
	panics map[uint64]int // tries by sequence: the delivery count also counts outages
}

func newSubscription(parent context.Context, s *Subscriber, topic string) *subscription {
	ctx, stop := context.WithCancel(parent)
	return &subscription{
		Subscriber: s, topic: topic,
		out:   make(chan *message.Message),
		slots: make(chan struct{}, s.cfg.MaxInFlight),
		ctx:   ctx, stop: stop,
		done:   make(chan struct{}),
		panics: map[uint64]int{},
	}
}

func (s *subscription) run() {
	abandon, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	s.abandon = abandon
	defer cancel()
	defer close(s.done)
	var work sync.WaitGroup
	stopTimer := context.AfterFunc(s.ctx, func() {
		time.AfterFunc(s.cfg.CloseTimeout, cancel)
	})
	defer stopTimer()
	for s.ctx.Err() == nil {
		s.fetch(&work)
	}
	work.Wait()
	close(s.out)
}

// fetch waits until something may start, pulls as many messages as can start,
// and starts each as it arrives.
func (s *subscription) fetch(work *sync.WaitGroup) {
	if !s.fetching.wait(s.ctx) || !s.handling.wait(s.ctx) {
		return
	}
	room := s.reserve()
	if room == 0 {
		return
	}
	batch, cancel, err := s.pull(room)
	if err != nil {
		s.release(room)
		s.trouble(err)
		return
	}
	defer cancel()
	for msg := range batch.Messages() {
		room--
		work.Go(func() {
			defer s.release(1)
			s.deliver(msg)
		})
	}
	s.release(room)
	s.trouble(batch.Error())
}

// reserve takes at least one slot, and all that are free; while things fail one
// message at a time is enough to notice that they no longer do.
func (s *subscription) reserve() int {
	select {
	case s.slots <- struct{}{}:
	case <-s.ctx.Done():
		return 0
	}
	n := 1
	for !s.handling.failing() {
		select {
		case s.slots <- struct{}{}:
			n++
			continue
		default:
		}
		break
	}
	return n
}

func (s *subscription) release(n int) {
	for range n {
		<-s.slots
	}
}

func (s *subscription) pull(n int) (jetstream.MessageBatch, context.CancelFunc, error) {
	consumer, err := s.bind()
	if err != nil {
		return nil, nil, err
	}
	// When closing, the pull stays open for a moment longer than ctx.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), pullExpiry)
	stop := context.AfterFunc(s.ctx, func() { time.AfterFunc(fetchGrace, cancel) })
	batch, err := consumer.Fetch(n, jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(time.Second))
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("pulling messages: %w", err)
	}
	return batch, func() { stop(); cancel() }, nil
}

func (s *subscription) bind() (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(s.ctx, apiTimeout)
	defer cancel()
	consumer, err := s.cfg.Bind(ctx, s.topic)
	if err != nil {
		return nil, fmt.Errorf("binding to consumer: %w", err)
	}
	return consumer, nil
}

// trouble slows fetching down after an error of the connection or the consumer.
// That a pull expired is none.
func (s *subscription) trouble(err error) {
	if err == nil || s.ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		s.fetching.worked()
		return
	}
	s.fetching.failed()
	s.cfg.Log.Debug("fetching failed", "error", err)
}

// deliver hands one message over and settles it. It never gives up a message
// without an answer to the server: ack, delayed nak, or dead letter and ack.
func (s *subscription) deliver(jm jetstream.Msg) {
	delivery := deliveryOf(jm)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ctx, outcome := withSlot(ctx, delivery)
	msg := toMessage(ctx, jm)
	select {
	case s.out <- msg:
	case <-s.ctx.Done():
		s.handBack(jm)
		return
	}
	s.await(jm, msg, delivery, outcome, cancel)
}

func (s *subscription) await(jm jetstream.Msg, msg *message.Message, delivery Delivery, outcome *slot, cancel context.CancelFunc) {
	beat := time.NewTicker(heartbeatInterval)
	defer beat.Stop()
	for {
		select {
		case <-msg.Acked():
			cancel()
			s.ack(jm)
			s.settled(delivery, nil)
			return
		case <-msg.Nacked():
			cancel()
			s.failed(jm, delivery, outcome.get())
			return
		case <-beat.C:
			// An error means that the connection is away; the message will be
			// delivered again, which handlers bear.
			_ = jm.InProgress()
		case <-s.abandon.Done():
			s.handBack(jm)
			return
		}
	}
}

func (s *subscription) settled(delivery Delivery, err error) {
	if err == nil {
		s.handling.worked()
		s.forgetPanics(delivery.Sequence)
	}
	if s.cfg.Settled != nil {
		s.cfg.Settled(delivery, err)
	}
}

// failed decides what becomes of a message whose handler did not succeed.
func (s *subscription) failed(jm jetstream.Msg, delivery Delivery, err error) {
	kind := s.kind(delivery.Sequence, err)
	s.settled(delivery, err)
	if kind == fault.Permanent {
		s.bury(jm, delivery, err)
		return
	}
	if err != nil && s.ctx.Err() == nil {
		s.handling.failed()
	}
	s.nak(jm, s.cfg.Delay(kind, delivery.Deliveries))
}

// kind counts panics by message: a message that panics every time would never
// come to rest.
func (s *subscription) kind(sequence uint64, err error) fault.Kind {
	if err == nil || fault.ReasonOf(err) != fault.Panicked {
		return fault.KindOf(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.panics[sequence]++
	if s.panics[sequence] < panicTries {
		return fault.Transient
	}
	delete(s.panics, sequence)
	return fault.Permanent
}

func (s *subscription) forgetPanics(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.panics, sequence)
}

// bury keeps the letter first and acknowledges second: a crash in between
// repeats the letter under the same id, which its stream drops.
func (s *subscription) bury(jm jetstream.Msg, delivery Delivery, reason error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), ackTimeout)
	defer cancel()
	err := s.cfg.DeadLetter(ctx, Letter{
		Delivery: delivery, Consumer: s.cfg.Consumer, Reason: reason.Error(),
		Header: jm.Headers(), Payload: jm.Data(),
	})
	if err != nil {
		s.cfg.Log.Error("keeping a dead letter failed; trying again", "sequence", delivery.Sequence, "error", err)
		s.nak(jm, s.cfg.Delay(fault.Transient, delivery.Deliveries))
		return
	}
	s.ack(jm)
}

// ack confirms: an acknowledgement that got lost at shutdown would have the
// message delivered again.
func (s *subscription) ack(jm jetstream.Msg) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), ackTimeout)
	defer cancel()
	if err := jm.DoubleAck(ctx); err != nil {
		s.cfg.Log.Debug("acknowledging failed; the message will come again", "error", err)
	}
}

func (s *subscription) nak(jm jetstream.Msg, delay time.Duration) {
	if err := jm.NakWithDelay(delay); err != nil {
		s.cfg.Log.Debug("returning a message failed; it will come again after the ack wait", "error", err)
	}
}

func (s *subscription) handBack(jm jetstream.Msg) { s.nak(jm, handBackDelay) }

func deliveryOf(jm jetstream.Msg) Delivery {
	delivery := Delivery{Subject: jm.Subject()}
	if meta, err := jm.Metadata(); err == nil {
		delivery.Stream = meta.Stream
		delivery.Sequence = meta.Sequence.Stream
		delivery.StoredAt = meta.Timestamp.UTC()
		delivery.Deliveries = meta.NumDelivered
	}
	return delivery
}

// toMessage never fails: what cannot be understood is for the handler to judge.
func toMessage(ctx context.Context, jm jetstream.Msg) *message.Message {
	headers := jm.Headers()
	msg := message.NewMessageWithContext(ctx, headers.Get(nats.MsgIdHdr), jm.Data())
	for key, values := range headers {
		if len(values) > 0 && !isServerHeader(key) {
			msg.Metadata.Set(key, values[0])
		}
	}
	return msg
}
