// Command bridge verifies Stripe webhooks and publishes one normalized message
// per webhook to NATS JetStream.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/internal/cli"
	"github.com/billbus/billbus/internal/ops"
)

func main() {
	ops.Main(run, config.ExitCode)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	var cfg config.Bridge
	console := bridge.Console{Stdin: os.Stdin, Stdout: stdout, Stderr: stderr}
	return cli.Execute(ctx, cli.Bridge(&cfg, cli.BridgeRuns{
		Serve: func(ctx context.Context) error { return serve(ctx, cfg, logger(cfg, stderr)) },
		Provision: func(ctx context.Context) error {
			return bridge.Provision(ctx, cfg, stdout, logger(cfg, stderr))
		},
		Link: func(ctx context.Context) error {
			return bridge.Link(ctx, cfg, console, time.Now, logger(cfg, stderr))
		},
		Import: func(ctx context.Context) error {
			return bridge.Import(ctx, cfg, console, time.Now, logger(cfg, stderr))
		},
		Backfill: func(ctx context.Context) error {
			return bridge.Backfill(ctx, cfg, console, time.Now, logger(cfg, stderr))
		},
		Reconcile: func(ctx context.Context) error {
			return bridge.Reconcile(ctx, cfg, console, time.Now, logger(cfg, stderr))
		},
		EndpointCheck:  func(ctx context.Context) error { return bridge.EndpointCheck(ctx, cfg, console, time.Now) },
		EndpointCreate: func(ctx context.Context) error { return bridge.EndpointCreate(ctx, cfg, console, time.Now) },
		Doctor:         func(context.Context) error { return bridge.Doctor(cfg, os.Stdin, stdout, time.Now) },
		Health: func(ctx context.Context) error {
			return ops.PrintHealth(ctx, ops.Admin(cfg.Admin), cfg.Health.JSON, stdout)
		},
	}), args, getenv, stdout, stderr)
}

func logger(cfg config.Bridge, stderr io.Writer) *slog.Logger {
	return ops.NewLogger(stderr, cfg.Log.Level, cfg.Log.Format, cfg.Warnings...)
}

func serve(ctx context.Context, cfg config.Bridge, log *slog.Logger) error {
	admin, err := ops.Admin(cfg.Admin).Listen(log)
	if err != nil {
		return err
	}
	hup, ignore := ops.Hangup()
	defer ignore()
	ops.LimitMemory(log)
	deps := ops.NewDeps(log)
	b, err := bridge.Open(cfg, bridge.Deps{Deps: deps, Hangup: hup})
	if err != nil {
		return errors.Join(err, admin.Close())
	}
	log.Info("bridge listens", "version", cli.Version("bridge"), "addr", b.Addr().String(), "path", cfg.Webhook.Path, "admin", admin.Addr().String())
	err = ops.WithAdmin(ctx, admin, ops.Admin(cfg.Admin), deps, b.Run)
	log.Info("bridge stopped")
	return err
}
