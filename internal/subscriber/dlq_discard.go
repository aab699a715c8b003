package subscriber

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
)

// ErrNotDiscarded is what Discard returns after it has printed which letters are missing.
var ErrNotDiscarded = errors.New("some letters were not discarded")

// Discard removes dead letters after a question, and records that.
func Discard(ctx context.Context, cfg config.Subscriber, console Console, log *slog.Logger) error {
	if !cfg.DeadLetters.Yes && !isTerminal(console.Stdin) {
		return &config.Faults{Program: "subscriber dlq discard", Lines: []string{"--yes: required, because standard input is not a terminal"}}
	}
	return withDeadLetters(ctx, cfg.NATS, log, func(letters *natsbus.DeadLetters) error {
		return WithStore(ctx, cfg.Mongo, 1, log, func(db store.Store) error {
			s, err := newSettling(cfg, letters, db, nil, console)
			if err != nil {
				return err
			}
			return s.discardAll(ctx)
		})
	})
}

func isTerminal(in io.Reader) bool {
	file, ok := in.(*os.File)
	return ok && term.IsTerminal(file)
}

// discardAll shows the letters, asks, and discards them.
func (s *settling) discardAll(ctx context.Context) error {
	if err := s.confirm(ctx); err != nil {
		return err
	}
	err := s.each(ctx, "discarding letters", s.cfg.DeadLetters.Sequences, s.discard)
	if err == nil && s.results[failed] > 0 {
		err = ErrNotDiscarded
	}
	return errors.Join(s.printSummary(), err)
}

func (s *settling) discard(ctx context.Context, sequence uint64) (settlement, error) {
	l, err := s.letters.Get(ctx, sequence)
	switch {
	case errors.Is(err, natsbus.ErrNoLetter):
		return s.whatWasDone(ctx, sequence, store.Discarded)
	case err != nil:
		return settlement{}, withSequence(sequence, err)
	}
	return s.settle(ctx, l, store.Discarded)
}

var errDeclined = errors.New("nothing was discarded")

// confirm asks unless that is not wanted, or there is nothing to discard.
func (s *settling) confirm(ctx context.Context) error {
	if s.cfg.DeadLetters.Yes {
		return nil
	}
	var list []letterLine
	for _, sequence := range s.cfg.DeadLetters.Sequences {
		l, err := s.letters.Get(ctx, sequence)
		if err == nil {
			list = append(list, newLetterLine(l))
		} else if !errors.Is(err, natsbus.ErrNoLetter) {
			return withSequence(sequence, err)
		}
	}
	if len(list) == 0 {
		return nil
	}
	question := fmt.Sprintf("Discard %d letters? Their messages will not be stored. [y/N] ", len(list))
	if err := printLetters(term.NewPrinter(s.console.Stderr), list, false); err != nil {
		return err
	}
	if _, err := io.WriteString(s.console.Stderr, question); err != nil {
		return err
	}
	return answer(ctx, s.console.Stdin)
}

// answer returns nil if the next line is a yes. A read from a terminal cannot be
// canceled: after a signal it goes on until the process ends.
func answer(ctx context.Context, in io.Reader) error {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // at the end it is empty, which is a no
		lines <- line
	}()
	select {
	case <-ctx.Done():
		return errDeclined
	case line := <-lines:
		if word := strings.ToLower(strings.TrimSpace(line)); word != "y" && word != "yes" {
			return errDeclined
		}
		return nil
	}
}
