package subscriber

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
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
			return ctx.Err()
		}
		return r.execute(ctx, out)
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
