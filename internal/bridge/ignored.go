package bridge

import (
	"log/slog"
	"time"

	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/normalize"
)

// ignoredInterval is how long a reason for ignoring events is not logged again.
const ignoredInterval = time.Minute

// ignoredWarnings also logs a warning about events that are not admitted: a setting
// that is wrong must be noticed before customers notice it.
type ignoredWarnings struct {
	handlers.WebhookMetrics
	log     *slog.Logger
	now     func() time.Time
	reasons fault.Repeats
}

// WebhookIgnored implements [handlers.WebhookMetrics].
func (w *ignoredWarnings) WebhookIgnored(reason string) {
	w.WebhookMetrics.WebhookIgnored(reason)
	if count, due := w.reasons.Next(reason, w.now()); due {
		w.log.Warn("events are stored and not admitted; if they are yours, change the setting and run \"subscriber replay --renormalize\"",
			"reason", reason, "setting", normalize.IgnoredBy(reason), "count", count)
	}
}
