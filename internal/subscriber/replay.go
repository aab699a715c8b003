package subscriber

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/time/rate"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/term"
)

const (
	connectPatience = 10 * time.Second
	// toldEvery is how often a log, where nobody watches, says how far it is.
	toldEvery = 10 * time.Second
	// panicTries bounds how often a message is tried that makes its handler panic.
	panicTries = 5
	// replaySuffix makes the name of the replay's own consumer.
	replaySuffix = "-replay"
)

// Replay reads the stream once more into the database, through the same code as
// live messages, and prints what became of them.
func Replay(ctx context.Context, cfg config.Subscriber, out, status io.Writer, log *slog.Logger) (err error) {
	store, err := openStore(ctx, cfg.Mongo, max(cfg.MaxInFlight/2, 1), log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore(ctx, store)) }()
	if natsbus.ProvisionMode(cfg.Provision) == natsbus.ProvisionCreate {
		store.Provision(ctx, true)
	}
	bus, err := natsbus.Open(natsbus.Auth(cfg.NATS), "billbus-replay", log)
	if err != nil {
		return err
	}
	defer bus.Close()
	stream, err := openReplay(ctx, bus, cfg)
	if err != nil {
		return err
	}
	r := &replay{cfg: cfg, stream: stream, log: log, tally: tally{counts: map[string]int{}}, start: time.Now()}
	if err := r.prepare(store); err != nil {
		return err
	}
	if err := r.run(ctx, status); err != nil {
		return fmt.Errorf("replaying: %w; run the same command again to go on", err)
	}
	return errors.Join(stream.Remove(ctx), r.print(out))
}

func openReplay(ctx context.Context, bus *natsbus.Bus, cfg config.Subscriber) (*natsbus.Replay, error) {
	waiting, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	if err := bus.WaitConnected(waiting); err != nil {
		return nil, err
	}
	stream, err := bus.OpenReplay(ctx, natsbus.ReplayConfig{
		Stream: cfg.Stream.Name, Consumer: cfg.ConsumerName + replaySuffix,
		Sequence: cfg.Replay.FromSequence, Time: cfg.Replay.FromTime.Time(time.Now()),
		From: startText(cfg.Replay), Restart: cfg.Replay.Restart,
	})
	if errors.Is(err, natsbus.ErrOtherReplay) {
		err = fmt.Errorf("%w: give the same start to go on with it, or --restart to forget it", err)
	}
	return stream, err
}

func startText(r config.Replay) string {
	switch {
	case r.FromSequence > 0:
		return fmt.Sprintf("sequence %d", r.FromSequence)
	case r.FromTime != config.Moment{}:
		return r.FromTime.Text
	}
	return "the beginning"
}

type replay struct {
	cfg    config.Subscriber
	stream *natsbus.Replay
	handle message.NoPublishHandlerFunc
	log    *slog.Logger
	tally  tally
	start  time.Time
}

func (r *replay) prepare(store *mongostore.Store) error {
	record, err := handlers.NewCommit(handlers.CommitConfig{
		Committer: store, Position: position, References: normalize.References,
		Now: time.Now, Metrics: &r.tally, Log: slog.New(quiet{r.log.Handler()}),
	})
	if err == nil {
		// The middleware makes a panic an error.
		r.handle = natsbus.Outcome(record.Handle)
	}
	return err
}

// run reads and records batch by batch, each acknowledged as a whole, so that the
// order of the stream holds between batches.
func (r *replay) run(ctx context.Context, status io.Writer) error {
	shown := term.NewProgress(status, "replaying messages", int64(r.stream.Total()))
	defer shown.Stop()
	limit, size := rate.NewLimiter(rate.Inf, 0), r.cfg.MaxInFlight
	if r.cfg.Replay.Rate > 0 {
		size = min(size, r.cfg.Replay.Rate)
		limit = rate.NewLimiter(rate.Limit(r.cfg.Replay.Rate), size)
	}
	told := r.start
	for n := 0; ; {
		batch, err := r.stream.Next(ctx, size)
		if err != nil || len(batch) == 0 {
			return err
		}
		if err := limit.WaitN(ctx, len(batch)); err != nil {
			return err
		}
		if err := r.record(ctx, batch); err != nil {
			return err
		}
		n += len(batch)
		shown.Set(int64(n))
		if now := time.Now(); !term.IsTerminal(status) && now.Sub(told) >= toldEvery {
			told = now
			r.tell(n)
		}
	}
}

