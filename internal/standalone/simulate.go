package standalone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/term"
)

const (
	simulationWorkers = 4
	// ties is the share of subscriptions that end with several changes in a second.
	ties          = 0.5
	settleTimeout = 2 * time.Minute
	settlePoll    = 100 * time.Millisecond
	// stateTimeout is how long a state may be behind the audit trail, which is
	// written first.
	stateTimeout = 5 * time.Second
)

// simulate plays the lifecycles. With once, everything stops afterwards, and
// what went wrong is how the program ends; else it is printed, and all goes on.
func (s *servers) simulate(ctx context.Context, stop func(), cfg config.Standalone, url string, health *ops.Health, out io.Writer, log *slog.Logger) error {
	store, err := mongostore.Open(mongostore.Config{
		URI: s.docs.URI(), Database: cfg.Database, MaxBatch: 1, Now: time.Now, Log: log,
	})
	if err != nil {
		stop()
		return err
	}
	defer func() { _ = store.Close(context.WithoutCancel(ctx)) }()
	play := &simulation{cfg: cfg, url: url, store: store, health: health, out: out, now: time.Now}
	err = play.run(ctx)
	if cfg.Once {
		stop()
		return err
	}
	if err != nil && ctx.Err() == nil {
		_, _ = fmt.Fprintln(out, err)
	}
	return nil
}

// simulation plays lifecycles at the webhook over HTTP, as Stripe would, and
// compares what became of them with what truly happened.
type simulation struct {
	cfg    config.Standalone
	url    string // of the webhook
	store  *mongostore.Store
	health *ops.Health
	out    io.Writer
	now    func() time.Time
}

// errSimulation says that something is not as it truly is; the table says what.
var errSimulation = errors.New("the simulation ended with differences")

func (s *simulation) run(ctx context.Context) error {
	if err := s.waitReady(ctx); err != nil {
		return err
	}
	// A seed of its own for each run: a second one on the same data folder tells
	// of other subscriptions.
	history := stripesim.Generate(stripesim.Config{
		Seed: uint64(s.now().UnixNano()), Subscriptions: s.cfg.Simulate,
		Livemode: s.cfg.Webhook.Livemode == normalize.Live, UserIDs: true, Ties: ties, Kinds: stripesim.SentKinds(),
	})
	if err := s.send(ctx, history); err != nil {
		return err
	}
	if err := s.settle(ctx, history); err != nil {
		return err
	}
	return s.report(ctx, history)
}

func (s *simulation) waitReady(ctx context.Context) error {
	return poll(ctx, settleTimeout, func() (bool, error) { return s.health.Ready(ctx).Ready, nil })
}

func (s *simulation) send(ctx context.Context, history stripesim.History) error {
	sending := stripesim.SendConfig{
		URL: s.url, Secret: s.cfg.Webhook.Secrets[0].Value.Reveal(), Workers: simulationWorkers,
		Duplicates: 0.2, Disorder: true, Now: s.now,
	}
	shown := term.NewProgress(s.out, "sending", int64(len(stripesim.Schedule(history, sending))))
	sending.Progress = func(p stripesim.Progress) { shown.Set(int64(p.Done)) }
	report, err := stripesim.Send(ctx, history, sending)
	shown.Stop()
	if err != nil {
		return fmt.Errorf("simulating: %w", err)
	}
	_, err = fmt.Fprintf(s.out, "Sent %d events of %d subscriptions out of order, %d of them again: %s.\n\n",
		report.Events, len(history.Truth), report.Repeats, answers(report))
	return err
}

func answers(r stripesim.Report) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(r.Answers)) {
		parts = append(parts, fmt.Sprintf("%d answered %d", r.Answers[status], status))
	}
	return strings.Join(parts, ", ")
}

// settle waits until every event is in the audit trail, as far as patience goes;
// the report tells what is missing.
func (s *simulation) settle(ctx context.Context, history stripesim.History) error {
	shown := term.NewProgress(s.out, "storing", int64(len(history.Deliveries)))
	defer shown.Stop()
	err := poll(ctx, settleTimeout, func() (bool, error) {
		counts, err := s.store.EventCounts(ctx)
		if err != nil {
			return false, nil // it may be busy; the time is limited
		}
		missing := unaudited(history, counts)
		shown.Set(int64(len(history.Deliveries) - missing))
		return missing == 0, nil
	})
	return forgive(err)
}

