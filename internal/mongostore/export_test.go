package mongostore

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/store"
)

// CommitBatch records entries as one batch, which callers of Record cannot be sure to
// get.
func (s *Store) CommitBatch(ctx context.Context, entries ...store.Entry) ([]store.Effect, []error) {
	effects, errs := make([]store.Effect, len(entries)), make([]error, len(entries))
	for i, res := range store.NewCommitter(s.db, s.cfg.Now).Commit(ctx, entries) {
		effects[i], errs[i] = res.Effect, res.Err
	}
	return effects, errs
}

// Documents is what the store writes to.
func (s *Store) Documents() store.Database { return s.db }

// OpenMonitored opens a store whose commands are told to a monitor.
func OpenMonitored(cfg Config, monitor *event.CommandMonitor) (*Store, error) {
	return open(cfg, options.Client().SetMonitor(monitor))
}
