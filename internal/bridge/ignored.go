package bridge

import (
	"log/slog"
	"sync"
	"time"

	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/normalize"
)

// ignoredInterval is how long a reason for ignoring events is not logged again.
const ignoredInterval = time.Minute

// ignoredWarnings also logs a warning about events that are not admitted: a setting
// that is wrong must be noticed before customers notice it.
type ignoredWarnings struct {
	handlers.WebhookMetrics
	log *slog.Logger
	now func() time.Time

	mu      sync.Mutex
	reasons map[string]ignoredEvents
}

// ignoredEvents are those of one reason.
type ignoredEvents struct {
	count  int // since the last warning
	warned time.Time
}

// WebhookIgnored implements [handlers.WebhookMetrics].
func (w *ignoredWarnings) WebhookIgnored(reason string) {
	w.WebhookMetrics.WebhookIgnored(reason)
	w.mu.Lock()
	defer w.mu.Unlock()
	now, r := w.now(), w.reasons[reason]
	r.count++
	if r.warned.IsZero() || now.Sub(r.warned) >= ignoredInterval {
		w.log.Warn("events are stored and not admitted; if they are yours, change the setting and run \"subscriber replay --renormalize\"",
			"reason", reason, "setting", normalize.IgnoredBy(reason), "count", r.count)
		r = ignoredEvents{warned: now}
	}
	w.reasons[reason] = r
}
