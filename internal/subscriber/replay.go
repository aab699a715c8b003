package subscriber

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/time/rate"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/internal/view"
)

const (
	connectTimeout = 10 * time.Second
	// logInterval is how often progress is logged if there is no terminal to show it.
	logInterval = 10 * time.Second
	// panicTries is how often a message whose handler panics is tried.
	panicTries = 5
	// replaySuffix completes the name of the replay's own consumer.
	replaySuffix = "-replay"
	// skipped is the outcome of a message that is not selected.
	skipped = "skipped"
)

// Replay reads the stream or the audit trail again, into the database or into a shadow of
// it, through the same code as live messages, and prints the outcomes. It also compares a
// shadow with the database, applies it and removes it.
func Replay(ctx context.Context, cfg config.Subscriber, out, status io.Writer, log *slog.Logger) error {
	switch r := cfg.Replay; {
	case r.Into != "":
		return replayIntoShadow(ctx, cfg, out, status, log)
	case r.Diff != "" || r.Apply != "":
		return compareShadow(ctx, cfg, r.Diff+r.Apply, out, log)
	case r.Drop != "":
		return dropShadow(ctx, cfg, r.Drop, log)
	}
	return WithStore(ctx, cfg.Mongo, batchOf(cfg), log, func(db store.Store) error {
		if natsbus.ProvisionMode(cfg.Provision) == natsbus.ProvisionCreate {
			db.Provision(ctx, true)
		}
		return newReplay(cfg, db, db, status, log).execute(ctx, out)
	})
}

func batchOf(cfg config.Subscriber) int { return max(cfg.MaxInFlight/2, 1) }

type replay struct {
	cfg    config.Subscriber
	into   store.Store
	trail  store.Rereading // what is read instead of the stream
	status io.Writer
	log    *slog.Logger
	bus    *natsbus.Bus // nil if nothing needs it
	source source
	// begin, if not nil, is called before the first message.
	begin    func(ctx context.Context, resumed bool) error
	view     *view.View // nil if it is turned off
	handle   message.NoPublishHandlerFunc
	tally    tally
	reread   rereadings
	bare     atomic.Int64 // messages of the audit trail without what Stripe sent
	resumed  bool
	position replaySummary // the part that says where it reads
	start    time.Time
	total    int64
	shown    *term.Progress
	done     atomic.Int64 // messages that are settled
}

func newReplay(cfg config.Subscriber, from store.Rereading, into store.Store, status io.Writer, log *slog.Logger) *replay {
	return &replay{cfg: cfg, into: into, trail: from, status: status, log: log, tally: tally{counts: map[string]int{}}, start: time.Now()}
}

func (r *replay) execute(ctx context.Context, out io.Writer) error {
	if r.needsBus() {
		bus, err := natsbus.Open(natsbus.Auth(r.cfg.NATS), "billbus-replay", r.log)
		if err != nil {
			return err
		}
		defer bus.Close()
		r.bus = bus
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("replaying: %w; run the same command again to continue", err)
	}
	if _, err := r.into.Sweep(ctx, rand.Text(), followKeys(r.view)); err != nil {
		return fmt.Errorf("updating names in records: %w; %s", err, r.afterwards())
	}
	if r.view != nil {
		if err := r.view.All(ctx); err != nil {
			return fmt.Errorf("completing the state view: %w; run the same command again", err)
		}
	}
	return errors.Join(r.source.Remove(ctx), r.reread.print(out, r.cfg.Replay), printReplay(out, r.summary(), r.cfg))
}

func (r *replay) afterwards() string {
	if r.isShadow() {
		return "run the same command again"
	}
	return "a subscriber continues"
}

func (r *replay) isShadow() bool { return r.cfg.Replay.Into != "" }

// needsBus reports whether the replay reads from NATS, or writes there.
func (r *replay) needsBus() bool {
	return !r.cfg.Replay.FromAudit || !r.isShadow() && (r.cfg.Stream.StateView || r.cfg.Replay.Renormalize)
}

func (r *replay) prepare(ctx context.Context) error {
	var err error
	if !r.isShadow() {
		if r.view, err = newView(r.bus, r.cfg.Stream, r.into, noMetrics{}, time.Now); err != nil {
			return err
		}
	}
	commit, err := handlers.NewCommit(handlers.CommitConfig{
		Store: following{r.into, r.view}, Position: replayedPosition, References: normalize.References,
		Now: time.Now, Metrics: &r.tally, Log: slog.New(onlyWarnings{r.log.Handler()}),
	})
	if err != nil {
		return err
	}
	handle := commit.Handle
	if r.cfg.Replay.Renormalize {
		if handle, err = r.rereader(commit.Handle); err != nil {
			return err
		}
	}
	// Outcome turns a panic into an error.
	r.handle = natsbus.Outcome(selectionOf(r.cfg.Replay).only(handle, r.tally.skipped))
	if err := r.open(ctx); err != nil {
		return err
	}
	if r.begin != nil {
		return r.begin(ctx, r.resumed)
	}
	return nil
}

