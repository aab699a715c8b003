package natsbus

import (
	"context"
	"log/slog"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"

	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
)

const (
	ackTimeout = 5 * time.Second
	panicTries = 5
	// handBackDelay keeps a message that was fetched while closing from coming back
	// to the subscriber that is closing.
	handBackDelay = time.Second
)

// deliver passes one message on and waits for its outcome. The server always gets
// an answer: an ack, a delayed nak, or a dead letter and then an ack.
func (s *subscription) deliver(jm *nats.Msg) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ctx, outcome := withSlot(ctx, deliveryOf(jm))
	msg := toMessage(ctx, jm)
	select {
	case s.out <- msg:
	case <-s.ctx.Done():
		s.nak(jm, handBackDelay)
		return
	}
	s.await(jm, msg, outcome, cancel)
}

func (s *subscription) await(jm *nats.Msg, msg *message.Message, outcome *slot, cancel context.CancelFunc) {
	heartbeat := time.NewTicker(heartbeatInterval)
	defer heartbeat.Stop()
	for {
		select {
		case <-msg.Acked():
			cancel()
			s.succeeded(jm, outcome.delivery)
			return
		case <-msg.Nacked():
			cancel()
			s.failed(jm, outcome.delivery, outcome.err)
			return
		case <-heartbeat.C:
			// It fails while the connection is down. The message is then delivered
			// again, which handlers have to expect anyway.
			_ = jm.InProgress()
		case <-s.handBack.Done():
			select {
			case <-msg.Acked(): // at the same time
				s.succeeded(jm, outcome.delivery)
			default:
				s.nak(jm, handBackDelay)
			}
			return
		}
	}
}

func (s *subscription) succeeded(jm *nats.Msg, delivery Delivery) {
	failpoint.At("message:handled")
	s.ack(jm, delivery)
	s.handling.succeeded()
	s.forgetPanics(delivery.Sequence)
	s.settled(delivery)
}

func (s *subscription) failed(jm *nats.Msg, delivery Delivery, err error) {
	s.settled(delivery)
	if s.isPermanent(delivery.Sequence, err) {
		s.deadLetter(jm, delivery, err)
		return
	}
	// A message that is held does not mean that others fail.
	if err != nil && s.ctx.Err() == nil && fault.ReasonOf(err) != fault.Held {
		s.handling.failed()
	}
	s.nak(jm, s.cfg.Delay(delivery.Deliveries))
}

func (s *subscription) settled(delivery Delivery) {
	if s.cfg.Settled != nil {
		s.cfg.Settled(delivery)
	}
}

// isPermanent also counts panics: a message whose handler always panics would
// be delivered again without end.
func (s *subscription) isPermanent(sequence uint64, err error) bool {
	if fault.ReasonOf(err) != fault.Panicked {
		return fault.KindOf(err) == fault.Permanent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.panics[sequence]++
	return s.panics[sequence] >= panicTries
}

func (s *subscription) forgetPanics(sequence uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.panics, sequence)
}

// deadLetter stores the letter first and acknowledges second. After a crash in between,
// the letter is published again under the same id, and its stream drops it.
func (s *subscription) deadLetter(jm *nats.Msg, delivery Delivery, why error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), ackTimeout)
	defer cancel()
	err := s.cfg.DeadLetter(ctx, Letter{
		Delivery: delivery, Consumer: s.cfg.Consumer, Err: why, Header: jm.Header, Payload: jm.Data,
	})
	if err != nil {
		s.bus.seldom(slog.LevelError, err, "storing a dead letter failed; trying again", "sequence", delivery.Sequence)
		s.nak(jm, s.cfg.Delay(delivery.Deliveries))
		return
	}
	failpoint.At("letter:kept")
	s.ack(jm, delivery)
	s.forgetPanics(delivery.Sequence)
}

// ack waits for the server's confirmation: after an acknowledgement that was lost,
// as at shutdown, the message would be delivered again.
func (s *subscription) ack(jm *nats.Msg, delivery Delivery) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), ackTimeout)
	defer cancel()
	if err := jm.AckSync(nats.Context(ctx)); err != nil {
		s.bus.log.Debug("acknowledging failed; the message will be delivered again", "sequence", delivery.Sequence, "error", err)
	}
	failpoint.At("message:acknowledged")
}

func (s *subscription) nak(jm *nats.Msg, delay time.Duration) {
	if err := jm.NakWithDelay(delay); err != nil {
		s.bus.log.Debug("returning a message failed; it will be delivered again after the ack wait", "error", err)
	}
}

// toMessage never fails: the handler decides about messages that it cannot read.
func toMessage(ctx context.Context, jm *nats.Msg) *message.Message {
	msg := message.NewMessageWithContext(ctx, jm.Header.Get(nats.MsgIdHdr), jm.Data)
	for key, values := range jm.Header {
		if len(values) > 0 && !isServerHeader(key) {
			msg.Metadata.Set(key, values[0])
		}
	}
	return msg
}
