package mongostore

import (
	"context"

	"github.com/billbus/billbus/events"
)

// Commit records entries as one batch, which callers of Record cannot be sure to
// get.
func (s *Store) Commit(ctx context.Context, entries ...events.Entry) ([]events.Effect, []error) {
	batch := make([]request, len(entries))
	for i, entry := range entries {
		batch[i].entry = entry
	}
	effects, errs := make([]events.Effect, len(entries)), make([]error, len(entries))
	for i, res := range s.commit(ctx, batch) {
		effects[i], errs[i] = res.effect, res.err
	}
	return effects, errs
}