// open opens the source, where an interrupted replay has stopped.
func (r *replay) open(ctx context.Context) error {
	open := r.openStream
	if r.cfg.Replay.FromAudit {
		open = r.openTrail
	}
	err := open(ctx)
	if errors.Is(err, natsbus.ErrOtherReplay) {
		err = fmt.Errorf("%w: give the same start and options to continue it, or --restart to forget it", err)
	}
	return err
}

func (r *replay) openStream(ctx context.Context) error {
	connecting, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := r.bus.WaitConnected(connecting); err != nil {
		return err
	}
	stream, err := r.bus.OpenReplay(ctx, natsbus.ReplayConfig{
		Stream: r.cfg.Stream.Name, Consumer: r.cfg.ConsumerName + replaySuffix,
		Sequence: r.cfg.Replay.FromSequence, Time: r.cfg.Replay.FromTime.Time(time.Now()),
		From: fromText(r.cfg.Replay), Restart: r.cfg.Replay.Restart, MaxBytes: r.cfg.MaxBytes, Subjects: events.FactSubjects(),
	})
	if err != nil {
		return err
	}
	r.source, r.total, r.resumed = stream, int64(stream.Total), stream.Resumed > 0
	r.position = replaySummary{Until: stream.Until, Resumed: stream.Resumed}
	return nil
}

func (r *replay) openTrail(ctx context.Context) error {
	if r.view != nil || r.cfg.Replay.Renormalize && !r.isShadow() {
		connecting, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		if err := r.bus.WaitConnected(connecting); err != nil {
			return fmt.Errorf("the state view follows the records: %w (see NATS_URL; STATE_VIEW=off leaves it alone)", err)
		}
	}
	from, err := openTrail(ctx, r.trail, r.into, fromText(r.cfg.Replay), r.cfg.Replay)
	if err != nil {
		return err
	}
	from.maxBytes, from.bare = r.cfg.MaxBytes, func() { r.bare.Add(1) }
	r.source, r.resumed = from, from.resumed
	if r.resumed {
		r.position.ResumedAt = from.progress.Reached.Format(time.RFC3339Nano)
	}
	r.total, err = r.trail.EverythingSize(ctx, from.progress.Reached)
	return err
}

// fromText says what a replay does. Only one that does the same continues it.
func fromText(r config.Replay) string {
	text := startText(r)
	if r.Into != "" {
		text += ", into " + r.Into
	}
	if s := selectionOf(r); !s.all() {
		text += ", only of " + s.String()
	}
	if r.Renormalize {
		text += ", reading again"
	}
	return text
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

// run reads and handles batch after batch. Each is acknowledged as a whole, so the
// order of the stream holds between batches.
func (r *replay) run(ctx context.Context) error {
	r.shown = term.NewProgress(r.status, "replaying messages", r.total)
	defer r.shown.Stop()
	if !term.IsTerminal(r.status) {
		defer r.logging()()
	}
	limit, size := rate.NewLimiter(rate.Inf, 0), r.cfg.MaxInFlight
	if r.cfg.Replay.Rate > 0 {
		size = min(size, r.cfg.Replay.Rate)
		limit = rate.NewLimiter(rate.Limit(r.cfg.Replay.Rate), size)
	}
	for {
		batch, err := r.source.Next(ctx, size)
		if err != nil || len(batch) == 0 {
			return err
		}
		if err := limit.WaitN(ctx, len(batch)); err != nil {
			return err
		}
		if err := r.handleBatch(ctx, batch); err != nil {
			return err
		}
	}
}

// logging logs the progress at every interval, also if there is none, until the function
// that it returns is called.
func (r *replay) logging() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(logInterval):
				r.log.Info("replaying", r.progress(time.Since(r.start))...)
			}
		}
	})
	return func() { cancel(); work.Wait() }
}

// progress says how far the replay is after some time, and how long the rest will take.
func (r *replay) progress(after time.Duration) []any {
	n, total := r.done.Load(), r.total
	attrs := []any{"done", n, "total", total, "per_second", math.Round(float64(n)/after.Seconds()*10) / 10}
	if n > 0 {
		left := time.Duration(float64(total-n) / float64(n) * float64(after))
		attrs = append(attrs, "left", max(left, 0).Round(time.Second).String())
	}
	return attrs
}

