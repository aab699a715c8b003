package natsbus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Metadata of a replay's consumer, for the replay that continues it.
const (
	replayFrom  = "billbus_from"
	replayUntil = "billbus_until"
	// replayAckWait is long, because a replay sends no heartbeats while it handles a batch.
	replayAckWait = 30 * time.Second
)

// ReplayConfig says what to read again.
type ReplayConfig struct {
	Stream string
	// Consumer is a durable consumer of its own: live consumption is not affected,
	// and a replay that was killed can continue.
	Consumer string
	// Sequence or Time is the start. If both are zero, it is the beginning.
	Sequence uint64
	Time     time.Time
	// From describes the start. A replay that was interrupted continues only if From
	// is the same.
	From string
	// Restart discards an interrupted replay.
	Restart bool
	// Subjects are what is read; nil is every subject.
	Subjects []string
	// HeadersOnly leaves out the payloads.
	HeadersOnly bool
	// MaxBytes limits the size of what Next returns. A larger message comes alone. The
	// default is 32 MiB.
	MaxBytes int
}

// ErrOtherReplay is returned if a replay with another start was interrupted.
var ErrOtherReplay = errors.New("another replay was interrupted")

// Replay reads the stream in order, from a start to what was its end when the
// replay began.
type Replay struct {
	Total   uint64 // messages to read when it was opened
	Until   uint64 // sequence of the last message to read
	Resumed uint64 // sequence after which it continues; 0 for a new replay

	bus      *Bus
	cfg      ReplayConfig
	consumer jetstream.Consumer
	pending  uint64 // after last
	last     *nats.Msg
	ended    bool
	// delivered counts the messages that arrived since the consumer was created. torn
	// is set when the consumer has delivered one that did not arrive.
	delivered uint64
	torn      bool
	// alone is set when no message came: the next one may be larger than MaxBytes.
	alone bool
	// asking pauses while the server rejects what it is asked.
	asking pace
}

// OpenReplay creates the replay's consumer, or continues an interrupted replay.
func (b *Bus) OpenReplay(ctx context.Context, cfg ReplayConfig) (*Replay, error) {
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, defaultMaxBytes)
	r := &Replay{bus: b, cfg: cfg}
	if err := b.call(ctx, r.open); err != nil {
		return nil, err
	}
	r.Total = r.pending
	return r, nil
}

// Next returns the next messages, at most n and MaxBytes, or none at the end. [Replay.Done]
// acknowledges them together.
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
		if err := r.checkEnd(ctx); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// Done acknowledges what Next has returned so far.
func (r *Replay) Done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	if err := r.last.AckSync(nats.Context(ctx)); err != nil {
		return fmt.Errorf("acknowledging: %w", err)
	}
	meta, err := r.last.Metadata()
	if err != nil {
		return fmt.Errorf("reading the metadata of a message: %w", err)
	}
	r.pending = meta.NumPending
	r.ended = meta.Sequence.Stream >= r.Until || r.pending == 0
	return nil
}

// Remove deletes the consumer.
func (r *Replay) Remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), apiTimeout)
	defer cancel()
	err := r.bus.js.DeleteConsumer(ctx, r.cfg.Stream, r.cfg.Consumer)
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("removing consumer %s: %w", r.cfg.Consumer, err)
	}
	return nil
}

func (r *Replay) fetch(ctx context.Context, n int) ([]*message.Message, error) {
	limit := r.cfg.MaxBytes
	if r.alone {
		n, limit = 1, 0
	}
	// If it asked for more than there is, the server would wait for the rest.
	pull, err := r.bus.pull(ctx, r.cfg.Stream+"."+r.cfg.Consumer, min(n, int(max(r.pending, 1))), limit)
	if errors.Is(err, nats.ErrReconnectBufExceeded) { // not connected: as if no message came
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer pull.close()
	var messages []*message.Message
	for jm := pull.next(); jm != nil; jm = pull.next() {
		if r.torn = r.torn || !r.isNext(jm); r.torn {
			continue
		}
		slotted, _ := withSlot(context.WithoutCancel(ctx), deliveryOf(jm))
		messages = append(messages, toMessage(slotted, jm))
		r.last = jm
	}
	r.alone = pull.cutOff && len(messages) == 0
	return messages, nil
}

// isNext reports whether the consumer delivered jm right after the message before.
func (r *Replay) isNext(jm *nats.Msg) bool {
	meta, err := jm.Metadata()
	if err != nil || meta.Sequence.Consumer != r.delivered+1 {
		return false
	}
	r.delivered++
	return true
}

// checkEnd finds out why no message came: the connection may be down, or the rest
// may have been removed from the stream.
func (r *Replay) checkEnd(ctx context.Context) error {
	info, err := r.consumer.Info(ctx)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return r.errGone()
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil: // the next fetch tries again
		r.asking.failed()
		r.asking.wait(ctx)
		return ctx.Err()
	}
	r.asking.succeeded()
	r.torn = r.torn || info.Delivered.Consumer > r.delivered
	r.ended = info.NumPending == 0 && !r.torn
	return nil
}

