package natsbus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
)

// Notes on a replay's consumer, for whoever goes on with it.
const (
	replayFrom  = "billbus_from"
	replayUntil = "billbus_until"
)

// ReplayConfig says what to read once more.
type ReplayConfig struct {
	Stream string
	// Consumer is a durable of the replay's own, so that nobody else notices, and
	// so that it goes on where it was when it was killed.
	Consumer string
	// Sequence or Time is where it starts; the zero values are the beginning.
	Sequence uint64
	Time     time.Time
	// From is the start in words: a replay that was interrupted goes on only for
	// somebody who wants the same.
	From string
	// Restart forgets one that was interrupted.
	Restart bool
}

// ErrOtherReplay says that a replay was interrupted and that it was another one.
var ErrOtherReplay = errors.New("another replay was interrupted")

// Replay reads the stream from a start to what was its end when it began, in the
// order of the stream.
type Replay struct {
	bus      *Bus
	cfg      ReplayConfig
	consumer jetstream.Consumer
	until    uint64
	total    uint64
	pending  uint64 // behind last
	resumed  uint64
	last     jetstream.Msg
	ended    bool
	// delivered is what the consumer has delivered, by its own count, and torn is
	// true if something of it never arrived.
	delivered uint64
	torn      bool
}

// OpenReplay makes the replay's consumer, or goes on with the one that is there.
func (b *Bus) OpenReplay(ctx context.Context, cfg ReplayConfig) (*Replay, error) {
	r := &Replay{bus: b, cfg: cfg}
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	r.total = r.pending
	return r, nil
}

func (r *Replay) open(ctx context.Context) error {
	consumer, err := r.plan(ctx)
	if err != nil {
		return err
	}
	if r.consumer, err = r.bus.js.CreateConsumer(ctx, r.cfg.Stream, consumer); err != nil {
		return fmt.Errorf("creating consumer %s: %w", r.cfg.Consumer, err)
	}
	r.pending = r.consumer.CachedInfo().NumPending
	r.ended, r.delivered, r.torn = r.pending == 0, 0, false
	return nil
}

