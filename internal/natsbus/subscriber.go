package natsbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

const (
	// closingGrace is how long an open pull may still fill when closing. Messages
	// that the server has already sent are then handed back; otherwise they would
	// have to time out.
	closingGrace = 100 * time.Millisecond
	maxDelay     = 30 * time.Second
)

// SubscriberConfig says what to consume and how.
type SubscriberConfig struct {
	Stream   string
	Consumer string // the durable consumer; subscribing does not create it
	// MaxInFlight limits how many messages are handled at once.
	MaxInFlight int
	// MaxBytes limits their total size. A larger message is handled alone. The default
	// is 32 MiB.
	MaxBytes int
	// CloseTimeout limits how long closing takes. Messages that are still being
	// handled after three quarters of it are handed back.
	CloseTimeout time.Duration
	// Delay returns how long a failed message waits until it is delivered again.
	// The default is RedeliveryDelay.
	Delay func(deliveries uint64) time.Duration
	// DeadLetter stores a message that can never be processed.
	DeadLetter func(context.Context, Letter) error
	// Settled, if not nil, is called once for each delivery that was handled.
	Settled func(Delivery)
	// Missing, if not nil, is called when there is no such consumer, to have it created
	// again at once.
	Missing func()
}

// Subscriber is a pull consumer that implements watermill's message.Subscriber.
//
// It fetches no more messages, and bytes, than can be handled at once, reports every
// ten seconds which ones are still being handled, has acknowledgements confirmed, and
// delays the redelivery of what failed. Messages are delivered concurrently and in
// no order. It survives the loss of the connection and of the consumer.
type Subscriber struct {
	bus *Bus
	cfg SubscriberConfig
	// bind returns the consumer of a topic: STREAM.CONSUMER.
	bind func(ctx context.Context, topic string) (string, error)

	mu     sync.Mutex
	subs   []*subscription
	closed bool
}

// NewSubscriber returns a subscriber that does nothing until Subscribe is called.
func (b *Bus) NewSubscriber(cfg SubscriberConfig) *Subscriber {
	if cfg.Delay == nil {
		cfg.Delay = RedeliveryDelay
	}
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, defaultMaxBytes)
	bind := func(context.Context, string) (string, error) { return cfg.Stream + "." + cfg.Consumer, nil }
	return &Subscriber{bus: b, cfg: cfg, bind: bind}
}

// RedeliveryDelay is half a second after the first delivery, and doubles with each
// further one, up to 30 seconds.
func RedeliveryDelay(deliveries uint64) time.Duration {
	return min(250*time.Millisecond<<min(deliveries, 7), maxDelay)
}

// Subscribe starts consuming; it ignores the topic. The channel is closed when ctx
// is done or the subscriber is closed, and nothing is in flight any more.
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

// Close stops fetching and waits for messages in flight. When it returns,
// everything that succeeded has been acknowledged.
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

// subscription is one call of Subscribe. The goroutine of run owns those of the
// deliveries, and ends after them.
type subscription struct {
	*Subscriber
	topic string
	out   chan *message.Message
	slots chan struct{} // one token per delivery in flight
	bytes *budget
	// fetching pauses while the connection or the consumer fails, handling while
	// messages fail for transient reasons.
	fetching, handling pace

	ctx  context.Context // when done, fetching stops and message contexts are canceled
	stop context.CancelFunc
	// handBack is done when the time for messages in flight has passed.
	handBack context.Context
	done     chan struct{}

	mu     sync.Mutex
	panics map[uint64]int // by sequence: the delivery count includes outages
}

func newSubscription(parent context.Context, s *Subscriber, topic string) *subscription {
	ctx, stop := context.WithCancel(parent)
	return &subscription{
		Subscriber: s, topic: topic,
		out:   make(chan *message.Message),
		slots: make(chan struct{}, s.cfg.MaxInFlight),
		bytes: newBudget(s.cfg.MaxBytes),
		ctx:   ctx, stop: stop,
		done:   make(chan struct{}),
		panics: map[uint64]int{},
	}
}