// tell logs how far it is, for those who watch a log and no terminal.
func (r *replay) tell(n int) {
	perSecond := float64(n) / time.Since(r.start).Seconds()
	left := time.Duration(float64(int(r.stream.Total())-n) / perSecond * float64(time.Second))
	r.log.Info("replaying", "done", n, "total", r.stream.Total(), "per_second", int(perSecond), "left", max(left, 0).Round(time.Second).String())
}

// record handles a batch and acknowledges it. Messages of one event are handled
// one after the other: where they differ, the first in the stream counts.
func (r *replay) record(ctx context.Context, batch []*message.Message) error {
	for len(batch) > 0 {
		wave, rest := distinctIDs(batch)
		var work sync.WaitGroup
		for _, msg := range wave {
			work.Go(func() { r.settle(ctx, msg) })
		}
		work.Wait()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		batch = rest
	}
	return r.stream.Done(ctx)
}

// distinctIDs takes the first message of each id.
func distinctIDs(batch []*message.Message) (wave, rest []*message.Message) {
	seen := map[string]bool{}
	for _, msg := range batch {
		if msg.UUID != "" && seen[msg.UUID] {
			rest = append(rest, msg)
			continue
		}
		seen[msg.UUID] = true
		wave = append(wave, msg)
	}
	return wave, rest
}

// settle handles a message until it is recorded or known to be unreadable. It
// makes no dead letter: the subscriber has made it.
func (r *replay) settle(ctx context.Context, msg *message.Message) {
	panics := 0
	for tries := uint64(0); ; tries++ {
		err := r.handle(msg)
		if err == nil || fault.KindOf(err) == fault.Permanent {
			return
		}
		if fault.ReasonOf(err) == fault.Panicked {
			if panics++; panics == panicTries {
				r.tally.MessageDone(fault.Permanent.String(), 0)
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(natsbus.RedeliveryDelay(tries)):
		}
	}
}

type replaySummary struct {
	Until    uint64         `json:"until_sequence"`
	Resumed  uint64         `json:"resumed_behind,omitempty"`
	Messages int            `json:"messages"`
	Outcomes map[string]int `json:"outcomes"`
	Seconds  float64        `json:"seconds"`
}

func (r *replay) print(out io.Writer) error {
	s := replaySummary{
		Until: r.stream.Until(), Resumed: r.stream.Resumed(), Outcomes: r.tally.settled(), Seconds: time.Since(r.start).Seconds(),
	}
	var parts []string
	for _, outcome := range slices.Sorted(maps.Keys(s.Outcomes)) {
		s.Messages += s.Outcomes[outcome]
		parts = append(parts, fmt.Sprintf("%d %s", s.Outcomes[outcome], outcome))
	}
	if r.cfg.Replay.JSON {
		return json.NewEncoder(out).Encode(s)
	}
	if s.Messages == 0 {
		_, err := fmt.Fprintln(out, "nothing to replay: the stream has no message from there on")
		return err
	}
	_, err := fmt.Fprintf(out, "replayed %d messages, to sequence %d of %s, in %.1f s: %s\n",
		s.Messages, s.Until, r.cfg.Stream.Name, s.Seconds, strings.Join(parts, ", "))
	return err
}

// tally counts what became of messages, for the summary.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

// MessageDone counts an outcome.
func (t *tally) MessageDone(outcome string, _ time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.counts[outcome]++
}

// EventLag and UserID are not of interest in a replay.
func (t *tally) EventLag(time.Duration) {}

// UserID is counted by the subscriber.
func (t *tally) UserID(string) {}

// settled leaves out what was tried again.
func (t *tally) settled() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := maps.Clone(t.counts)
	delete(counts, fault.Transient.String())
	return counts
}

// quiet drops the line of each message: there are as many as in the stream.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && q.Handler.Enabled(ctx, level)
}
