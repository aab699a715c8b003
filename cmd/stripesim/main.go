// Command stripesim stands in for Stripe: it sends the signed webhooks of
// made-up subscriptions, and knows how each of them stands in the end.
package main

import (
	"context"
	"io"
	"math/rand/v2"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/stripesim"
)

func main() {
	ops.Main(run, config.ExitCode)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	cfg, err := config.LoadStripesim(args, getenv)
	if err != nil {
		return config.Show(err, stdout)
	}
	if cfg.File != "" {
		return sendFile(ctx, cfg, stdout)
	}
	history := stripesim.Generate(stripesim.Config{
		Seed: seed(cfg), Subscriptions: cfg.Subscriptions, APIVersions: cfg.APIVersions, Ties: cfg.Ties, Kinds: kinds(cfg), UserIDs: true,
	})
	// Before anything is sent: who interrupts the sending still has the truth.
	if err := writeTruth(cfg.Truth, history); err != nil {
		return err
	}
	if cfg.DryRun {
		return printCommands(cfg, history, stdout)
	}
	return simulate(ctx, cfg, history, stdout, stderr)
}

func seed(cfg config.Stripesim) uint64 {
	if cfg.Seed != nil {
		return *cfg.Seed
	}
	return rand.Uint64()
}

func kinds(cfg config.Stripesim) []stripesim.Kind {
	kinds := make([]stripesim.Kind, len(cfg.Kinds))
	for i, name := range cfg.Kinds {
		kinds[i] = stripesim.Kind(name)
	}
	return kinds
}

func sending(cfg config.Stripesim) stripesim.SendConfig {
	return stripesim.SendConfig{
		URL: cfg.URL, Secret: cfg.Secret.Reveal(), Rate: cfg.Rate, Duplicates: cfg.Duplicates, Disorder: cfg.Disorder, Now: time.Now,
	}
}
