// Command stripesim sends the signed webhooks of simulated subscriptions, as
// Stripe would, and knows the true final state of each.
package main

import (
	"context"
	"io"
	"math/rand/v2"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/cli"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/stripesim"
)

func main() {
	ops.Main(run, config.ExitCode)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	var cfg config.Stripesim
	send := func(ctx context.Context) error { return send(ctx, cfg, stdout, stderr) }
	return cli.Execute(ctx, cli.Stripesim(&cfg, send), args, getenv, stdout, stderr)
}

func send(ctx context.Context, cfg config.Stripesim, stdout, stderr io.Writer) error {
	if cfg.File != "" {
		return sendFile(ctx, cfg, stdout)
	}
	history := generate(cfg)
	// Written before anything is sent, so it exists if sending is interrupted.
	if err := writeTruth(cfg.Truth, history); err != nil {
		return err
	}
	if cfg.DryRun {
		return printCommands(cfg, history, stdout)
	}
	if cfg.API != "" {
		return withAPI(ctx, cfg, history, stdout, stderr)
	}
	return simulate(ctx, cfg, history, sending(cfg), stdout, stderr)
}

// generate lets the histories end today if the API is served: it returns only events of the
// last 30 days.
func generate(cfg config.Stripesim) stripesim.History {
	c := stripesim.Config{
		Seed: seed(cfg), Subscriptions: cfg.Subscriptions, PerCustomer: cfg.PerCustomer, APIVersions: cfg.APIVersions, Ties: cfg.Ties, Kinds: kinds(cfg), UserIDs: true,
	}
	if cfg.API != "" {
		c = c.Before(time.Now())
	}
	return stripesim.Generate(c)
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
		URL: cfg.URL, Secret: cfg.Secret.Reveal(), Rate: cfg.Rate, Duplicates: cfg.Duplicates, Drop: cfg.Drop, Disorder: cfg.Disorder, Now: time.Now,
	}
}
