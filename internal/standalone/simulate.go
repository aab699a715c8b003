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
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/subscriber"
	"github.com/billbus/billbus/internal/term"
)

const (
	simulationWorkers = 4
	// ties is the share of subscriptions that end with several changes in one second.
	ties         = 0.5
	readyTimeout = 2 * time.Minute
	auditTimeout = 2 * time.Minute
	// recordTimeout is how long a record may be behind the audit trail, which is
	// written first.
	recordTimeout = 5 * time.Second
	pollInterval  = 100 * time.Millisecond
)

// simulate plays lifecycles. With --once, everything stops afterwards and the program
// ends with the result. Otherwise a failure is printed, and everything goes on.
func (s *servers) simulate(ctx context.Context, stop func(), cfg config.Standalone, url string, health *ops.Health, out io.Writer, log *slog.Logger) error {
	mongo := config.Mongo{URI: secret.New(s.docs.URI()), Database: cfg.Database}
	err := subscriber.WithStore(ctx, mongo, 1, log, func(db store.Store) error {
		play := &simulation{cfg: cfg, url: url, store: db, health: health, out: out, now: time.Now}
		return play.run(ctx)
	})
	if cfg.Once {
		stop()
		return err
	}
	if err != nil && ctx.Err() == nil {
		_, _ = fmt.Fprintln(out, err)
	}
	return nil
}

// simulation sends lifecycles to the webhook over HTTP, as Stripe would, and compares
// what was stored with what happened.
type simulation struct {
	cfg    config.Standalone
	url    string // of the webhook
	store  store.Store
	health *ops.Health
	out    io.Writer
	now    func() time.Time

	history stripesim.History
}

// errSimulation is returned after the table has shown what is wrong.
var errSimulation = errors.New("the simulation ended with differences")

func (s *simulation) run(ctx context.Context) error {
	if err := s.waitReady(ctx); err != nil {
		return err
	}
	// Each run has another seed: a second run on the same data folder must not repeat
	// the subscriptions of the first.
	s.history = stripesim.Generate(stripesim.Config{
		Seed: uint64(s.now().UnixNano()), Subscriptions: s.cfg.Simulate,
		Livemode: s.livemode(), UserIDs: true, Ties: ties, Kinds: stripesim.SentKinds(),
	})
	if err := s.send(ctx); err != nil {
		return err
	}
	if err := s.waitAudited(ctx); err != nil {
		return err
	}
	return s.report(ctx)
}

func (s *simulation) livemode() bool { return s.cfg.Webhook.Livemode == normalize.Live }

func (s *simulation) waitReady(ctx context.Context) error {
	ready := false
	err := poll(ctx, readyTimeout, func() (bool, error) {
		ready = s.health.Ready(ctx).Ready
		return ready, nil
	})
	if err == nil && !ready {
		err = fmt.Errorf("not ready within %s: see /readyz", readyTimeout)
	}
	return err
}

func (s *simulation) send(ctx context.Context) error {
	sending := stripesim.SendConfig{
		URL: s.url, Secret: s.cfg.Webhook.Secrets[0].Value.Reveal(), Workers: simulationWorkers,
		Duplicates: 0.2, Disorder: true, Now: s.now,
	}
	shown := term.NewProgress(s.out, "sending", int64(len(stripesim.Schedule(s.history, sending))))
	sending.Progress = func(done int, _ stripesim.Answer) { shown.Set(int64(done)) }
	report, err := stripesim.Send(ctx, s.history, sending)
	shown.Stop()
	if err != nil {
		return fmt.Errorf("simulating: %w", err)
	}
	_, err = fmt.Fprintf(s.out, "Sent %d events of %d subscriptions out of order, %d of them again: %s.\n\n",
		report.Events, len(s.history.Truth), report.Repeats, answers(report))
	return err
}

func answers(r stripesim.Report) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(r.Answers)) {
		parts = append(parts, fmt.Sprintf("%d answered %d", r.Answers[status], status))
	}
	return strings.Join(parts, ", ")
}

// waitAudited waits until every event is in the audit trail, or until it has waited
// long enough: then the report says how many are missing.
func (s *simulation) waitAudited(ctx context.Context) error {
	shown := term.NewProgress(s.out, "storing", int64(len(s.history.Deliveries)))
	defer shown.Stop()
	audited := 0
	return poll(ctx, auditTimeout, func() (bool, error) {
		for ; audited < len(s.history.Deliveries); audited++ {
			key := events.Key(s.livemode(), "", s.history.Deliveries[audited].ID)
			if _, err := s.store.Find(ctx, key); err != nil {
				return false, nil // not there yet, or the database is busy
			}
			shown.Set(int64(audited + 1))
		}
		return true, nil
	})
}

