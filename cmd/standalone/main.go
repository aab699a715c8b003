// Command standalone runs bridge and subscriber with an embedded NATS server
// and an embedded document database in one process, on one data folder: for
// trying, developing and testing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/standalone"
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
	cfg, err := config.LoadStandalone(args, getenv)
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
	return standalone.Run(ctx, cfg, stdout, log)
}
