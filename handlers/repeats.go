package handlers

import (
	"context"
	"log/slog"
	"time"

	"github.com/billbus/billbus/internal/fault"
)

// repeats logs what goes on only now and then. The zero value is ready to use.
type repeats struct{ fault.Repeats }

// log logs a line that is due with its count, and one that is not at level debug.
func (r *repeats) log(log *slog.Logger, level slog.Level, kind string, now time.Time, msg string, attrs ...any) {
	count, due := r.Next(kind, now)
	if !due {
		log.Debug(msg, attrs...)
		return
	}
	log.Log(context.Background(), level, msg, append(attrs, "count", count)...)
}

// failed logs that a message failed. A failure that goes on is logged once a minute and
// reason; one that ends the work on the message, always.
func (r *repeats) failed(log *slog.Logger, err error, now time.Time, msg string, attrs ...any) {
	reason := fault.ReasonOf(err)
	attrs = append(attrs, "reason", reason, "error", err)
	if fault.KindOf(err) != fault.Transient {
		log.Warn(msg, attrs...)
		return
	}
	r.log(log, slog.LevelWarn, string(reason), now, msg, attrs...)
}
