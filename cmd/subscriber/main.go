// Command subscriber consumes the stream and keeps, in MongoDB, one record per
// subscription and an audit document per event.
package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/subscriber"
)

func main() {
	ops.Main(run, config.ExitCode)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	cfg, err := config.LoadSubscriber(args, getenv)
	if err != nil {
		return config.Show(err, stdout)
	}
	log := ops.NewLogger(stderr, cfg.Log.Level, cfg.Log.Format)
	for _, warning := range cfg.Warnings {
		log.Warn("settings", "warning", warning)
	}
	switch cfg.Command {
	case "verify":
		return subscriber.Verify(ctx, cfg, stdout, stderr, log)
	case "audit":
		return subscriber.Audit(ctx, cfg, stdout, log)
	case "replay":
		return subscriber.Replay(ctx, cfg, stdout, stderr, log)
	}
	return consume(ctx, cfg, log)
}

func consume(ctx context.Context, cfg config.Subscriber, log *slog.Logger) error {
	admin, err := ops.Listen("ADMIN_ADDR", cfg.AdminAddr)
	if err != nil {
		return err
	}
	health, metrics := ops.NewHealth(), ops.NewMetrics()
	s, err := subscriber.Open(cfg, subscriber.Deps{Log: log, Metrics: metrics, Health: health, Now: time.Now})
	if err != nil {
		return errors.Join(err, admin.Close())
	}
	log.Info("subscriber runs", "version", config.Version("subscriber"), "stream", cfg.Stream.Name, "consumer", cfg.ConsumerName, "admin", admin.Addr().String())
	err = ops.WithAdmin(ctx, admin, health, metrics, log, s.Run)
	log.Info("subscriber stopped")
	return err
}
