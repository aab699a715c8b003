package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
	"github.com/billbus/billbus/internal/term"
)

// ErrNotReconciled is what Reconcile returns after it has printed what differs.
var ErrNotReconciled = errors.New("some subscriptions differ from Stripe")

// Reconcile compares Stripe's subscriptions with their records in the state view. It returns
// nil only if all are the same, or if a snapshot of each that differs was published.
func Reconcile(ctx context.Context, cfg config.Bridge, console Console, now func() time.Time, log *slog.Logger) error {
	c := &reconcileCommand{stripeCommand: stripeCommand{cfg: cfg, console: console, log: log, now: now}}
	return runPlanned(ctx, "bridge reconcile", c)
}

// reconcileCommand is one call of "bridge reconcile".
type reconcileCommand struct {
	stripeCommand
	progress *term.Progress
}

func (c *reconcileCommand) plan() error { return c.choose(c.cfg.Reconcile.Account) }

func (c *reconcileCommand) run(ctx context.Context) error {
	bus, publisher, err := openStream(ctx, c.cfg, "billbus-reconcile", c.log)
	if err != nil {
		return err
	}
	defer bus.Close()
	records := bus.NewBucket(events.StateBucket)
	if _, err := records.ID(ctx); err != nil {
		return fmt.Errorf("bucket %s: %w: run bridge provision, and subscriber with STATE_VIEW=on, which fills it", events.StateBucket, err)
	}
	client := newClientAt(c.cfg, c.cfg.Reconcile.Rate, c.now)
	defer client.Close()
	c.progress = term.NewProgress(c.console.Stderr, "comparing subscriptions", 0) // Stripe does not say how many there are
	defer c.progress.Stop()
	r := &reconciler{
		client: client, normalizer: c.normalizer, records: records, now: c.now, report: c.print, settle: c.cfg.Reconcile.Settle,
		filter:   stripeapi.ObjectFilter{Status: c.cfg.Reconcile.Status, Since: c.cfg.Reconcile.CreatedSince.Time(c.now())},
		progress: func(found int) { c.progress.Set(int64(found)) },
	}
	if c.cfg.Reconcile.Publish {
		r.publish = func(ctx context.Context, msg events.Message) error {
			_, err := publishSnapshot(ctx, publisher, msg, bus.MaxMessage())
			return err
		}
	}
	return c.compare(ctx, r)
}

func (c *reconcileCommand) compare(ctx context.Context, r *reconciler) error {
	var failed error
	for _, account := range c.accounts {
		r.modes = c.modes(account)
		if err := r.run(ctx, account); err != nil {
			failed = errors.Join(failed, fmt.Errorf("account %s: %w; run the same command again, which begins again", accountName(account), err))
		}
	}
	c.progress.Stop()
	if failed == nil && r.done.open() > 0 {
		failed = ErrNotReconciled
	}
	return errors.Join(failed, c.printSummary(r.done))
}

// modes returns the modes of records whose subscriptions the key can read.
func (c *reconcileCommand) modes(account string) (modes []bool) {
	for _, live := range []bool{true, false} {
		if inMode(live, c.cfg.Webhook.Livemode) && apiKeys(c.cfg).Reads(account, live) {
			modes = append(modes, live)
		}
	}
	return modes
}

// open counts the subscriptions that are not known to be the same, or to become so.
func (d reconciled) open() int {
	return d.Differing + d.MissingHere + d.NotAtStripe - d.Published + d.Unreadable
}

// reconcileLine is what JSON prints for each field that differs.
type reconcileLine struct {
	Kind         string          `json:"kind"` // difference, missing_here or not_at_stripe
	Subscription string          `json:"subscription"`
	Field        string          `json:"field,omitempty"`
	Stripe       json.RawMessage `json:"stripe,omitempty"` // absent if the field is not set
	Here         json.RawMessage `json:"here,omitempty"`
	Hidden       bool            `json:"hidden,omitempty"` // the values are not printed
}

func (f finding) lines(showText bool) (lines []reconcileLine) {
	line := reconcileLine{Kind: "difference", Subscription: strings.ReplaceAll(f.key, ".", ":")}
	switch {
	case f.here == nil:
		line.Kind, line.Stripe = "missing_here", json.RawMessage(encoded(f.stripe.Data.Subscription.Status))
		return []reconcileLine{line}
	case f.fields == nil:
		line.Kind, line.Here = "not_at_stripe", json.RawMessage(encoded(f.here.Status))
		return []reconcileLine{line}
	}
	for _, d := range f.fields {
		line.Field, line.Stripe, line.Here = d.field, json.RawMessage(d.stripe), json.RawMessage(d.here)
		if line.Hidden = isText(d.field) && !showText; line.Hidden {
			line.Stripe, line.Here = nil, nil
		}
		lines = append(lines, line)
	}
	return lines
}

// text says what the record has, and what Stripe has.
func (l reconcileLine) text() string {
	shown := func(value json.RawMessage) string {
		if len(value) == 0 {
			return "none"
		}
		return string(value)
	}
	switch {
	case l.Kind == "missing_here":
		return fmt.Sprintf("+ %s  no record here; at Stripe: %s", l.Subscription, l.Stripe)
	case l.Kind == "not_at_stripe":
		return fmt.Sprintf("- %s  not at Stripe; here: %s", l.Subscription, l.Here)
	case l.Hidden:
		return fmt.Sprintf("~ %s  %s: differs", l.Subscription, l.Field)
	}
	return fmt.Sprintf("~ %s  %s: %s -> %s", l.Subscription, l.Field, shown(l.Here), shown(l.Stripe))
}

func (c *reconcileCommand) print(f finding) (err error) {
	for _, line := range f.lines(c.cfg.Reconcile.ShowText) {
		if c.cfg.Reconcile.JSON {
			err = errors.Join(err, term.JSONLines(c.console.Stdout)(line))
		} else {
			err = errors.Join(err, c.progress.Line(c.console.Stdout, line.text()))
		}
	}
	return printing(err)
}

func (c *reconcileCommand) printSummary(d reconciled) error {
	if c.cfg.Reconcile.JSON {
		return printing(term.JSONLines(c.console.Stdout)(struct {
			Kind string `json:"kind"`
			reconciled
		}{"summary", d}))
	}
	if _, err := fmt.Fprintln(c.console.Stdout, d.text()); err != nil {
		return printing(err)
	}
	if c.cfg.Webhook.Livemode == normalize.Live {
		return nil
	}
	_, err := fmt.Fprintf(c.console.Stdout, "Stripe does not list subscriptions of test clocks: they were compared only if there is a record here\n")
	return printing(err)
}

func (d reconciled) text() string {
	return fmt.Sprintf("%d subscriptions: %d the same, %d differing, %d missing here; %d not at Stripe, %d not listed, %d ignored, %d unreadable; %d published",
		d.Found, d.Same, d.Differing, d.MissingHere, d.NotAtStripe, d.NotListed, d.Ignored, d.Unreadable, d.Published)
}

func printing(err error) error {
	if err != nil {
		return fmt.Errorf("printing what differs: %w", err)
	}
	return nil
}
