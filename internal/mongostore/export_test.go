package mongostore

import (
	"context"

	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/billbus/billbus/internal/store"
)

// CommitBatch commits entries as one batch, which callers of Commit cannot rely on.
func (s *Store) CommitBatch(ctx context.Context, entries ...store.Entry) ([]store.Effect, []error) {
	effects, errs := make([]store.Effect, len(entries)), make([]error, len(entries))
	for i, res := range store.NewCommitter(s, s.now).Commit(ctx, entries) {
		effects[i], errs[i] = res.Effect, res.Err
	}
	return effects, errs
}

// OpenMonitored opens a store whose commands a monitor observes.
func OpenMonitored(cfg Config, monitor *event.CommandMonitor) (*Store, error) {
	return open(cfg, options.Client().SetMonitor(monitor))
}
