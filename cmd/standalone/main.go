// Command standalone runs bridge and subscriber with an embedded NATS server
// and an embedded document database in one process, on one data folder: for
// trying, developing and testing.
package main

import (
	"context"
	"io"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/cli"
	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/standalone"
)

func main() {
	ops.Main(run, config.ExitCode)
}

func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) error {
	var cfg config.Standalone
	return cli.Execute(ctx, cli.Standalone(&cfg, func(ctx context.Context) error {
		return standalone.Run(ctx, cfg, stdout, ops.NewLogger(stderr, cfg.Log.Level, cfg.Log.Format, cfg.Warnings...))
	}), args, getenv, stdout, stderr)
}