// report prints the records. It fails if one is wrong, or if an event is not in the
// audit trail exactly once.
func (s *simulation) report(ctx context.Context) error {
	var rows []term.Row
	var wrong int
	err := poll(ctx, recordTimeout, func() (ok bool, err error) {
		rows, wrong, err = s.rows(ctx)
		return wrong == 0, err
	})
	if err != nil {
		return err
	}
	audited, err := s.auditedOnce(ctx)
	if err != nil {
		return err
	}
	out := term.NewPrinter(s.out)
	if err := out.Table([]string{"subscription", "user", "status", "access", "plan", "ends at", "correct"}, rows); err != nil {
		return err
	}
	open := ""
	if n := s.history.Open(); n > 0 {
		open = fmt.Sprintf(" (%d of them ambiguous, as expected)", n)
	}
	err = errors.Join(out.Text(""), out.Text(fmt.Sprintf("%d of %d records are correct%s; %d of %d events are in the audit trail exactly once.",
		len(rows)-wrong, len(rows), open, audited, len(s.history.Deliveries))))
	if wrong > 0 || audited < len(s.history.Deliveries) {
		err = errors.Join(err, errSimulation)
	}
	return err
}

// auditedOnce counts the events that are in the audit trail exactly once.
func (s *simulation) auditedOnce(ctx context.Context) (int, error) {
	found, err := s.store.Search(ctx, store.Query{})
	if err != nil {
		return 0, err
	}
	counts := map[string]int{}
	for _, audited := range found {
		counts[audited.ID]++
	}
	once := 0
	for _, delivery := range s.history.Deliveries {
		if counts[delivery.ID] == 1 {
			once++
		}
	}
	return once, nil
}

func (s *simulation) rows(ctx context.Context) (rows []term.Row, wrong int, err error) {
	for _, key := range slices.Sorted(maps.Keys(s.history.Truth)) {
		truth := s.history.Truth[key]
		state, found, err := s.store.State(ctx, key)
		if err != nil {
			return nil, 0, err
		}
		verdict, correct := "no record", false
		if found {
			verdict, correct = judge(truth, state)
		}
		if !correct {
			wrong++
		}
		rows = append(rows, term.Row{Cells: cells(truth.Subscription.ID, state, verdict)})
	}
	return rows, wrong, nil
}

// judge says whether a state is correct. If the events leave it open which is the last,
// the record has to be ambiguous, and may hold any of them.
func judge(truth stripesim.Truth, state store.State) (verdict string, correct bool) {
	ambiguous := state.Ordering == ordering.Ambiguous
	switch {
	case truth.Open && ambiguous:
		return "ambiguous, as expected", true
	case truth.Open:
		return "no: should be ambiguous", false
	case ambiguous && truth.Kind.MayBeAmbiguous():
		return "ambiguous, as can be", true
	case ambiguous:
		return "no: ambiguous", false
	}
	if differing := differing(truth, &state.Subscription); len(differing) > 0 {
		return "no: differs in " + strings.Join(differing, ", "), false
	}
	return "yes", true
}

// differing returns the names of the fields that differ from the truth, in whichever
// of its renderings was stored first.
func differing(truth stripesim.Truth, have *events.Subscription) []string {
	var fields []string
	for _, want := range truth.Recorded() {
		diff := events.Diff(&want, have)
		if diff == nil {
			return nil
		}
		fields = diff.Fields
	}
	return fields
}

func cells(id string, state store.State, verdict string) []string {
	sub, endsAt := state.Subscription, ""
	if !sub.EndsAt.IsZero() {
		endsAt = sub.EndsAt.UTC().Format(time.DateOnly)
	}
	return []string{id, sub.UserID, sub.Status, sub.Access, plan(sub.Items), endsAt, verdict}
}

func plan(items []events.Item) string {
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = item.PriceID
		if item.Quantity != nil && *item.Quantity != 1 {
			parts[i] += " x" + strconv.FormatInt(*item.Quantity, 10)
		}
	}
	return strings.Join(parts, ", ")
}

// poll calls ok until it reports true or fails, or the time is over.
func poll(ctx context.Context, timeout time.Duration, ok func() (bool, error)) error {
	limit := time.NewTimer(timeout)
	defer limit.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return nil
		case <-tick.C:
		}
	}
}
