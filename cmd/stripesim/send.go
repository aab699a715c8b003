package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/term"
)

// simulate sends a history, and prints the report even if it was interrupted.
func simulate(ctx context.Context, cfg config.Stripesim, h stripesim.History, send stripesim.SendConfig, stdout, stderr io.Writer) error {
	if !cfg.JSON {
		if _, err := fmt.Fprintf(stdout, "seed %d: sending %d events of %d subscriptions to %s\n",
			h.Seed, len(h.Deliveries), len(h.Truth), cfg.URL); err != nil {
			return err
		}
	}
	progress := term.NewProgress(stderr, "sending", int64(len(stripesim.Schedule(h, send))))
	complain := complainer(stderr)
	send.Progress = func(done int, last stripesim.Answer) {
		progress.Set(int64(done))
		complain(last)
	}
	report, err := stripesim.Send(ctx, h, send)
	progress.Stop()
	if cfg.JSON {
		return errors.Join(err, printJSON(stdout, cfg, h, report))
	}
	return errors.Join(err, printTables(stdout, h, report))
}

// complainer returns a function that reports the first answer that is not 2xx:
// the event is sent again until it is accepted, which can take for ever.
func complainer(stderr io.Writer) func(stripesim.Answer) {
	said := false
	return func(a stripesim.Answer) {
		if said || a.OK() {
			return
		}
		said = true
		why := fmt.Sprintf("answered %d", a.Status)
		if a.Err != nil {
			why = "not answered: " + a.Err.Error()
		}
		// Sending goes on if the hint cannot be printed.
		_, _ = fmt.Fprintf(stderr, "an event was %s; it is sent again until it is accepted (stop with Ctrl-C)\n", why)
	}
}

// sendFile sends the one event of a file, once, and prints the answer.
func sendFile(ctx context.Context, cfg config.Stripesim, stdout io.Writer) error {
	body, err := os.ReadFile(cfg.File)
	if err != nil {
		return fmt.Errorf("reading the event: %w", err)
	}
	if cfg.DryRun {
		return printCommand(stdout, cfg, body)
	}
	answer := stripesim.Post(ctx, sending(cfg), body)
	if answer.Err != nil {
		return fmt.Errorf("no answer: %w", answer.Err)
	}
	if cfg.JSON {
		err = term.JSONLines(stdout)(map[string]any{"url": cfg.URL, "status": answer.Status, "body": answer.Body})
	} else {
		_, err = fmt.Fprintf(stdout, "%d\n%s\n", answer.Status, strings.TrimRight(answer.Body, "\n"))
	}
	if err != nil {
		return fmt.Errorf("printing the answer: %w", err)
	}
	if !answer.OK() {
		return fmt.Errorf("the event was not accepted: status %d", answer.Status)
	}
	return nil
}

// printCommands prints the whole schedule as commands. The seed is in a comment,
// so the output is a valid script.
func printCommands(cfg config.Stripesim, h stripesim.History, stdout io.Writer) error {
	if _, err := fmt.Fprintf(stdout, "# seed %d; signatures are valid for a few minutes\n", h.Seed); err != nil {
		return err
	}
	for _, d := range stripesim.Schedule(h, sending(cfg)) {
		if err := printCommand(stdout, cfg, d.Body); err != nil {
			return err
		}
	}
	return nil
}

func printCommand(stdout io.Writer, cfg config.Stripesim, body []byte) error {
	_, err := fmt.Fprintln(stdout, stripesim.SignedCurl(cfg.URL, cfg.Secret.Reveal(), body, time.Now()))
	return err
}

func writeTruth(path string, h stripesim.History) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing the final states: %w", err)
	}
	return errors.Join(h.WriteTruth(file), file.Close())
}
