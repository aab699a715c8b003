package subscriber

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/internal/view"
)

// letterStore is what settling letters needs of a store.
type letterStore interface {
	handlers.Store
	store.Letters
	Ping(ctx context.Context) error
}

// settling applies or discards letters.
type settling struct {
	cfg     config.Subscriber
	letters *natsbus.DeadLetters
	db      letterStore
	handle  message.NoPublishHandlerFunc
	console Console
	tally   tally // of applied messages
	by      string
	now     func() time.Time

	mu       sync.Mutex
	progress *term.Progress
	results  map[string]int // by outcome
	settled  int
}

// newSettling takes no view if there is none, or nothing is applied.
func newSettling(cfg config.Subscriber, letters *natsbus.DeadLetters, db letterStore, v *view.View, console Console) (*settling, error) {
	s := &settling{
		cfg: cfg, letters: letters, db: db, console: console, tally: tally{counts: map[string]int{}},
		by: cmp.Or(cfg.DeadLetters.By, whoami()), now: time.Now, progress: &term.Progress{}, results: map[string]int{},
	}
	commit, err := handlers.NewCommit(handlers.CommitConfig{
		Store: following{db, v}, Position: position, References: normalize.References,
		Now: time.Now, Metrics: &s.tally, Log: slog.New(slog.DiscardHandler), // failures are printed
	})
	if err != nil {
		return nil, err
	}
	s.handle = natsbus.Outcome(commit.Handle) // which turns a panic into an error
	return s, nil
}

func whoami() string {
	name := "uid " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return name + "@" + host
}

// Outcomes of letters, in addition to what was done with them.
const (
	earlier = "earlier" // it was redriven or discarded before
	failed  = "failed"

	otherConsumer = "other_consumer" // it was left alone
)

// settlement is what happened to a letter, as JSON shows it.
type settlement struct {
	Kind     string `json:"kind"`
	Sequence uint64 `json:"sequence"`
	Outcome  string `json:"outcome"`
	Code     string `json:"code,omitempty"`
	Reason   string `json:"reason,omitempty"` // why it failed, or what was done earlier
}

// each settles letters concurrently. An error ends it; what concerns one letter is its
// settlement.
func (s *settling) each(ctx context.Context, what string, sequences []uint64, settle func(context.Context, uint64) (settlement, error)) error {
	s.progress = term.NewProgress(s.console.Stderr, what, int64(len(sequences)))
	defer func() { s.progress.Stop() }()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(redriveAtOnce)
	for _, sequence := range sequences {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			result, err := settle(ctx, sequence)
			if err != nil {
				return err
			}
			return s.report(result)
		})
	}
	return group.Wait()
}

func unsettled(sequence uint64, err error) settlement {
	return settlement{Kind: "letter", Sequence: sequence, Outcome: failed, Code: string(fault.ReasonOf(err)), Reason: err.Error()}
}

// settle records what was done with a letter, and removes it.
func (s *settling) settle(ctx context.Context, l natsbus.StoredLetter, action store.LetterAction) (settlement, error) {
	err := s.db.RecordLetter(ctx, store.Letter{
		// The stream of the letters can have been deleted, and then counts from 1 again.
		ID:       fmt.Sprintf("%d@%s", l.Sequence, l.At.Format(time.RFC3339Nano)),
		Sequence: l.Sequence, StreamSequence: l.Delivery.Sequence, Action: action, Code: l.Code, Reason: l.Reason,
		Subject: l.Delivery.Subject, EventID: eventID(l.Payload), Consumer: l.Consumer, At: s.now().UTC().Truncate(time.Millisecond), By: s.by,
	})
	if err != nil && !errors.Is(err, store.ErrExists) {
		return settlement{}, withSequence(l.Sequence, err)
	}
	failpoint.At("letter:recorded")
	if err := s.letters.Remove(ctx, l.Sequence); err != nil {
		return settlement{}, err
	}
	return settlement{Kind: "letter", Sequence: l.Sequence, Outcome: string(action)}, nil
}

// whatWasDone is about a letter that is not in the stream. It fails if the message may not
// be stored although that is wanted.
func (s *settling) whatWasDone(ctx context.Context, sequence uint64, wanted store.LetterAction) (settlement, error) {
	before, found, err := s.db.RecordedLetter(ctx, sequence)
	switch {
	case err != nil:
		return settlement{}, withSequence(sequence, err)
	case !found:
		return unsettled(sequence, natsbus.ErrNoLetter), nil
	}
	text := fmt.Sprintf("%s by %s, %s", before.Action, before.By, before.At.Format(time.RFC3339))
	if wanted == store.Redriven && before.Action == store.Discarded {
		return unsettled(sequence, fmt.Errorf("%s: `subscriber replay --from-sequence %d` reads its message from the stream", text, before.StreamSequence)), nil
	}
	return settlement{Kind: "letter", Sequence: sequence, Outcome: earlier, Reason: text}, nil
}

func (s *settling) report(result settlement) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.results[result.Outcome]++
	s.settled++
	s.progress.Set(int64(s.settled))
	switch {
	case s.cfg.DeadLetters.JSON:
		return term.JSONLines(s.console.Stdout)(result)
	case result.Reason != "":
		return s.progress.Line(s.console.Stdout, fmt.Sprintf("%s %d  %s", mark(result.Outcome), result.Sequence, result.text()))
	}
	return nil
}

func mark(outcome string) string {
	if outcome == failed {
		return "✗"
	}
	return "="
}

func (r settlement) text() string {
	if r.Code == "" || r.Code == string(fault.Other) {
		return r.Reason
	}
	return r.Code + ": " + r.Reason
}

func (s *settling) printSummary() error {
	letters := 0
	for _, n := range s.results {
		letters += n
	}
	if s.cfg.DeadLetters.JSON {
		return term.JSONLines(s.console.Stdout)(struct {
			Kind     string         `json:"kind"`
			Letters  int            `json:"letters"`
			Results  map[string]int `json:"results"`
			Outcomes map[string]int `json:"outcomes,omitempty"`
		}{"summary", letters, s.results, s.tally.stored()})
	}
	text := errNoLetters.Error()
	if letters > 0 {
		text = fmt.Sprintf("%d letters: %s", letters, counted(s.results))
	}
	if stored := s.tally.stored(); len(stored) > 0 {
		text += " (" + counted(stored) + ")"
	}
	_, err := fmt.Fprintln(s.console.Stdout, text)
	return err
}