// rewind goes on behind what was acknowledged. What the server sent into a
// connection that broke counts as delivered: it would come again only after the
// ack wait, and be acknowledged unread by then, together with what is behind it.
func (r *Replay) rewind(ctx context.Context) error {
	if err := r.bus.WaitConnected(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	if _, err := r.consumer.Info(ctx); errors.Is(err, jetstream.ErrConsumerNotFound) {
		return r.gone()
	}
	resumed := r.resumed
	r.cfg.Restart = false
	err := r.open(ctx)
	r.resumed = resumed
	return err
}

func (r *Replay) gone() error {
	return fmt.Errorf("consumer %s is gone: somebody removed it, or started the replay a second time", r.cfg.Consumer)
}

// plan says what consumer is needed. What an interrupted replay had not
// acknowledged would come again only after the ack wait, and behind later
// messages: so it gets a new consumer that starts there. If the program is killed
// between the two, the replay starts over, which takes time and does no harm.
func (r *Replay) plan(ctx context.Context) (jetstream.ConsumerConfig, error) {
	fresh, err := r.fresh(ctx)
	if err != nil {
		return fresh, err
	}
	old, err := r.bus.js.Consumer(ctx, r.cfg.Stream, r.cfg.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fresh, nil
	}
	if err != nil {
		return fresh, fmt.Errorf("looking up consumer %s: %w", r.cfg.Consumer, err)
	}
	plan := fresh
	if !r.cfg.Restart {
		if plan, err = r.resume(old.CachedInfo(), fresh); err != nil {
			return plan, err
		}
	}
	return plan, r.Remove(ctx)
}

func (r *Replay) fresh(ctx context.Context) (jetstream.ConsumerConfig, error) {
	stream, err := r.bus.js.Stream(ctx, r.cfg.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return jetstream.ConsumerConfig{}, fmt.Errorf("there is no stream %s: see STREAM_NAME and NATS_URL", r.cfg.Stream)
	}
	if err != nil {
		return jetstream.ConsumerConfig{}, fmt.Errorf("looking up stream %s: %w", r.cfg.Stream, err)
	}
	r.until = stream.CachedInfo().State.LastSeq
	config := jetstream.ConsumerConfig{
		Durable:     r.cfg.Consumer,
		Description: "reads the stream once more; gone when it has caught up",
		AckPolicy:   jetstream.AckAllPolicy,
		AckWait:     ackWait, MaxDeliver: -1, MaxAckPending: -1,
		Metadata: map[string]string{replayFrom: r.cfg.From, replayUntil: strconv.FormatUint(r.until, 10)},
	}
	switch {
	case r.cfg.Sequence > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.cfg.Sequence
	case !r.cfg.Time.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.cfg.Time
	}
	return config, nil
}

// resume goes on behind what was acknowledged, to the end that was meant then.
func (r *Replay) resume(old *jetstream.ConsumerInfo, plan jetstream.ConsumerConfig) (jetstream.ConsumerConfig, error) {
	noted := old.Config.Metadata
	if noted[replayFrom] != r.cfg.From {
		return plan, fmt.Errorf("%w: from %s, behind message %d", ErrOtherReplay, noted[replayFrom], old.AckFloor.Stream)
	}
	until, err := strconv.ParseUint(noted[replayUntil], 10, 64)
	if err != nil {
		return plan, fmt.Errorf("%w: it does not say how far it was to go", ErrOtherReplay)
	}
	r.until, r.resumed = until, old.AckFloor.Stream
	plan.Metadata[replayUntil] = noted[replayUntil]
	plan.DeliverPolicy, plan.OptStartSeq, plan.OptStartTime = old.Config.DeliverPolicy, old.Config.OptStartSeq, old.Config.OptStartTime
	if r.resumed > 0 {
		plan.DeliverPolicy, plan.OptStartSeq, plan.OptStartTime = jetstream.DeliverByStartSequencePolicy, r.resumed+1, nil
	}
	return plan, nil
}

// Total is how many messages there were to read when it was opened.
func (r *Replay) Total() uint64 { return r.total }

// Until is the sequence up to which it reads.
func (r *Replay) Until() uint64 { return r.until }

// Resumed is the sequence behind which it goes on, 0 for a new replay.
func (r *Replay) Resumed() uint64 { return r.resumed }

// Next returns the next messages, at most n; none when everything was read. They
// are settled by [Replay.Done], all together.
func (r *Replay) Next(ctx context.Context, n int) ([]*message.Message, error) {
	for !r.ended {
		if r.torn {
			if err := r.rewind(ctx); err != nil {
				return nil, err
			}
			continue
		}
		messages, err := r.fetch(ctx, n)
		if err != nil || len(messages) > 0 {
			return messages, err
		}
		// The connection may be away, or the rest was removed from the stream.
		info, err := r.consumer.Info(ctx)
		switch {
		case errors.Is(err, jetstream.ErrConsumerNotFound):
			return nil, r.gone()
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		if err == nil {
			r.torn = r.torn || info.Delivered.Consumer > r.delivered
			r.ended = info.NumPending == 0 && !r.torn
		}
	}
	return nil, nil
}

func (r *Replay) fetch(ctx context.Context, n int) ([]*message.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, pullExpiry)
	defer cancel()
	// Asked for more than there is, the server would wait for the rest.
	batch, err := r.consumer.Fetch(min(n, int(max(r.pending, 1))), jetstream.FetchContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("pulling messages: %w", err)
	}
	var messages []*message.Message
	for jm := range batch.Messages() {
		if r.torn = r.torn || !r.follows(jm); r.torn {
			continue
		}
		slotted, _ := withSlot(context.WithoutCancel(ctx), deliveryOf(jm))
		messages = append(messages, toMessage(slotted, jm))
		r.last = jm
	}
	return messages, nil
}

// follows reports whether a message is the one that the consumer delivered next.
func (r *Replay) follows(jm jetstream.Msg) bool {
	meta, err := jm.Metadata()
	if err != nil || meta.Sequence.Consumer != r.delivered+1 {
		return false
	}
	r.delivered++
	return true
}

// Done acknowledges what Next has returned so far.
func (r *Replay) Done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	if err := r.last.DoubleAck(ctx); err != nil {
		return fmt.Errorf("acknowledging: %w", err)
	}
	meta, err := r.last.Metadata()
	if err != nil {
		return fmt.Errorf("reading where a message stands: %w", err)
	}
	r.pending = meta.NumPending
	r.ended = meta.Sequence.Stream >= r.until || r.pending == 0
	return nil
}

// Remove takes the consumer away.
func (r *Replay) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiTimeout)
	defer cancel()
	err := r.bus.js.DeleteConsumer(ctx, r.cfg.Stream, r.cfg.Consumer)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("removing consumer %s: %w", r.cfg.Consumer, err)
	}
	return nil
}
