package subscriber

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/internal/verify"
)

const (
	// settleTime is how long a difference must last to be one: longer than the
	// state of an audited event takes to be written.
	settleTime = 2 * time.Second
	// longestShown is how much of a value a line shows; JSON shows all of it.
	longestShown = 100
	closeTimeout = 5 * time.Second
)

// ErrDiffers is what Verify returns after it has printed what differs.
var ErrDiffers = errors.New("not every record says what the audit trail does")

// Verify compares every record with what the audit trail says, prints what it
// finds, and returns nil only if no record differs in the end.
func Verify(ctx context.Context, cfg config.Subscriber, out, status io.Writer, log *slog.Logger) (err error) {
	store, err := openStore(ctx, cfg.Mongo, 1, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore(ctx, store)) }()
	size := int64(0)
	if term.IsTerminal(status) { // nobody else sees how far it is
		if size, err = store.AuditSize(ctx); err != nil {
			return err
		}
	}
	shown := term.NewProgress(status, "verifying events", size)
	print := printText(shown, out)
	if cfg.Verify.JSON {
		print = printJSON(out)
	}
	v := verify.Verifier{
		Store: store, Fix: cfg.Verify.Fix, Settle: settleTime, Now: time.Now,
		Report:   func(f verify.Finding) error { return print(f) },
		Progress: func(n int) { shown.Set(int64(n)) },
	}
	summary, err := v.Run(ctx)
	shown.Stop()
	if err != nil {
		return fmt.Errorf("verifying: %w", err)
	}
	if err := print(summary); err != nil || summary.Differing == 0 {
		return err
	}
	return ErrDiffers
}

// openStore opens the store for a command, which has nothing to do without the
// database.
func openStore(ctx context.Context, cfg config.Mongo, batch int, log *slog.Logger) (store.Store, error) {
	store, err := mongostore.Open(mongostore.Config{
		URI: cfg.URI.Reveal(), Database: cfg.Database, MaxBatch: batch, Now: time.Now, Log: log,
	})
	if err != nil {
		return nil, err
	}
	if err := store.Ping(ctx); err != nil {
		return nil, errors.Join(err, closeStore(ctx, store))
	}
	return store, nil
}

func closeStore(ctx context.Context, store store.Store) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return store.Close(ctx)
}

func printJSON(out io.Writer) func(any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return func(v any) error {
		if summary, ok := v.(verify.Summary); ok {
			v = struct {
				Kind string `json:"kind"`
				verify.Summary
			}{"summary", summary}
		}
		return encoder.Encode(v)
	}
}

func printText(shown *term.Progress, out io.Writer) func(any) error {
	return func(v any) error {
		if finding, ok := v.(verify.Finding); ok {
			return shown.Line(out, findingText(finding))
		}
		return shown.Line(out, summaryText(v.(verify.Summary)))
	}
}

func findingText(f verify.Finding) string {
	switch f.Kind {
	case verify.Unverifiable:
		return fmt.Sprintf("? %s  unverifiable: %s", f.Key, f.Reason)
	case verify.Gap:
		return fmt.Sprintf("! %s  gap: something is missing between %s (%s) and %s (%s)", f.Key, f.After, f.Since, f.Before, f.Until)
	}
	line := fmt.Sprintf("~ %s  %s: %s -> %s", f.Key, f.Field, shorten(f.Have), shorten(f.Want))
	if f.Fixed {
		return line + "  (fixed)"
	}
	return line
}

func shorten(value string) string {
	runes := []rune(value)
	switch {
	case value == "":
		return "none"
	case len(runes) > longestShown:
		return string(runes[:longestShown]) + "…"
	}
	return value
}

func summaryText(s verify.Summary) string {
	right := s.Subscriptions - s.Differing - s.Fixed - s.Unverifiable
	text := fmt.Sprintf("%d subscriptions, %d events: %d right, %d differing, %d fixed, %d unverifiable, %d gaps",
		s.Subscriptions, s.Events, right, s.Differing, s.Fixed, s.Unverifiable, s.Gaps)
	if s.Older > 0 {
		text += fmt.Sprintf("\n%d are right but were decided by older rules: --fix writes them anew, and so does their next event", s.Older)
	}
	return text
}
