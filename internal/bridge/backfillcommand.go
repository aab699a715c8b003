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
	"github.com/billbus/billbus/internal/gaps"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
	"github.com/billbus/billbus/internal/term"
)

// ErrNotBackfilled is what Backfill returns after it has printed what is missing.
var ErrNotBackfilled = errors.New("some events were not published; run the same command again to continue")

// Backfill publishes events that Stripe has and the stream lacks. It returns nil only if the
// stream has all of them.
func Backfill(ctx context.Context, cfg config.Bridge, console Console, now func() time.Time, log *slog.Logger) error {
	c := &backfillCommand{stripeCommand: stripeCommand{cfg: cfg, console: console, log: log, now: now}, keys: apiKeys(cfg)}
	return runPlanned(ctx, "bridge backfill", c)
}

// backfillCommand is one call of "bridge backfill".
type backfillCommand struct {
	stripeCommand
	keys   stripeapi.Keys
	filter stripeapi.EventFilter
	gaps   *gapFilling // nil without --gaps
}

// plan decides what to read. Its error is one of usage.
func (c *backfillCommand) plan() error {
	opts, now := c.cfg.Backfill, c.now()
	c.filter = stripeapi.EventFilter{Since: opts.Since.Time(now), Until: now, Types: opts.Types, Undelivered: opts.UndeliveredOnly}
	switch {
	case c.filter.Since.After(now):
		return errors.New("--since: is in the future")
	case now.Sub(c.filter.Since) > gaps.EventsKept:
		return errors.New("--since: is more than 30 days ago: Stripe has no older events; bridge import publishes the present state of all subscriptions")
	}
	return c.choose(opts.Account)
}

const (
	allAccounts = "all"
	noAccount   = "there is no API key for an account that WEBHOOK_ACCOUNTS or a signing secret admits"
)

// commandNormalizer admits what "bridge serve" admits.
func commandNormalizer(cfg config.Bridge) (*normalize.Normalizer, error) {
	return newNormalizer(cfg, func(account string) bool {
		return slices.ContainsFunc(cfg.Webhook.Secrets, func(s config.NamedSecret) bool { return s.Account == account })
	})
}

// chosenAccounts returns the accounts that --account means. Its error is one of usage.
func chosenAccounts(cfg config.Bridge, choice string, normalizer *normalize.Normalizer) ([]string, error) {
	if choice == allAccounts {
		all := backfillAccounts(cfg, apiKeys(cfg), normalizer)
		if len(all) == 0 {
			return nil, errors.New("STRIPE_API_KEY, STRIPE_API_KEYS: " + noAccount)
		}
		return all, nil
	}
	account := choice
	if choice == normalize.Platform {
		account = ""
	}
	if !apiKeys(cfg).Has(account) || !normalizer.Admits(account) {
		return nil, errors.New("--account: there is no key for it, or it is not admitted: see STRIPE_API_KEY, STRIPE_API_KEYS and WEBHOOK_ACCOUNTS")
	}
	return []string{account}, nil
}

func (c *backfillCommand) run(ctx context.Context) error {
	bus, publisher, err := openStream(ctx, c.cfg, "billbus-backfill", c.log)
	if err != nil {
		return err
	}
	defer bus.Close()
	spans, err := c.spans(ctx, bus)
	if err != nil {
		return err
	}
	has, err := readStored(ctx, bus, storedSince(c.cfg.Stream.Name, "billbus-backfill-once", earliest(spans, c.now())))
	if err != nil {
		return fmt.Errorf("reading what the stream has: %w", err)
	}
	client := newClient(c.cfg, c.now)
	defer client.Close()
	b := &backfill{
		client: client, normalizer: c.normalizer, reads: c.keys.Has, publisher: publisher, maxMessage: bus.MaxMessage,
		now: c.now, dryRun: c.cfg.DryRun, proceed: func(context.Context) error { return nil }, missed: c.gaps.missed,
	}
	return c.fillAll(ctx, b, spans, has)
}

// span is what is asked for of an account.
type span struct {
	account string
	filter  stripeapi.EventFilter
}

// spans returns one for each account, or those of the gaps.
func (c *backfillCommand) spans(ctx context.Context, bus *natsbus.Bus) (all []span, err error) {
	if c.cfg.Backfill.Gaps {
		c.gaps, err = c.reportedGaps(ctx, bus)
		return c.gaps.spans(c.filter), err
	}
	for _, account := range c.accounts {
		all = append(all, span{account, c.filter})
	}
	return all, nil
}

func earliest(spans []span, now time.Time) time.Time {
	for _, s := range spans {
		if s.filter.Since.Before(now) {
			now = s.filter.Since
		}
	}
	return now
}

func (c *backfillCommand) fillAll(ctx context.Context, b *backfill, spans []span, has *storedIDs) (failed error) {
	asJSON := c.cfg.Backfill.JSON
	total := backfillResult{Kind: "summary", DryRun: c.cfg.DryRun}
	for _, account := range c.accounts {
		result := backfillResult{Kind: "account", Account: accountName(account), DryRun: c.cfg.DryRun}
		for _, s := range spans {
			if s.account != account {
				continue
			}
			done, err := c.fill(ctx, b, s, has)
			c.gaps.asked(s, err)
			failed = errors.Join(failed, err)
			result.add(done)
		}
		failed = errors.Join(failed, result.print(c.console.Stdout, asJSON))
		total.add(result.filled)
	}
	if total.Unreadable > 0 && failed == nil {
		failed = ErrNotBackfilled
	}
	return errors.Join(failed, c.gaps.print(c.console.Stdout, asJSON), total.print(c.console.Stdout, asJSON))
}

func accountName(account string) string { return events.Message{StripeAccount: account}.Account() }

func (c *backfillCommand) fill(ctx context.Context, b *backfill, s span, has *storedIDs) (filled, error) {
	length := s.filter.Until.Sub(s.filter.Since)
	progress := term.NewProgress(c.console.Stderr, "reading events of "+accountName(s.account), int64(length/time.Second))
	defer progress.Stop()
	b.reading = func(reached time.Time) { progress.Set(int64(s.filter.Until.Sub(reached) / time.Second)) }
	f := &filling{backfill: b, account: s.account, filter: s.filter, has: has}
	if err := f.run(ctx); err != nil {
		return f.done, fmt.Errorf("account %s: %w; run the same command again to continue", accountName(s.account), err)
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
