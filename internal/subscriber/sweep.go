package subscriber

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/billbus/billbus/internal/ops"
)

const (
	// sweepInterval is how often a subscriber looks for products and prices with other
	// names than in the records.
	sweepInterval = 2 * time.Second
	// sweepPause is the time between two attempts that fail.
	sweepPause = time.Minute
)

// sweepNames brings the names in records up to the catalog.
func (s *Subscriber) sweepNames(ctx context.Context) {
	holder, next := rand.Text(), time.Time{}
	ops.Every(ctx, sweepInterval, func() {
		if s.deps.Now().Before(next) {
			return
		}
		written, err := s.store.Sweep(ctx, holder, followKeys(s.view))
		switch {
		case err != nil && ctx.Err() == nil:
			next = s.deps.Now().Add(sweepPause)
			s.deps.Log.Warn("updating names in records failed; trying again", "written", written, "error", err)
		case written > 0:
			s.deps.Log.Info("updated names in records", "written", written)
		}
	})
}
