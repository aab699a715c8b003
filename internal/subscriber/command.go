package subscriber

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/mongostore"
)

const closeTimeout = 5 * time.Second

// withStore runs a command on the store. Unlike the subscriber, a command fails if
// the database cannot be reached.
func withStore(ctx context.Context, cfg config.Mongo, batch int, log *slog.Logger, command func(*mongostore.Store) error) (err error) {
	store, err := mongostore.Open(mongostore.Config{
		URI: cfg.URI.Reveal(), Database: cfg.Database, MaxBatch: batch, Now: time.Now, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, store.Close(ctx))
	}()
	if err := store.Ping(ctx); err != nil {
		return err
	}
	return command(store)
}
