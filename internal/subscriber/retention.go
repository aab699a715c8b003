package subscriber

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/verify"
)

const (
	// retentionInterval is how often a subscriber looks whether it is its turn.
	retentionInterval = 10 * time.Minute
	// retentionTimeout bounds one round. The next one continues.
	retentionTimeout = 30 * time.Minute
)

// enforceRetention removes audit documents that are older than AUDIT_RETENTION, at
// start and then at every interval.
func (s *Subscriber) enforceRetention(ctx context.Context) {
	if s.cfg.AuditRetention == 0 {
		return
	}
	retention := verify.Retention{Store: s.store, Keep: s.cfg.AuditRetention, Holder: rand.Text(), Now: s.deps.Now}
	ops.Every(ctx, retentionInterval, func() {
		round, cancel := context.WithTimeout(ctx, retentionTimeout)
		defer cancel()
		removed, err := retention.Round(round)
		switch {
		case err != nil && ctx.Err() == nil:
			s.deps.Log.Warn("removing old audit documents failed; trying again", "removed", removed, "error", err)
		case removed > 0:
			s.deps.Log.Info("removed old audit documents", "removed", removed)
		}
	})
}
