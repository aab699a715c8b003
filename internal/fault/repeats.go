package fault

import (
	"sync"
	"time"
)

// repeatAfter is how long a failure that goes on is not logged again.
const repeatAfter = time.Minute

// Repeats keeps a failure that goes on from filling the log: each message that waits
// for a database would log the same. The zero value is ready to use.
type Repeats struct {
	mu     sync.Mutex
	logged map[string]repeat
}

type repeat struct {
	at    time.Time
	since int // failures since then
}

// Due reports whether to log a failure now: the first of its kind, and then one a
// minute. It returns how many were not logged since the last one that was.
func (r *Repeats) Due(kind string, now time.Time) (unlogged int, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.logged[kind]
	if ok && now.Sub(last.at) < repeatAfter {
		last.since++
		r.logged[kind] = last
		return last.since, false
	}
	if r.logged == nil {
		r.logged = map[string]repeat{}
	}
	r.logged[kind] = repeat{at: now}
	return last.since, true
}
