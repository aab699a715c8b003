package bridge

import (
	"context"
	"log/slog"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/normalize"
)

// stripeCommand is what the commands that read Stripe's API have in common.
type stripeCommand struct {
	cfg        config.Bridge
	console    Console
	log        *slog.Logger
	now        func() time.Time
	normalizer *normalize.Normalizer
	accounts   []string
}

// choose makes the normalizer, and finds the accounts that --account means. Its error is one of
// usage.
func (c *stripeCommand) choose(account string) (err error) {
	if c.normalizer, err = commandNormalizer(c.cfg); err == nil {
		c.accounts, err = chosenAccounts(c.cfg, account, c.normalizer)
	}
	return err
}

// planned is a command that decides what to do before it does anything. The error of plan is
// one of usage.
type planned interface {
	plan() error
	run(ctx context.Context) error
}

func runPlanned(ctx context.Context, program string, c planned) error {
	if err := c.plan(); err != nil {
		return &config.Faults{Program: program, Lines: []string{err.Error()}}
	}
	return c.run(ctx)
}
