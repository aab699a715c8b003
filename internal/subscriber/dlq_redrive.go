package subscriber

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/store"
)

// redriveAtOnce is how many letters are applied at once. They share batches of writes.
const redriveAtOnce = 32

// ErrNotRedriven is what Redrive returns after it has printed which letters failed.
var ErrNotRedriven = errors.New("some letters were not applied")

// Redrive applies dead letters through the same code as deliveries, and removes those
// that are stored. It returns nil only if all of them are.
func Redrive(ctx context.Context, cfg config.Subscriber, console Console, log *slog.Logger) error {
	return withDeadLetters(ctx, cfg.NATS, log, func(letters *natsbus.DeadLetters) error {
		return WithStore(ctx, cfg.Mongo, redriveAtOnce, log, func(db store.Store) error {
			v, closeView, err := openView(ctx, db, cfg, "billbus-dlq", slog.New(onlyWarnings{log.Handler()}))
			if err != nil {
				return err
			}
			defer closeView()
			s, err := newSettling(cfg, letters, db, v, console)
			if err != nil {
				return err
			}
			return s.redriveAll(ctx)
		})
	})
}

func (s *settling) redriveAll(ctx context.Context) error {
	sequences, err := s.chosen(ctx)
	if err != nil {
		return err
	}
	err = s.each(ctx, "applying letters", sequences, s.redrive)
	if err != nil {
		err = fmt.Errorf("applying letters: %w; run the same command again to continue", err)
	} else if s.results[failed] > 0 {
		err = ErrNotRedriven
	}
	return errors.Join(s.printSummary(), err)
}

// chosen returns the letters to apply. Of all letters, those of other consumers are only
// counted.
func (s *settling) chosen(ctx context.Context) (sequences []uint64, err error) {
	if !s.cfg.DeadLetters.All {
		return s.cfg.DeadLetters.Sequences, nil
	}
	list, _, err := selected(ctx, s.letters, s.cfg.DeadLetters, s.now())
	for _, l := range list {
		if l.Consumer == s.cfg.ConsumerName {
			sequences = append(sequences, l.Sequence)
		} else {
			s.results[otherConsumer]++
		}
	}
	return sequences, err
}

// redrive applies one letter: the message is stored first, then the record is written,
// and then the letter is removed. Whatever comes in between, the same can be done again.
func (s *settling) redrive(ctx context.Context, sequence uint64) (settlement, error) {
	l, err := s.letters.Get(ctx, sequence)
	if errors.Is(err, natsbus.ErrNoLetter) {
		return s.whatWasDone(ctx, sequence, store.Redriven)
	}
	if err != nil {
		return settlement{}, withSequence(sequence, err)
	}
	if err := s.mine(l); err != nil {
		return unsettled(sequence, err), nil
	}
	msg, err := s.letters.Message(ctx, l)
	if err != nil {
		return unsettled(sequence, err), nil
	}
	if err := s.handle(msg); err != nil {
		return unsettled(sequence, err), s.away(ctx, err)
	}
	failpoint.At("letter:applied")
	l.Payload = msg.Payload
	return s.settle(ctx, l, store.Redriven)
}

// mine refuses the letters of other consumers: they failed at something else than
// storing the message here.
func (s *settling) mine(l natsbus.StoredLetter) error {
	switch l.Consumer {
	case s.cfg.ConsumerName:
		return nil
	case natsbus.ResolverConsumer().Name:
		return fmt.Errorf("the bridge made this letter (consumer %s), so there is nothing to store: report the fault or upgrade the bridge, and then discard the letter", l.Consumer)
	}
	return fmt.Errorf("it is of the consumer %s: set CONSUMER_NAME to that, with the database of that subscriber", l.Consumer)
}

// away returns an error if the failure of a letter is one that all others would meet.
func (s *settling) away(ctx context.Context, failure error) error {
	if fault.KindOf(failure) == fault.Permanent || s.db.Ping(ctx) == nil {
		return nil
	}
	return failure
}
