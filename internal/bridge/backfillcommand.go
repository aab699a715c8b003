package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
	"github.com/billbus/billbus/internal/term"
)

// ErrNotBackfilled is what Backfill returns after it has printed what is missing.
var ErrNotBackfilled = errors.New("some events were not published; run the same command again to continue")

// Backfill publishes events that Stripe has and the stream lacks. It returns nil only if the
// stream has all of them.
func Backfill(ctx context.Context, cfg config.Bridge, console Console, now func() time.Time, log *slog.Logger) error {
	c := backfillCommand{cfg: cfg, console: console, log: log, now: now, keys: apiKeys(cfg)}
	if err := c.plan(); err != nil {
		return &config.Faults{Program: "bridge backfill", Lines: []string{err.Error()}}
	}
	return c.run(ctx)
}

// backfillCommand is one call of "bridge backfill".
type backfillCommand struct {
	cfg        config.Bridge
	console    Console
	log        *slog.Logger
	now        func() time.Time
	keys       stripeapi.Keys
	normalizer *normalize.Normalizer
	accounts   []string
	filter     stripeapi.EventFilter
}

// plan decides what to read. Its error is one of usage.
func (c *backfillCommand) plan() (err error) {
	opts, now := c.cfg.Backfill, c.now()
	c.filter = stripeapi.EventFilter{Since: opts.Since.Time(now), Until: now, Types: opts.Types, Undelivered: opts.UndeliveredOnly}
	switch {
	case c.filter.Since.After(now):
		return errors.New("--since: is in the future")
	case now.Sub(c.filter.Since) > eventsKept:
		return errors.New("--since: is more than 30 days ago: Stripe has no older events; bridge import publishes the present state of all subscriptions")
	}
	if c.normalizer, err = newNormalizer(c.cfg, c.named); err != nil {
		return err
	}
	c.accounts = backfillAccounts(c.cfg, c.keys, c.normalizer)
	if opts.Account != allAccounts {
		account := opts.Account
		if account == normalize.Platform {
			account = ""
		}
		if !c.keys.Has(account) || !c.normalizer.Admits(account) {
			return errors.New("--account: there is no key for it, or it is not admitted: see STRIPE_API_KEY, STRIPE_API_KEYS and WEBHOOK_ACCOUNTS")
		}
		c.accounts = []string{account}
	}
	if len(c.accounts) == 0 {
		return errors.New("STRIPE_API_KEY, STRIPE_API_KEYS: " + noAccount)
	}
	return nil
}

const (
	allAccounts = "all"
	noAccount   = "there is no API key for an account that WEBHOOK_ACCOUNTS or a signing secret admits"
)

func (c *backfillCommand) named(account string) bool {
	return slices.ContainsFunc(c.cfg.Webhook.Secrets, func(s config.NamedSecret) bool { return s.Account == account })
}

func (c *backfillCommand) run(ctx context.Context) error {
	bus, publisher, err := openStream(ctx, c.cfg, "billbus-backfill", c.log)
	if err != nil {
		return err
	}
	defer bus.Close()
	has, err := readStored(ctx, bus, c.cfg.Stream.Name, "billbus-backfill-once", c.filter.Since)
	if err != nil {
		return fmt.Errorf("reading what the stream has: %w", err)
	}
	client := newClient(c.cfg, c.now)
	defer client.Close()
	b := &backfill{
		client: client, normalizer: c.normalizer, reads: c.keys.Has, publisher: publisher, maxMessage: bus.MaxMessage,
		now: c.now, dryRun: c.cfg.DryRun, proceed: func(context.Context) error { return nil },
	}
	total := backfillResult{Kind: "summary", DryRun: c.cfg.DryRun}
	var failed error
	for _, account := range c.accounts {
		done, err := c.fill(ctx, b, account, has)
		failed = errors.Join(failed, err)
		result := backfillResult{Kind: "account", Account: accountName(account), filled: done, DryRun: c.cfg.DryRun}
		failed = errors.Join(failed, result.print(c.console.Stdout, c.cfg.Backfill.JSON))
		total.add(done)
	}
	if total.Unreadable > 0 && failed == nil {
		failed = ErrNotBackfilled
	}
	return errors.Join(failed, total.print(c.console.Stdout, c.cfg.Backfill.JSON))
}

func accountName(account string) string { return events.Message{StripeAccount: account}.Account() }

func (c *backfillCommand) fill(ctx context.Context, b *backfill, account string, has *storedIDs) (filled, error) {
	progress := term.NewProgress(c.console.Stderr, "reading events of "+accountName(account), int64(c.filter.Until.Sub(c.filter.Since)/time.Second))
	defer progress.Stop()
	b.reading = func(reached time.Time) { progress.Set(int64(c.filter.Until.Sub(reached) / time.Second)) }
	f := &filling{backfill: b, account: account, filter: c.filter, has: has}
	if err := f.run(ctx); err != nil {
		return f.done, fmt.Errorf("account %s: %w; run the same command again to continue", accountName(account), err)
	}
	return f.done, nil
}

// backfillResult is what JSON prints, for each account and in all.
type backfillResult struct {
	Kind    string `json:"kind"`
	Account string `json:"account,omitempty"`
	filled
	DryRun bool `json:"dry_run,omitempty"`
}

func (r backfillResult) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return term.JSONLines(out)(r)
	}
	did, of := "published", r.Account
	if r.DryRun {
		did = "would publish"
	}
	if of == "" {
		of = "in all"
	}
	_, err := fmt.Fprintf(out, "%s: found %d events, %s %d, already there %d, unreadable %d\n", of, r.Found, did, r.Published, r.AlreadyThere, r.Unreadable)
	return err
}
