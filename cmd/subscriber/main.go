// Command subscriber consumes the stream and keeps, in MongoDB, one record per
// subscription and an audit document per event.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/subscriber"
)

func main() {
	ctx, stop := ops.Until(context.Background())
	defer stop()
	err := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	if err != nil && config.ExitCode(err) != 0 {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(config.ExitCode(err))
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	cfg, err := config.LoadSubscriber(args, getenv)
	if help, ok := errors.AsType[*config.Help](err); ok {
		_, err = io.WriteString(stdout, help.Text)
		return err
	}
	if err != nil {
		return err
	}
	log := ops.NewLogger(stderr, cfg.Log.Level, cfg.Log.Format)
	for _, warning := range cfg.Warnings {
		log.Warn("settings", "warning", warning)
	}
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
