// Command bench measures Billbus against the least that a correct program could do, and
// against what a tutorial would have you write, in the same run on the same machine:
//
//	go run ./bench --quick ingress
//	go run ./bench --db ferretdb-postgres --delay 0,5,20 --out docs/performance persist
//
// It starts real servers in processes of their own, lets the contestants take turns over
// several rounds, and prints medians, spreads and ratios to the floor. A contestant that
// fails, or does not do all of its work, is reported instead of measured. It is a tool for a
// person, and not part of the tests.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/servers"
)

// settings are the flags of the command line.
type settings struct {
	tables        []table
	rounds        int
	events        int
	subscriptions int
	connections   []int
	sync          []string
	databases     []string
	delays        []time.Duration
	limit         time.Duration
	latency       time.Duration
	seed          uint64
	quick         bool
	json          bool
	out           string
	dir           string
}

// table is one table of results.
type table struct {
	name, about string
	figure      string // what its plot shows
	run         func(*bench) error
}

func tables() []table {
	return []table{
		{"ingress", "webhooks from the socket to the stream", rate, (*bench).ingress},
		{"persist", "a backlog from the stream to the database", rate, (*bench).persist},
		{"memory-store", "a backlog from the stream to a database that costs nothing, on one core", rate, (*bench).memoryStore},
		{"end-to-end", "from a webhook to the state view, on the embedded servers, at 200 webhooks a second", p50, (*bench).endToEnd},
		{"replay", "the stream read again into an empty database", rate, (*bench).replay},
		{"growth", "cost with ten times the history, the subscriptions, and the backlog", rate, (*bench).growth},
	}
}

func main() {
	if served, err := servers.Serve(); served {
		exit(err)
	}
	opts, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{settings: opts, ctx: ctx}
	os.Exit(kit.RunWithBinaries(&b.binaries, func() int { return b.runAll(os.Stdout) }, opts.release()...))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// release is how programs are built for a release, and which ones are needed. It takes a
// minute to link the standalone program.
func (s *settings) release() []string {
	const module = "github.com/billbus/billbus/"
	args := []string{"-trimpath", "-ldflags=-s -w", module + "cmd/bridge", module + "cmd/subscriber", module + "bench/floor", module + "bench/memory", servers.Package}
	if slices.ContainsFunc(s.tables, func(t table) bool { return t.name == "end-to-end" }) {
		args = append(args, module+"cmd/standalone")
	}
	return args
}

func parse(args []string, stderr io.Writer) (settings, error) {
	var opts settings
	var l lists
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() { usage(flags) }
	flags.IntVar(&opts.rounds, "rounds", 0, "how often each contestant is measured (default 5; quick: 2)")
	flags.IntVar(&opts.events, "events", 0, "events of one measurement (default 20000, but persist gives the embedded database 2000; replay and growth take half as many and five times as many; quick: 2000)")
	flags.IntVar(&opts.subscriptions, "subscriptions", 0, "subscriptions that they belong to (default 1000; quick: 200)")
	flags.StringVar(&l.connections, "connections", "1,32,256", "connections of the table ingress")
	flags.StringVar(&l.syncs, "sync", "default,always", "values of NATS' sync_interval of the table ingress")
	flags.StringVar(&l.databases, "db", "embedded,ferretdb-postgres,memory", "databases: embedded, ferretdb-postgres, memory (a server in memory that MongoDB's driver takes for one), or a URI; that of BILLBUS_TEST_MONGODB_URI is added")
	flags.StringVar(&l.delays, "delay", "0", "added to the way to the database, in ms, such as 0,5,20")
	flags.DurationVar(&opts.limit, "limit", time.Minute, "a slower contestant is measured on what it has done until then (quick: 5s)")
	flags.DurationVar(&opts.latency, "latency", 10*time.Second, "how long latencies are measured (quick: 3s)")
	flags.Uint64Var(&opts.seed, "seed", 1, "seed of the simulated subscriptions")
	flags.BoolVar(&opts.quick, "quick", false, "a short run, to see that everything works")
	flags.BoolVar(&opts.json, "json", false, "print JSON Lines instead of tables")
	flags.StringVar(&opts.out, "out", "", "folder for TABLE.jsonl and TABLE.svg")
	flags.StringVar(&opts.dir, "dir", "", "folder in which to keep logs and data")
	if err := flags.Parse(args); err != nil {
		return opts, err
	}
	err := opts.complete(flags.Args(), l)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
	}
	return opts, err
}

func usage(flags *flag.FlagSet) {
	out := flags.Output()
	_, _ = fmt.Fprint(out, "Usage: go run ./bench [options] [table...]\n\nTables (all without a name):\n")
	for _, t := range tables() {
		_, _ = fmt.Fprintf(out, "  %-14s %s\n", t.name, t.about)
	}
	_, _ = fmt.Fprint(out, "\nExamples:\n  go run ./bench --quick ingress\n"+
		"  go run ./bench --db embedded --rounds 3 persist growth\n"+
		"  BILLBUS_TEST_MONGODB_URI=mongodb://db:27017 go run ./bench --delay 0,5,20 --out docs/performance persist\n\nOptions:\n")
	flags.PrintDefaults()
}

// lists are flags with several values.
type lists struct{ connections, syncs, databases, delays string }

// complete sets what depends on other flags.
func (s *settings) complete(names []string, l lists) (err error) {
	if s.quick {
		s.latency, s.limit = min(s.latency, 3*time.Second), min(s.limit, 5*time.Second)
		s.rounds, s.events, s.subscriptions = cmp.Or(s.rounds, 2), cmp.Or(s.events, 2000), cmp.Or(s.subscriptions, 200)
	}
	s.rounds, s.events, s.subscriptions = cmp.Or(s.rounds, 5), cmp.Or(s.events, 20_000), cmp.Or(s.subscriptions, 1000)
	if s.databases, err = databases(l.databases); err != nil {
		return err
	}
	s.sync = strings.Split(l.syncs, ",")
	if s.connections, err = numbers("--connections", l.connections); err != nil {
		return err
	}
	milliseconds, err := numbers("--delay", l.delays)
	if err != nil {
		return err
	}
	for _, ms := range milliseconds {
		s.delays = append(s.delays, time.Duration(ms)*time.Millisecond)
	}
	s.tables, err = choose(names)
	return err
}

func databases(list string) ([]string, error) {
	names := []string{list}
	if !strings.Contains(list, "://") { // a URI may contain commas
		names = strings.Split(list, ",")
	}
	for _, name := range names {
		if !strings.Contains(name, "://") && !slices.Contains([]string{embedded, ferretOnPostgres, memory}, name) {
			return nil, fmt.Errorf("there is no database %q; --help lists them", name)
		}
	}
	if uri := os.Getenv("BILLBUS_TEST_MONGODB_URI"); uri != "" {
		names = append(names, uri)
	}
	return names, nil
}

func numbers(flag, list string) ([]int, error) {
	var all []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("%s is a list of numbers, not %q", flag, list)
		}
		all = append(all, n)
	}
	return all, nil
}

func choose(names []string) ([]table, error) {
	if len(names) == 0 {
		return tables(), nil
	}
	var chosen []table
	for _, name := range names {
		i := slices.IndexFunc(tables(), func(t table) bool { return t.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no table %q; --help lists them", name)
		}
		chosen = append(chosen, tables()[i])
	}
	return chosen, nil
}
