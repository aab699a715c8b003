// Command reliability runs the built programs through one failure after another, with
// real servers, Stripe's retries and the alert rules that are shipped, and prints what
// came of it: the table in docs/reliability.md. It is a tool for a person, and for tests
// only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/deploy"
	"github.com/billbus/billbus/test/kit/servers"
)

// settings are the flags of the command line.
type settings struct {
	scenarios []scenario
	seconds   int           // of the fault; 0 is as long as the scenario says
	rate      float64       // events per second
	watch     time.Duration // for how long alerts are watched after everything has recovered
	seed      uint64
	json      bool
	dir       string // where logs and data are kept; "" for nowhere
}

var binaries string // folder of the built programs

func main() {
	if served, err := servers.Serve(); served {
		exit(err)
	}
	opts, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(kit.RunWithBinaries(&binaries, func() int { return runAll(ctx, opts, os.Stdout) }, deploy.Packages()...))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var opts settings
	flags := flag.NewFlagSet("reliability", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := flags.String("scenario", "", "scenarios to run, separated by commas: "+strings.Join(scenarioNames(), ", ")+" (default all)")
	flags.IntVar(&opts.seconds, "seconds", 0, "how long each fault lasts (default: as the scenario says)")
	flags.Float64Var(&opts.rate, "rate", 10, "events a second")
	flags.DurationVar(&opts.watch, "watch", 30*time.Second, "how long to watch for alerts after the recovery")
	flags.Uint64Var(&opts.seed, "seed", 1, "seed of the simulated subscriptions")
	flags.BoolVar(&opts.json, "json", false, "print JSON Lines instead of a table")
	flags.StringVar(&opts.dir, "dir", "", "folder in which to keep logs and data")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	var err error
	if opts.scenarios, err = choose(*names); err != nil {
		_, _ = fmt.Fprintln(stderr, err)
	}
	return opts, err
}

// runAll returns the exit status: 0 if nothing was lost and no determined state is wrong.
func runAll(ctx context.Context, opts settings, stdout io.Writer) int {
	show := markdown(stdout)
	if opts.json {
		show = jsonLines(stdout)
	}
	status := 0
	for _, s := range opts.scenarios {
		if ctx.Err() != nil {
			return 1
		}
		result := run(ctx, s, opts)
		if err := show(result); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if !result.good() {
			status = 1
		}
	}
	return status
}
