package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/billbus/billbus/bench/figures"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/test/kit"
)

// Names of figures.
const (
	rate  = "events/s"
	p50   = "p50 ms"
	p99   = "p99 ms"
	ready = "ready ms"
)

// bench is one run of the program.
type bench struct {
	settings
	//nolint:containedctx // of the whole program
	ctx      context.Context
	binaries string // folder of the built programs
	samples  []figures.Sample
	peer     string // folder of the peer's code, "" if it cannot run
}

// contestant measures itself once, in a trial of its own.
type contestant struct {
	name    string
	measure func(t *kit.Trial) []figures.Figure
}

// runAll returns the exit status: 0 if nothing failed.
func (b *bench) runAll(stdout io.Writer) int {
	b.peer = b.installPeer()
	status := 0
	for _, table := range b.tables {
		b.samples = nil
		err := table.run(b)
		if err == nil {
			err = b.ctx.Err()
		}
		rows := figures.Rows(b.samples)
		if printErr := b.print(table, rows, stdout); err == nil {
			err = printErr
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", table.name, err)
			return 1
		}
		for _, r := range rows {
			if r.Failures != nil {
				status = 1
			}
		}
	}
	return status
}

// alternate measures all contestants once in each round, and begins with another one each
// time. So noise hits all of them.
func (b *bench) alternate(table, of string, contestants []contestant) {
	for round := range b.rounds {
		for i := range contestants {
			c := contestants[(round+i)%len(contestants)]
			if b.ctx.Err() != nil {
				return
			}
			b.try(figures.Sample{Table: table, Case: of, Contestant: c.name, Round: round}, c.measure)
		}
	}
}

func (b *bench) try(s figures.Sample, measure func(t *kit.Trial) []figures.Figure) {
	dir, err := b.folder(s)
	if err != nil {
		s.Failures = []string{err.Error()}
	} else {
		t := kit.NewTrial(b.ctx, dir)
		s.Failures = t.Run(func() { s.Figures = measure(t) })
	}
	if b.dir == "" {
		_ = os.RemoveAll(dir)
	}
	_, _ = fmt.Fprintf(os.Stderr, "%s, %s, round %d: %s %v %s\n", s.Table, s.Case, s.Round+1, s.Contestant, s.Figures, strings.Join(s.Failures, "; "))
	b.samples = append(b.samples, s)
}

// within runs a table that needs servers for all of its measurements.
func (b *bench) within(run func(t *kit.Trial)) error {
	dir, err := b.folder(figures.Sample{Table: "servers"})
	if err != nil {
		return err
	}
	if b.dir == "" {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	t := kit.NewTrial(b.ctx, dir)
	if failures := t.Run(func() { run(t) }); failures != nil {
		return errors.New(strings.Join(failures, "; "))
	}
	return nil
}

// folder makes the folder for the data and logs of a sample.
func (b *bench) folder(s figures.Sample) (string, error) {
	if b.dir == "" {
		return os.MkdirTemp("", "billbus-bench-")
	}
	parent := filepath.Join(b.dir, s.Table, s.Case)
	if err := os.MkdirAll(parent, 0o750); err != nil {
		return "", err
	}
	return os.MkdirTemp(parent, fmt.Sprintf("%s-%d-", s.Contestant, s.Round+1))
}

func (b *bench) print(t table, rows []figures.Row, stdout io.Writer) error {
	if b.out != "" {
		if err := b.write(t, rows); err != nil {
			return err
		}
	}
	if !b.json {
		_, _ = fmt.Fprintf(stdout, "\n%s: %s\n", t.name, t.about)
		return figures.Print(term.NewPrinter(stdout), rows)
	}
	return writeLines(stdout, rows)
}

func writeLines(w io.Writer, rows []figures.Row) error {
	line := term.JSONLines(w)
	for _, r := range rows {
		if err := line(r); err != nil {
			return err
		}
	}
	return nil
}

// write writes the files of a table.
func (b *bench) write(t table, rows []figures.Row) error {
	if err := os.MkdirAll(b.out, 0o750); err != nil {
		return err
	}
	files := map[string]func(io.Writer) error{
		t.name + ".jsonl": func(w io.Writer) error { return writeLines(w, rows) },
		t.name + ".svg":   func(w io.Writer) error { return figures.Plot(w, t.about, t.figure, rows) },
	}
	for name, write := range files {
		file, err := os.Create(filepath.Join(b.out, name))
		if err != nil {
			return err
		}
		err = write(file)
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
	return nil
}
