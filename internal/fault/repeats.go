package fault

import (
	"sync"
	"time"
)

// Repeats keeps what goes on from filling the log: each message that waits for a
// database would log the same. The zero value is ready to use.
type Repeats struct {
	// Every is how long the same kind is not logged again; 0 means a minute.
	Every time.Duration

	mu    sync.Mutex
	kinds map[string]repeat
}

// repeat is about one kind.
type repeat struct {
	logged time.Time
	count  int // since then
}

// Next counts one of a kind. It reports whether it is to be logged, and how many
// there were since the last one that was logged, including this one. There must be few
// kinds.
func (r *Repeats) Next(kind string, now time.Time) (count int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kinds == nil {
		r.kinds = map[string]repeat{}
	}
	k := r.kinds[kind]
	k.count++
	count, due = k.count, k.logged.IsZero() || now.Sub(k.logged) >= r.every()
	if due {
		k = repeat{logged: now}
	}
	r.kinds[kind] = k
	return count, due
}

func (r *Repeats) every() time.Duration {
	if r.Every == 0 {
		return time.Minute
	}
	return r.Every
}