func (s *subscription) run() {
	defer close(s.done)
	handBack, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	s.handBack = handBack
	defer cancel()
	stopTimer := context.AfterFunc(s.ctx, func() { time.AfterFunc(s.cfg.CloseTimeout*3/4, cancel) })
	defer stopTimer()
	var work sync.WaitGroup
	for s.ctx.Err() == nil {
		s.fetch(&work)
	}
	work.Wait()
	close(s.out)
}

// fetch pulls as many messages as can be handled now, at least one, and starts
// each as it arrives.
func (s *subscription) fetch(work *sync.WaitGroup) {
	if !s.fetching.wait(s.ctx) {
		return
	}
	limit, ok := s.bytes.wait(s.ctx)
	if !ok {
		return
	}
	free := s.reserve()
	if free == 0 {
		return
	}
	if limit == 0 {
		s.release(free - 1)
		free = 1
	}
	left, err := s.start(work, free, limit)
	s.release(left)
	s.fetched(err)
}

// start pulls at most n messages of at most limit bytes, and starts each. It returns
// how many of the n did not come.
func (s *subscription) start(work *sync.WaitGroup, n, limit int) (left int, err error) {
	consumer, err := s.bind(s.ctx, s.topic)
	if err != nil {
		return n, fmt.Errorf("binding to consumer: %w", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.ctx))
	defer cancel()
	defer context.AfterFunc(s.ctx, func() { time.AfterFunc(closingGrace, cancel) })()
	pull, err := s.bus.pull(ctx, consumer, n, limit)
	if err != nil {
		return n, err
	}
	defer pull.close()
	left = n
	for msg := pull.next(); msg != nil; msg = pull.next() {
		left--
		size := sizeOf(msg)
		s.bytes.take(size)
		work.Go(func() {
			defer s.release(1)
			defer s.bytes.give(size)
			s.deliver(msg)
		})
	}
	s.bytes.pulled(n-left, pull.cutOff)
	return left, pull.err
}

// reserve waits for a free slot and takes all that are free. It returns 0 when
// closing.
func (s *subscription) reserve() int {
	if !s.take(1) {
		return 0
	}
	if s.handling.failing() {
		return s.reserveOne()
	}
	for n := 1; ; n++ {
		select {
		case s.slots <- struct{}{}:
		default:
			return n
		}
	}
}

// reserveOne waits until nothing is in flight any more and the pause has passed, and
// leaves one slot taken. While handlers fail, one message at a time is enough to notice
// that they work again. It must have failed before the next one is fetched: with a
// database that hangs, all slots would fill up otherwise.
func (s *subscription) reserveOne() int {
	others := cap(s.slots) - 1
	if !s.take(others) {
		s.release(1)
		return 0
	}
	s.release(others)
	if !s.handling.wait(s.ctx) {
		s.release(1)
		return 0
	}
	return 1
}

// take waits for n free slots. It takes none and reports false when closing.
func (s *subscription) take(n int) bool {
	for taken := range n {
		select {
		case s.slots <- struct{}{}:
		case <-s.ctx.Done():
			s.release(taken)
			return false
		}
	}
	return true
}

func (s *subscription) release(n int) {
	for range n {
		<-s.slots
	}
}

// fetched slows fetching down after an error of the connection or the consumer. A
// pull that expired is not an error.
func (s *subscription) fetched(err error) {
	if s.cfg.Missing != nil && isMissing(err) {
		s.cfg.Missing()
	}
	if err == nil || s.ctx.Err() != nil {
		s.fetching.succeeded()
		return
	}
	s.fetching.failed()
	// A connection that is lost is logged already.
	if s.bus.nc.IsConnected() {
		s.bus.seldom(slog.LevelWarn, err, "fetching messages failed; trying again", "consumer", s.cfg.Consumer)
	}
}
