// Command powerloss cuts the power of a NATS server while webhooks arrive, as far as one machine
// shows it: the server stores the stream in a file system that loses what was not synced. Then it
// looks which events are missing that were answered 200. It is a tool for a person, and for tests.
//
// It is a module of its own: the programs of Billbus do not depend on FUSE.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/billbus/billbus/test/kit"
)

func main() {
	var opts settings
	flag.IntVar(&opts.rounds, "rounds", 10, "how many power cuts of each kind")
	flag.Float64Var(&opts.rate, "rate", 200, "webhooks a second")
	flag.Uint64Var(&opts.seed, "seed", rand.Uint64(), "decides the webhooks, and when the power is cut")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if err := run(ctx, opts, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type settings struct {
	rounds int
	rate   float64
	seed   uint64
}

// kind is what is different in some rounds.
type kind struct {
	name   string
	sync   string // lines of JetStream's configuration
	strict bool
	// loses is true if events may be missing.
	loses bool
}

func kinds() []kind {
	return []kind{
		{"`sync_interval: always`, file system with a journal", "sync_interval: always", false, false},
		{"`sync_interval: always`, names are lost unless their folder was synced", "sync_interval: always", true, false},
		{"`sync_interval: 1s`, file system with a journal", "sync_interval: 1s", false, true},
		{"NATS's default (two minutes), file system with a journal", "", false, true},
	}
}

// run prints a table. It fails if an event is missing that must not be.
func run(ctx context.Context, opts settings, out io.Writer) error {
	if lacks := lacking(); lacks != "" {
		return fmt.Errorf("this machine cannot cut the power of a server: %s", lacks)
	}
	dir, err := os.MkdirTemp("", "billbus-powerloss-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binaries, err := build(ctx, dir)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "seed %d, %d power cuts of each kind, %.0f webhooks a second\n\n"+
		"| NATS server | answered 200 | missing | most in one cut |\n|---|---|---|---|\n", opts.seed, opts.rounds, opts.rate)
	random, lost := rand.New(rand.NewPCG(opts.seed, 0)), 0
	for _, k := range kinds() {
		answered, missing, most := 0, 0, 0
		for range opts.rounds {
			c := cut{kind: k, binaries: binaries, rate: opts.rate, seed: random.Uint64(), after: time.Second + time.Duration(random.IntN(3000))*time.Millisecond}
			r, err := try(ctx, dir, c)
			if err != nil {
				return err
			}
			answered, missing, most = answered+r.answered, missing+r.missing, max(most, r.missing)
		}
		_, _ = fmt.Fprintf(out, "| %s | %d | %d | %d |\n", k.name, answered, missing, most)
		if answered == 0 {
			return errors.New("no event was answered 200, so none can be missing")
		}
		if !k.loses {
			lost += missing
		}
	}
	if lost > 0 {
		return fmt.Errorf("%d events are missing that must not be", lost)
	}
	return nil
}

// try makes one power cut, outside of a test.
func try(ctx context.Context, dir string, c cut) (r result, err error) {
	trial := kit.NewTrial(ctx, dir)
	if failures := trial.Run(func() { r = c.run(trial) }); len(failures) > 0 {
		err = fmt.Errorf("seed %d: %v", c.seed, failures)
	}
	return r, err
}
