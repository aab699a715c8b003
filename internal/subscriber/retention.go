package subscriber

import (
	"context"
	"time"

	"github.com/billbus/billbus/internal/verify"
)

const (
	retentionInterval = time.Hour
	// retentionRetry is the interval after a failure.
	retentionRetry = time.Minute
	// retentionTimeout bounds one round. The next one continues.
	retentionTimeout = 30 * time.Minute
)

// enforceRetention removes audit documents that are older than AUDIT_RETENTION, at
// start and then at every interval.
func (s *Subscriber) enforceRetention(ctx context.Context) {
	for s.cfg.AuditRetention > 0 && ctx.Err() == nil {
		wait := retentionInterval
		removed, err := s.removeExpired(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			wait = retentionRetry
			s.deps.Log.Warn("removing old audit documents failed; trying again", "removed", removed, "error", err)
		case removed > 0:
			s.deps.Log.Info("removed old audit documents", "removed", removed)
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

func (s *Subscriber) removeExpired(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, retentionTimeout)
	defer cancel()
	return verify.RemoveExpired(ctx, s.store, s.deps.Now().Add(-s.cfg.AuditRetention))
}
