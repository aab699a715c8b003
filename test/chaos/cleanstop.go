package chaos

import "time"

// countRedelivered finds out, from the logs of the subscribers, which messages were delivered
// again although a subscriber that stopped cleanly had acknowledged them. After faults in
// which NATS can forget acknowledgements, the subscriber is not to blame.
func (r *run) countRedelivered(all []handling) {
	for i := range r.cleanStops {
		stop := &r.cleanStops[i]
		acknowledged := acknowledgedBefore(all, stop.Process, stop.At)
		for _, h := range all {
			done, known := acknowledged[h.Sequence]
			if known && h.Msg == "message" && h.Time.After(stop.At) && !r.forgot(done, h.Time) {
				stop.Redelivered++
				r.log.Info("redelivered after a clean stop", "process", stop.Process, "sequence", h.Sequence, "handled", done, "again", h.Time)
			}
		}
	}
}

// acknowledgedBefore returns when a process has handled what it has acknowledged.
func acknowledgedBefore(all []handling, process string, limit time.Time) map[uint64]time.Time {
	when := map[uint64]time.Time{}
	for _, h := range all {
		switch {
		case h.process != process || h.Time.After(limit):
		case !h.isDone():
			delete(when, h.Sequence)
		default:
			when[h.Sequence] = h.Time
		}
	}
	return when
}

// forgot reports whether NATS can have forgotten an acknowledgement between two times.
func (r *run) forgot(since, until time.Time) bool {
	for _, f := range r.happened {
		if r.kind(Fault{Kind: f.Kind}).forgets(f.Target) && f.Begin.Before(until) && f.End.After(since) {
			return true
		}
	}
	return false
}
