package subscriber

import (
	"cmp"
	"context"
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

// replayIntoShadow builds a shadow: what the database would have if it had been empty. It
// has an audit trail, users and a catalog of its own, so nothing live is read or written,
// except the audit trail as the source.
func replayIntoShadow(ctx context.Context, cfg config.Subscriber, out, status io.Writer, log *slog.Logger) error {
	return withShadow(ctx, cfg, cfg.Replay.Into, log, func(live store.Store, shadow *mongostore.Store) error {
		exists, err := shadow.IsShadow(ctx)
		if err != nil {
			return err
		}
		r := newReplay(cfg, live, shadow, status, log)
		r.begin = func(ctx context.Context, resumed bool) error {
			switch {
			case resumed && exists:
				return nil
			case resumed:
				return errors.New("what was built so far is gone: give --restart to begin again")
			}
			if err := shadow.DropShadow(ctx); err != nil {
				return err
			}
			shadow.Provision(ctx, true)
			if ctx.Err() != nil || cfg.Replay.FromAudit {
				return errors.Join(ctx.Err(), r.source.Done(ctx))
			}
			return shadow.SetProgress(ctx, store.Progress{What: "the stream"})
		}
		if err := r.execute(ctx, out); err != nil {
			return err
		}
		return shadow.SetProgress(ctx, store.Progress{}) // it is complete
	})
}

// errShadowDiffers is returned after it was printed what differs.
var errShadowDiffers = errors.New("some records differ from what the shadow says")

// compareShadow compares the records with a shadow, or writes them as they should be.
func compareShadow(ctx context.Context, cfg config.Subscriber, name string, out io.Writer, log *slog.Logger) error {
	cfg.Verify = config.Verify{Fix: cfg.Replay.Apply != "", JSON: cfg.Replay.JSON}
	return withExisting(ctx, cfg, name, log, func(live store.Store, shadow *mongostore.Store) error {
		if p, err := shadow.Progress(ctx); err != nil || p.What != "" {
			return cmp.Or(err, fmt.Errorf("the shadow %s is not finished: continue with --into %s", name, name))
		}
		viewed, closeView, err := withView(ctx, live, cfg, log)
		if err != nil {
			return err
		}
		defer closeView()
		return printComparison(ctx, verify.Shadow{
			Live: viewed, Audit: live, Shadow: shadow, Fix: cfg.Verify.Fix, Settle: settleTime, Now: time.Now,
		}, cfg.Verify.JSON, out)
	})
}

func printComparison(ctx context.Context, s verify.Shadow, asJSON bool, out io.Writer) error {
	line := term.JSONLines(out)
	s.Report = func(f verify.Finding) error {
		if asJSON {
			return line(f)
		}
		_, err := fmt.Fprintln(out, findingText(f))
		return err
	}
	summary, err := s.Run(ctx)
	if err != nil {
		return fmt.Errorf("comparing with the shadow: %w", err)
	}
	if asJSON {
		err = line(struct {
			Kind string `json:"kind"`
			verify.ShadowSummary
		}{"summary", summary})
	} else {
		equal := summary.Subscriptions - summary.Newer - summary.Differing - summary.Fixed - summary.Unverifiable
		_, err = fmt.Fprintf(out, "%d subscriptions: %d equal, %d newer than the shadow, %d differing, %d fixed, %d unverifiable\n",
			summary.Subscriptions, equal, summary.Newer, summary.Differing, summary.Fixed, summary.Unverifiable)
	}
	if err == nil && summary.Differing+summary.Unverifiable > 0 {
		err = errShadowDiffers
	}
	return err
}

func dropShadow(ctx context.Context, cfg config.Subscriber, name string, log *slog.Logger) error {
	return withExisting(ctx, cfg, name, log, func(_ store.Store, shadow *mongostore.Store) error { return shadow.DropShadow(ctx) })
}

// withExisting fails if there is no such shadow.
func withExisting(ctx context.Context, cfg config.Subscriber, name string, log *slog.Logger, command func(live store.Store, shadow *mongostore.Store) error) error {
	return withShadow(ctx, cfg, name, log, func(live store.Store, shadow *mongostore.Store) error {
		exists, err := shadow.IsShadow(ctx)
		if err == nil && !exists {
			err = fmt.Errorf("there is no shadow %s: build it with --into %s", name, name)
		}
		if err != nil {
			return err
		}
		return command(live, shadow)
	})
}

// withShadow runs a command on the database and a shadow of it.
func withShadow(ctx context.Context, cfg config.Subscriber, name string, log *slog.Logger, command func(live store.Store, shadow *mongostore.Store) error) error {
	if mongostore.IsTaken(name) {
		return &config.Faults{Program: "subscriber replay", Lines: []string{name + " is a collection of the database: choose another name"}}
	}
	settings := mongostore.Config{Shadow: name, MaxBatch: batchOf(cfg), Log: log}
	return WithStore(ctx, cfg.Mongo, batchOf(cfg), log, func(live store.Store) error {
		return withStore(ctx, cfg.Mongo, settings, func(shadow *mongostore.Store) error { return command(live, shadow) })
	})
}
