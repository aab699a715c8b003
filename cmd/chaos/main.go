// Command chaos runs Billbus under load while everything around it fails, and checks that
// nothing is lost. It is for tests only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/billbus/billbus/test/chaos"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/deploy"
	"github.com/billbus/billbus/test/kit/servers"
)

func main() {
	if served, err := servers.Serve(); served {
		os.Exit(status(err))
	}
	cfg, err := chaos.Parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		os.Exit(2)
	}
	fmt.Fprintf(os.Stderr, "seed %d\n", cfg.Seed)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var binaries string
	os.Exit(kit.RunWithBinaries(&binaries, func() int {
		result := chaos.Run(ctx, cfg, binaries, os.Stderr)
		if err := result.Print(os.Stdout, cfg.JSON); err != nil {
			return status(err)
		}
		if !result.Good() {
			return 1
		}
		return 0
	}, deploy.Packages()...))
}

func status(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}
