// Command subscriber consumes the stream and keeps, in MongoDB, one record per
// subscription and an audit document per event.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/cli"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/subscriber"
)

func main() {
	ops.Main(run, config.ExitCode)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	var cfg config.Subscriber
	return cli.Execute(ctx, cli.Subscriber(&cfg, cli.SubscriberRuns{
		Run:   func(ctx context.Context) error { return consume(ctx, cfg, logger(cfg, stderr)) },
		Audit: func(ctx context.Context) error { return subscriber.Audit(ctx, cfg, stdout, logger(cfg, stderr)) },
		Verify: func(ctx context.Context) error {
			return subscriber.Verify(ctx, cfg, stdout, stderr, logger(cfg, stderr))
		},
		Replay: func(ctx context.Context) error {
			return subscriber.Replay(ctx, cfg, stdout, stderr, logger(cfg, stderr))
		},
		DLQList: func(ctx context.Context) error {
			return subscriber.ListDeadLetters(ctx, cfg, stdout, logger(cfg, stderr))
		},
		DLQShow: func(ctx context.Context) error {
			return subscriber.ShowDeadLetter(ctx, cfg, stdout, logger(cfg, stderr))
		},
		Redrive: func(ctx context.Context) error {
			return subscriber.Redrive(ctx, cfg, console(stdout, stderr), logger(cfg, stderr))
		},
		Discard: func(ctx context.Context) error {
			return subscriber.Discard(ctx, cfg, console(stdout, stderr), logger(cfg, stderr))
		},
		Health: func(ctx context.Context) error {
			return ops.PrintHealth(ctx, ops.Admin(cfg.Admin), cfg.Health.JSON, stdout)
		},
	}), args, getenv, stdout, stderr)
}

func console(stdout, stderr io.Writer) subscriber.Console {
	return subscriber.Console{Stdin: os.Stdin, Stdout: stdout, Stderr: stderr}
}

func logger(cfg config.Subscriber, stderr io.Writer) *slog.Logger {
	return ops.NewLogger(stderr, cfg.Log.Level, cfg.Log.Format, cfg.Warnings...)
}

func consume(ctx context.Context, cfg config.Subscriber, log *slog.Logger) error {
	admin, err := ops.Admin(cfg.Admin).Listen(log)
	if err != nil {
		return err
	}
	ops.LimitMemory(log)
	deps := ops.NewDeps(log)
	subscribe, err := subscriber.Start(cfg, deps)
	if err != nil {
		return errors.Join(err, admin.Close())
	}
	log.Info("subscriber runs", "version", cli.Version("subscriber"), "stream", cfg.Stream.Name, "consumer", cfg.ConsumerName, "admin", admin.Addr().String())
	err = ops.WithAdmin(ctx, admin, ops.Admin(cfg.Admin), deps, subscribe)
	log.Info("subscriber stopped")
	return err
}
