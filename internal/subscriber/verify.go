package subscriber

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/internal/verify"
)

const (
	// settleTime is how long a difference must last before it counts. Writing the
	// state of an audited event takes less.
	settleTime = 2 * time.Second
	// longestShown is how much of a value a line of text shows.
	longestShown = 100
)

// ErrDiffers is returned by [Verify] after it has printed what differs.
var ErrDiffers = errors.New("some records differ from the audit trail")

// Verify compares every record with the audit trail and prints what it finds. It
// returns nil only if no record differs in the end.
func Verify(ctx context.Context, cfg config.Subscriber, out, status io.Writer, log *slog.Logger) error {
	return WithStore(ctx, cfg.Mongo, 1, log, func(db store.Store) error {
		size := int64(0)
		if term.IsTerminal(status) { // else no progress is shown
			var err error
			if size, err = db.AuditSize(ctx); err != nil {
				return err
			}
		}
		viewed, closeView, err := withView(ctx, db, cfg, log)
		if err != nil {
			return err
		}
		defer closeView()
		return verifyRecords(ctx, viewed, cfg, out, term.NewProgress(status, "verifying events", size))
	})
}

func verifyRecords(ctx context.Context, db verified, settings config.Subscriber, out io.Writer, progress *term.Progress) error {
	defer progress.Stop()
	cfg := settings.Verify
	report := func(f verify.Finding) error { return progress.Line(out, findingText(f)) }
	if cfg.JSON {
		line := term.JSONLines(out)
		report = func(f verify.Finding) error { return line(f) }
	}
	ignored, err := admitIgnored(ctx, db, settings, report)
	if err != nil {
		return fmt.Errorf("verifying ignored events: %w", err)
	}
	claims := verify.Claims{Store: db, Fix: cfg.Fix, Settle: settleTime, Report: report}
	users, err := claims.Run(ctx)
	if err != nil {
		return fmt.Errorf("verifying users: %w", err)
	}
	v := verify.Verifier{
		Store: db, Fix: cfg.Fix, Settle: settleTime, Now: time.Now,
		Report: report, Progress: func(n int) { progress.Set(int64(n)) },
	}
	summary, err := v.Run(ctx)
	if err != nil {
		return fmt.Errorf("verifying: %w", err)
	}
	progress.Stop()
	if err := printSummary(out, summary, users, ignored, cfg.JSON); err != nil || summary.Differing+users.Differing+ignored.differing == 0 {
		return err
	}
	return ErrDiffers
}

// verified is what verify reads and, with --fix, writes.
type verified interface {
	store.Verification
	store.Admission
	handlers.Store
}

// ignoredCounts counts the ignored events that the settings admit.
type ignoredCounts struct{ differing, fixed int }

// admitIgnored reports the ignored events that the settings admit and, with --fix,
// commits them. It does nothing if no settings are given.
func admitIgnored(ctx context.Context, db verified, cfg config.Subscriber, report func(verify.Finding) error) (n ignoredCounts, err error) {
	if cfg.Reading.Livemode == "" {
		return n, nil
	}
	read, err := readAgain(cfg.Reading)
	if err != nil {
		return n, err
	}
	for found, err := range db.Ignored(ctx) {
		if err != nil {
			return n, err
		}
		again, err := read(found.Message)
		if err != nil || again.Data.Ignored != "" {
			continue // it cannot be read, or stays ignored
		}
		f := verify.Finding{Kind: verify.Difference, Key: found.Key(), Field: "ignored", Have: found.Data.Ignored, Fixed: cfg.Verify.Fix}
		if n.differing++; cfg.Verify.Fix {
			found.Message = again
			if _, err := db.Commit(ctx, found.Entry); err != nil {
				return n, err
			}
			n = ignoredCounts{n.differing - 1, n.fixed + 1}
		}
		if err := report(f); err != nil {
			return n, err
		}
	}
	return n, nil
}

func printSummary(out io.Writer, s verify.Summary, users verify.ClaimSummary, ignored ignoredCounts, asJSON bool) error {
	if asJSON {
		s.Differing, s.Fixed = s.Differing+ignored.differing, s.Fixed+ignored.fixed
		return term.JSONLines(out)(struct {
			Kind string `json:"kind"`
			verify.Summary
			verify.ClaimSummary
		}{"summary", s, users})
	}
	text := summaryText(s)
	if users != (verify.ClaimSummary{}) {
		text += fmt.Sprintf("\nevents about users: %d differing, %d fixed", users.Differing, users.Fixed)
	}
	if ignored != (ignoredCounts{}) {
		text += fmt.Sprintf("\nignored events that the settings admit: %d differing, %d fixed", ignored.differing, ignored.fixed)
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

func findingText(f verify.Finding) string {
	switch f.Kind {
	case verify.Unverifiable:
		return fmt.Sprintf("? %s  unverifiable: %s", f.Key, f.Reason)
	case verify.Gap:
		return fmt.Sprintf("! %s  gap: events are missing between %s (%s) and %s (%s)", f.Key, f.After, f.Since, f.Before, f.Until)
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
	correct := s.Subscriptions - s.Differing - s.Fixed - s.Unverifiable
	text := fmt.Sprintf("%d subscriptions, %d events: %d correct, %d differing, %d fixed, %d unverifiable, %d gaps",
		s.Subscriptions, s.Events, correct, s.Differing, s.Fixed, s.Unverifiable, s.Gaps)
	if s.Older > 0 {
		text += fmt.Sprintf("\n%d are correct but were decided by older rules: --fix updates them, and so does their next event", s.Older)
	}
	return text
}
