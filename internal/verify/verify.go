package verify

import (
	"context"
	"errors"
	"time"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// Verifier compares every record with what the audit trail says.
type Verifier struct {
	Store store.Verification
	// Fix corrects the records that differ, and those that an older rule decided.
	Fix bool
	// Settle is how long a difference must last to count: while messages are
	// processed, the audit trail is ahead of the records for a moment.
	Settle time.Duration
	Now    func() time.Time
	// Report is called with each finding as soon as it is certain.
	Report func(Finding) error
	// Progress is called with the number of events read so far. It may be nil.
	Progress func(events int)
}

// Summary counts what a verification found.
type Summary struct {
	Subscriptions int `json:"subscriptions"`
	Events        int `json:"events"`
	// Differing counts the subscriptions whose record differs and was not fixed.
	Differing    int `json:"differing"`
	Fixed        int `json:"fixed"`
	Unverifiable int `json:"unverifiable"`
	// Older counts the records that an older rule decided, and that are correct.
	Older int `json:"older_rule"`
	Gaps  int `json:"gaps"`
}

const (
	// maxSuspects bounds how many subscriptions wait to be checked again.
	maxSuspects = 1000
	// maxChecks bounds how often a subscription that keeps changing is checked again.
	maxChecks = 10
)

// suspect is a subscription whose record seemed wrong, and is checked again.
type suspect struct {
	version
	since  time.Time
	checks int
}

// version is different whenever the record or the audit trail of a subscription has
// changed.
type version struct {
	key      string
	revision string
	events   int
}

func versionOf(t *trail, record store.StoredRecord) version {
	return version{record.Key, record.Revision, t.size()}
}

type run struct {
	*Verifier
	names    *store.Names
	summary  Summary
	suspects []suspect // in the order of since
	read     []pair    // that are not checked yet
}

// pair is a subscription with what was read of it.
type pair struct {
	trail  *trail
	record store.StoredRecord
}

// maxRead bounds how many subscriptions are checked at a time: their users take one query.
const maxRead = 200

// Run reads all records and the whole audit trail once. It returns an error only if
// it could not read, write or report.
func (v *Verifier) Run(ctx context.Context) (Summary, error) {
	r := &run{Verifier: v, names: store.NewNames(v.Store)}
	records := newCursor(v.Store.Records(ctx), func(record store.StoredRecord) string { return record.Key })
	defer records.stop()
	audit := newCursor(v.Store.Audit(ctx), func(a store.Audited) string { return a.Subscription })
	defer audit.stop()
	for !audit.done || !records.done {
		if err := r.checkNext(ctx, audit, records); err != nil {
			return r.summary, err
		}
	}
	if err := errors.Join(audit.err, records.err); err != nil {
		return r.summary, err
	}
	if err := r.checkRead(ctx); err != nil {
		return r.summary, err
	}
	return r.summary, r.recheckUntil(ctx, 0)
}

// checkNext checks the next subscription that is in the audit trail or in the records.
func (r *run) checkNext(ctx context.Context, audit *cursor[store.Audited], records *cursor[store.StoredRecord]) error {
	key := leastKey(audit, records)
	t, record := newTrail(), store.StoredRecord{Key: key}
	for audit.has(key) {
		t.add(audit.take())
		r.summary.Events++
		if r.Progress != nil {
			r.Progress(r.summary.Events)
		}
	}
	if audit.err != nil { // the trail may be incomplete
		return audit.err
	}
	for records.has(key) {
		record = records.take()
	}
	r.summary.Subscriptions++
	if r.read = append(r.read, pair{t, record}); len(r.read) < maxRead {
		return nil
	}
	if err := r.checkRead(ctx); err != nil {
		return err
	}
	return r.recheckUntil(ctx, maxSuspects)
}

// checkRead checks the subscriptions that were read.
func (r *run) checkRead(ctx context.Context) error {
	read := r.read
	r.read = nil
	if err := r.resolveUsers(ctx, read); err != nil {
		return err
	}
	for _, p := range read {
		if err := r.check(ctx, p.trail, p.record); err != nil {
			return err
		}
	}
	return nil
}

// resolveUsers adds the users that the records should have.
func (r *run) resolveUsers(ctx context.Context, pairs []pair) error {
	owners := map[string]store.Owner{}
	for _, p := range pairs {
		if sub := p.trail.winner().Data.Subscription; sub != nil {
			owners[p.record.Key] = store.OwnerOf(sub)
		}
	}
	facts, err := store.UserFacts(ctx, r.Store, owners)
	for _, p := range pairs {
		p.trail.user = owners[p.record.Key].User(facts[p.record.Key])
	}
	return err
}

// check reports what is certain. A difference may be due to a message that is being
// processed, so it is checked again.
func (r *run) check(ctx context.Context, t *trail, record store.StoredRecord) error {
	c, err := r.compare(ctx, t, record, false)
	if err != nil {
		return err
	}
	if c.differs() || c.older && r.Fix {
		r.suspects = append(r.suspects, suspect{version: versionOf(t, record), since: r.Now()})
		return nil
	}
	return r.report(t, c)
}

// recheckUntil checks the suspects again whose time has come. While there are more
// than most, it waits for the oldest.
func (r *run) recheckUntil(ctx context.Context, most int) error {
	for len(r.suspects) > 0 {
		left := r.Settle - r.Now().Sub(r.suspects[0].since)
		if left > 0 && len(r.suspects) <= most {
			return nil
		}
		if err := wait(ctx, left); err != nil {
			return err
		}
		s := r.suspects[0]
		r.suspects = r.suspects[1:]
		if err := r.recheck(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// recheck reads one subscription again. A difference counts only if nothing has
// changed since the last check, and is fixed only if nothing changes meanwhile.
func (r *run) recheck(ctx context.Context, s suspect) error {
	record, err := r.Store.Record(ctx, s.key)
	if err != nil {
		return err
	}
	t, err := r.readTrail(ctx, record)
	if err != nil {
		return err
	}
	c, err := r.compare(ctx, t, record, true)
	if err != nil {
		return err
	}
	now := versionOf(t, record)
	if c.differs() && now != s.version && r.postpone(s, now) {
		return nil
	}
	if r.Fix && c.fixable() {
		fixed, err := r.fix(ctx, record, t)
		if err != nil {
			return err
		}
		if !fixed && r.postpone(s, now) {
			return nil
		}
		c.markFixed(fixed)
	}
	return r.report(t, c)
}

// fix rewrites a record, and again while the trail has more to say. An event that was
// committed between reading the trail and rewriting may have found nothing to write,
// because the old record covered it. From the first rewriting on, every writer writes.
func (r *run) fix(ctx context.Context, record store.StoredRecord, t *trail) (bool, error) {
	for range maxChecks {
		decision, err := r.decision(ctx, t, true)
		if err != nil {
			return false, err
		}
		fixed, err := r.Store.Rewrite(ctx, record, decision)
		if !fixed || err != nil {
			return fixed, err
		}
		if record, err = r.Store.Record(ctx, record.Key); err != nil {
			return false, err
		}
		if t, err = r.readTrail(ctx, record); err != nil {
			return false, err
		}
		c, err := r.compare(ctx, t, record, true)
		if err != nil || !c.fixable() {
			return err == nil, err
		}
	}
	return false, nil
}

// decision returns what a trail decides, with the names of the catalog.
func (r *run) decision(ctx context.Context, t *trail, latest bool) (d store.Decision, err error) {
	d = t.decision()
	d.Winner, err = r.names.Named(ctx, d.Winner, latest)
	return d, err
}

func (r *run) readTrail(ctx context.Context, record store.StoredRecord) (*trail, error) {
	t := newTrail()
	for audited, err := range r.Store.Trail(ctx, record.Key) {
		if err != nil {
			return nil, err
		}
		t.add(audited)
	}
	return t, r.resolveUsers(ctx, []pair{{t, record}})
}

// postpone reports whether a suspect will be checked once more.
func (r *run) postpone(s suspect, now version) bool {
	if s.checks == maxChecks {
		return false
	}
	r.suspects = append(r.suspects, suspect{now, r.Now(), s.checks + 1})
	return true
}

// report counts and reports what was found about a subscription.
func (r *run) report(t *trail, c comparison) error {
	c.count(&r.summary)
	gaps := ordering.Gaps(t.facts)
	r.summary.Gaps += len(gaps)
	for _, finding := range append(c.findings, gapFindings(c.key, gaps)...) {
		if err := r.Report(finding); err != nil {
			return err
		}
	}
	return nil
}