// handleBatch handles a batch concurrently and acknowledges it. Messages with the
// same event id are handled one after the other, because the first one in the
// stream counts.
func (r *replay) handleBatch(ctx context.Context, batch []*message.Message) error {
	for len(batch) > 0 {
		first, rest := distinctIDs(batch)
		var work sync.WaitGroup
		for _, msg := range first {
			work.Go(func() {
				r.settle(ctx, msg)
				r.shown.Set(r.done.Add(1))
			})
		}
		work.Wait()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		batch = rest
	}
	return r.source.Done(ctx)
}

// distinctIDs separates the first message of each id from the rest. That an event came
// through another endpoint makes no other id of it.
func distinctIDs(batch []*message.Message) (first, rest []*message.Message) {
	seen := map[string]bool{}
	for _, msg := range batch {
		id, _, _ := strings.Cut(msg.UUID, "@")
		if id != "" && seen[id] {
			rest = append(rest, msg)
			continue
		}
		seen[id] = true
		first = append(first, msg)
	}
	return first, rest
}

// settle handles a message again and again until it is stored or has failed
// permanently. It makes no dead letter, because the subscriber has made one.
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
	Kind    string `json:"kind"`
	Until   uint64 `json:"until_sequence,omitempty"`
	Resumed uint64 `json:"resumed_behind,omitempty"`
	// ResumedAt is the time of the event with which the audit trail was continued.
	ResumedAt string `json:"resumed_at,omitempty"`
	// Bare counts the messages of the audit trail without what Stripe sent.
	Bare     int64          `json:"without_payload,omitempty"`
	Messages int            `json:"messages"`
	Outcomes map[string]int `json:"outcomes"`
	Seconds  float64        `json:"seconds"`
}

func (r *replay) summary() replaySummary {
	s := r.position
	s.Kind, s.Bare, s.Outcomes, s.Seconds = "summary", r.bare.Load(), r.tally.settled(), time.Since(r.start).Seconds()
	for _, n := range s.Outcomes {
		s.Messages += n
	}
	return s
}

func printReplay(out io.Writer, s replaySummary, cfg config.Subscriber) error {
	if cfg.Replay.JSON {
		return term.JSONLines(out)(s)
	}
	_, err := fmt.Fprintln(out, replayText(s, cfg))
	return err
}

func replayText(s replaySummary, cfg config.Subscriber) string {
	source, place := "the stream", fmt.Sprintf("to sequence %d of %s, ", s.Until, cfg.Stream.Name)
	if cfg.Replay.FromAudit {
		source, place = "the audit trail", "of the audit trail, "
	}
	if s.Messages == 0 && s.resumedBehind() == "" {
		return fmt.Sprintf("nothing to replay: %s has no messages from that start", source)
	}
	text := fmt.Sprintf("replayed %d messages, %sin %.1f s: %s", s.Messages, place, s.Seconds, counted(s.Outcomes))
	if s.Bare > 0 {
		text += fmt.Sprintf("\n%d of them do not have what Stripe sent, because it was too large", s.Bare)
	}
	if behind := s.resumedBehind(); behind != "" {
		text += fmt.Sprintf("\ncontinued a replay that was interrupted, behind %s; --restart begins again", behind)
	}
	return text
}

// resumedBehind says where an interrupted replay was continued, if it was.
func (s replaySummary) resumedBehind() string {
	if s.Resumed > 0 {
		return fmt.Sprintf("sequence %d", s.Resumed)
	}
	return s.ResumedAt
}

// counted lists how often each word occurred.
func counted(counts map[string]int) string {
	var list []string
	for _, word := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%d %s", counts[word], word))
	}
	return strings.Join(list, ", ")
}

// tally counts outcomes for the summary.
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

func (t *tally) skipped() { t.MessageDone(skipped, 0) }

// EventLag does nothing: the lag of a replayed event is not a measure of anything.
func (t *tally) EventLag(time.Duration) {}

// settled returns the counts without failures that were tried again.
func (t *tally) settled() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := maps.Clone(t.counts)
	delete(counts, fault.Transient.String())
	return counts
}

// stored returns the counts of messages that were stored.
func (t *tally) stored() map[string]int {
	counts := t.settled()
	delete(counts, fault.Permanent.String())
	delete(counts, string(fault.Held))
	return counts
}

// onlyWarnings drops the line that the handler logs about each message.
type onlyWarnings struct{ slog.Handler }

func (h onlyWarnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}
