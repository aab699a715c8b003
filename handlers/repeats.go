package handlers

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/billbus/billbus/internal/fault"
)

// repeatAfter is how long an ongoing failure is not logged again. Otherwise each
// waiting message would log the same.
const repeatAfter = time.Minute

// Repeats decides when something that repeats is logged again. The zero value is not
// usable: Every must be set.
type Repeats struct {
	Every time.Duration // how long the same kind is not logged again

	mu    sync.Mutex
	kinds map[string]repeat
}

// repeat is about one kind.
type repeat struct {
	logged time.Time
	count  int // since then
}

// Next counts one of a kind. It reports whether it is to be logged, and how many
// there were since the last one that was logged. There must be few kinds.
func (r *Repeats) Next(kind string, now time.Time) (count int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kinds == nil {
		r.kinds = map[string]repeat{}
	}
	k := r.kinds[kind]
	k.count++
	count, due = k.count, k.logged.IsZero() || now.Sub(k.logged) >= r.Every
	if due {
		k = repeat{logged: now}
	}
	r.kinds[kind] = k
	return count, due
}

// log logs a line that is due with its count, and one that is not at level debug.
func (r *Repeats) log(log *slog.Logger, level slog.Level, kind string, now time.Time, msg string, attrs ...any) {
	count, due := r.Next(kind, now)
	if !due {
		log.Debug(msg, attrs...)
		return
	}
	log.Log(context.Background(), level, msg, append(attrs, "count", count)...)
}

// failed logs that a message failed. A failure that goes on is logged once a minute and
// reason; one that ends the work on the message, always.
func (r *Repeats) failed(log *slog.Logger, err error, now time.Time, msg string, attrs ...any) {
	reason := fault.ReasonOf(err)
	attrs = append(attrs, "reason", reason, "error", err)
	if fault.KindOf(err) != fault.Transient {
		log.Warn(msg, attrs...)
		return
	}
	r.log(log, slog.LevelWarn, string(reason), now, msg, attrs...)
}