// rewind continues after what was acknowledged. A message that the server sent into
// a broken connection counts as delivered. It would come again only after the ack
// wait, and by then an ack of a later message would have acknowledged it too.
func (r *Replay) rewind(ctx context.Context) error {
	if err := r.bus.WaitConnected(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	if _, err := r.consumer.Info(ctx); errors.Is(err, jetstream.ErrConsumerNotFound) {
		return r.errGone()
	}
	resumed := r.Resumed
	r.cfg.Restart = false
	err := r.open(ctx)
	r.Resumed = resumed
	return err
}

func (r *Replay) errGone() error {
	return fmt.Errorf("consumer %s is gone: it was removed, or the replay was started a second time", r.cfg.Consumer)
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

// plan removes the consumer of an interrupted replay and returns the configuration
// of a new one, which starts after what was acknowledged. With the old consumer the
// messages that were not acknowledged would come only after the ack wait, and after
// later ones. If the program is killed before the new consumer exists, the replay
// starts over, which takes time but does no harm.
func (r *Replay) plan(ctx context.Context) (jetstream.ConsumerConfig, error) {
	config, err := r.newConsumer(ctx)
	if err != nil {
		return config, err
	}
	old, err := r.bus.js.Consumer(ctx, r.cfg.Stream, r.cfg.Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return config, nil
	}
	if err != nil {
		return config, fmt.Errorf("looking up consumer %s: %w", r.cfg.Consumer, err)
	}
	if !r.cfg.Restart {
		if err := r.resume(old.CachedInfo(), &config); err != nil {
			return config, err
		}
	}
	return config, r.Remove(ctx)
}

func (r *Replay) newConsumer(ctx context.Context) (jetstream.ConsumerConfig, error) {
	stream, err := r.bus.js.Stream(ctx, r.cfg.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return jetstream.ConsumerConfig{}, fmt.Errorf("there is no stream %s: see STREAM_NAME and NATS_URL", r.cfg.Stream)
	}
	if err != nil {
		return jetstream.ConsumerConfig{}, fmt.Errorf("looking up stream %s: %w", r.cfg.Stream, err)
	}
	r.Until = stream.CachedInfo().State.LastSeq
	config := jetstream.ConsumerConfig{
		Durable:     r.cfg.Consumer,
		Description: "reads the stream again; removed at the end",
		AckPolicy:   jetstream.AckAllPolicy,
		HeadersOnly: r.cfg.HeadersOnly, FilterSubjects: r.cfg.Subjects,
		AckWait: replayAckWait, MaxDeliver: -1, MaxAckPending: -1,
		Metadata: map[string]string{replayFrom: r.cfg.From, replayUntil: strconv.FormatUint(r.Until, 10)},
	}
	switch {
	case r.cfg.Sequence > 0:
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.cfg.Sequence
	case !r.cfg.Time.IsZero():
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.cfg.Time
	}
	return config, nil
}

// resume makes config continue an interrupted replay, up to the same end.
func (r *Replay) resume(old *jetstream.ConsumerInfo, config *jetstream.ConsumerConfig) error {
	metadata, acknowledged := old.Config.Metadata, old.AckFloor.Stream
	if metadata[replayFrom] != r.cfg.From {
		return fmt.Errorf("%w: from %s, interrupted after message %d", ErrOtherReplay, metadata[replayFrom], acknowledged)
	}
	until, err := strconv.ParseUint(metadata[replayUntil], 10, 64)
	if err != nil {
		return fmt.Errorf("%w: its end is unknown", ErrOtherReplay)
	}
	r.Until, r.Resumed = until, acknowledged
	config.Metadata[replayUntil] = metadata[replayUntil]
	config.DeliverPolicy, config.OptStartSeq, config.OptStartTime = old.Config.DeliverPolicy, old.Config.OptStartSeq, old.Config.OptStartTime
	if acknowledged > 0 {
		config.DeliverPolicy, config.OptStartSeq, config.OptStartTime = jetstream.DeliverByStartSequencePolicy, acknowledged+1, nil
	}
	return nil
}
