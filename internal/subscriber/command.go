package subscriber

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/internal/store"
)

const closeTimeout = 5 * time.Second

// WithStore runs a command on the store. Unlike the subscriber, a command fails if
// the database cannot be reached.
func WithStore(ctx context.Context, cfg config.Mongo, batch int, log *slog.Logger, command func(store.Store) error) (err error) {
	return withStore(ctx, cfg, mongostore.Config{MaxBatch: batch, Log: log}, func(db *mongostore.Store) error { return command(db) })
}

func withStore(ctx context.Context, cfg config.Mongo, settings mongostore.Config, command func(*mongostore.Store) error) (err error) {
	settings.Now = time.Now
	db, err := openStore(cfg, settings)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, db.Close(ctx))
	}()
	if err := db.Ping(ctx); err != nil {
		return err
	}
	return command(db)
}

// openStore returns a configuration fault if the URI can never work.
func openStore(cfg config.Mongo, db mongostore.Config) (*mongostore.Store, error) {
	db.URI, db.Database, db.Secondary = cfg.URI.Reveal(), cfg.Database, cfg.Secondary
	opened, err := mongostore.Open(db)
	if wrong, ok := errors.AsType[mongostore.URIError](err); ok {
		return nil, &config.Faults{Program: "subscriber", Lines: []string{wrong.Error()}}
	}
	return opened, err
}