// forgive takes the end of patience for an answer, too.
func forgive(err error) error {
	if errors.Is(err, errPatience) {
		return nil
	}
	return err
}

func unaudited(history stripesim.History, counts map[string]int) int {
	missing := 0
	for _, e := range history.Deliveries {
		if counts[e.ID] == 0 {
			missing++
		}
	}
	return missing
}

// report prints the records, and fails if one differs from the truth or an
// event is not audited exactly once.
func (s *simulation) report(ctx context.Context, history stripesim.History) error {
	var rows [][]string
	var wrong int
	err := forgive(poll(ctx, stateTimeout, func() (yes bool, err error) {
		rows, wrong, err = s.rows(ctx, history)
		return wrong == 0, err
	}))
	if err != nil {
		return err
	}
	if err := term.Table(s.out, []string{"subscription", "user", "status", "access", "plan", "ends at", "as it truly is"}, rows); err != nil {
		return err
	}
	counts, err := s.store.EventCounts(ctx)
	if err != nil {
		return err
	}
	audited, open := 0, ""
	if n := history.Open(); n > 0 {
		open = fmt.Sprintf(" (%d of them ambiguous, as their events are)", n)
	}
	for _, e := range history.Deliveries {
		if counts[e.ID] == 1 {
			audited++
		}
	}
	_, err = fmt.Fprintf(s.out, "\n%d of %d records are as they truly are%s; %d of %d events are audited once.\n",
		len(rows)-wrong, len(rows), open, audited, len(history.Deliveries))
	if wrong > 0 || audited < len(history.Deliveries) {
		err = errors.Join(err, errSimulation)
	}
	return err
}

func (s *simulation) rows(ctx context.Context, history stripesim.History) (rows [][]string, wrong int, err error) {
	keys := slices.Sorted(maps.Keys(history.Truth))
	for _, key := range keys {
		truth := history.Truth[key]
		record, differing, err := s.compare(ctx, key, truth)
		if err != nil && !errors.Is(err, mongostore.ErrNoRecord) {
			return nil, 0, err
		}
		verdict, right := judge(truth, record, differing, err == nil)
		if !right {
			wrong++
		}
		rows = append(rows, row(truth.Subscription.ID, record, verdict))
	}
	return rows, wrong, nil
}

// compare names the fields in which a record differs from the truth, in one of
// its renderings.
func (s *simulation) compare(ctx context.Context, key string, truth stripesim.Truth) (mongostore.Record, []string, error) {
	record, differing, err := s.store.Compare(ctx, key, truth.Subscription)
	if err != nil || differing == nil || truth.Also == nil {
		return record, differing, err
	}
	return s.store.Compare(ctx, key, *truth.Also)
}

// judge says in a word what a record is worth. Where the events allow of another
// end as well, it has to say so, and may be that.
func judge(truth stripesim.Truth, record mongostore.Record, differing []string, found bool) (verdict string, right bool) {
	open := record.Ordering == "ambiguous"
	switch {
	case !found:
		return "no record", false
	case truth.Open && open:
		return "ambiguous, as it must be", true
	case truth.Open:
		return "not ambiguous, as it must be", false
	case open:
		return "ambiguous", false
	case differing != nil:
		return "differs: " + strings.Join(differing, ", "), false
	}
	return "yes", true
}

func row(id string, r mongostore.Record, verdict string) []string {
	ends := ""
	if r.EndsAt != 0 {
		ends = r.EndsAt.Time().UTC().Format(time.DateOnly)
	}
	return []string{id, r.UserID, r.Status, r.Access, plan(r.Items), ends, verdict}
}

func plan(items []mongostore.RecordItem) string {
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = item.PriceID
		if item.Quantity != nil && *item.Quantity != 1 {
			parts[i] += " x" + strconv.FormatInt(*item.Quantity, 10)
		}
	}
	return strings.Join(parts, ", ")
}

var errPatience = errors.New("it took too long")

// poll asks until the answer is yes, an error, or the patience is at its end.
func poll(ctx context.Context, patience time.Duration, ask func() (bool, error)) error {
	limit := time.NewTimer(patience)
	defer limit.Stop()
	tick := time.NewTicker(settlePoll)
	defer tick.Stop()
	for {
		if yes, err := ask(); yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return errPatience
		case <-tick.C:
		}
	}
}
