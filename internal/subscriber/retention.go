package subscriber

import (
	"context"
	"time"

	"github.com/billbus/billbus/internal/verify"
)

const (
	retentionInterval = time.Hour
	// retentionRetry is how soon it is tried again after a failure.
	retentionRetry = time.Minute
	// retentionTimeout bounds one pass; what it does not reach is for the next.
	retentionTimeout = 30 * time.Minute
)

// retain removes what is older than the retention, at start and from time to time.
func (s *Subscriber) retain(ctx context.Context) {
	if s.cfg.AuditRetention == 0 {
		return
	}
	for ctx.Err() == nil {
		wait := retentionInterval
		removed, err := s.forget(ctx)
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

func (s *Subscriber) forget(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, retentionTimeout)
	defer cancel()
	return verify.RemoveExpired(ctx, s.store, s.deps.Now().Add(-s.cfg.AuditRetention))
}
