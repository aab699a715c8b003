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
	// Fix writes what the audit trail says where a record differs, or was decided
	// by older rules.
	Fix bool
	// Settle is how long a difference must last to be one: beside live traffic
	// the audit trail is ahead of the records for a moment.
	Settle time.Duration
	Now    func() time.Time
	// Report is told what was found, as soon as it is certain.
	Report func(Finding) error
	// Progress is told how many events were read; may be nil.
	Progress func(events int)
}

// Summary counts what a verification went through.
type Summary struct {
	Subscriptions int `json:"subscriptions"`
	Events        int `json:"events"`
	// Differing are the subscriptions whose record differs, those that were
	// fixed left out.
	Differing    int `json:"differing"`
	Fixed        int `json:"fixed"`
	Unverifiable int `json:"unverifiable"`
	// Older are those decided by older rules that are still right.
	Older int `json:"older_rule"`
	Gaps  int `json:"gaps"`
}

const (
	// maxSuspects bounds what waits to be looked at again.
	maxSuspects = 1000
	// maxLooks bounds how often a subscription that changes all the while is
	// looked at.
	maxLooks = 10
)

// suspect is a subscription that did not look right, to be looked at again.
type suspect struct {
	look
	since time.Time
	looks int
}

// look is what tells whether anything has changed between two looks.
type look struct {
	key      string
	revision string
	events   int
}

type run struct {
	*Verifier
	summary  Summary
	suspects []suspect
}

// Run reads everything once. It returns an error only if it could not.
func (v *Verifier) Run(ctx context.Context) (Summary, error) {
	r := &run{Verifier: v}
	records := newSide(v.Store.Records(ctx), func(rec store.StoredRecord) string { return rec.Key })
	defer records.stop()
	audit := newSide(v.Store.Audit(ctx), func(a store.Audited) string { return a.Subscription })
	defer audit.stop()
	for !audit.done || !records.done {
		if err := r.next(ctx, audit, records); err != nil {
			return r.summary, err
		}
	}
	if err := errors.Join(audit.err, records.err); err != nil {
		return r.summary, err
	}
	return r.summary, r.settle(ctx, 0)
}

// next takes the subscription with the least key of both sides.
func (r *run) next(ctx context.Context, audit *side[store.Audited], records *side[store.StoredRecord]) error {
	key := least(audit, records)
	f, record := newFolding(), store.StoredRecord{Key: key}
	for audit.has(key) {
		f.add(audit.take())
		r.summary.Events++
		if r.Progress != nil {
			r.Progress(r.summary.Events)
		}
	}
	if audit.err != nil { // half a trail says nothing
		return audit.err
	}
	for records.has(key) {
		record = records.take()
	}
	r.summary.Subscriptions++
	if err := r.judge(f, record); err != nil {
		return err
	}
	return r.settle(ctx, maxSuspects)
}

// judge reports what is certain, and puts off what may be traffic.
func (r *run) judge(f *folding, record store.StoredRecord) error {
	x, err := r.examine(f, record)
	if err != nil {
		return err
	}
	if x.doubtful() || x.older && r.Fix {
		r.suspects = append(r.suspects, suspect{look: lookAt(f, record), since: r.Now()})
		return nil
	}
	return r.conclude(f, x)
}

func lookAt(f *folding, record store.StoredRecord) look {
	return look{record.Key, record.Revision, len(f.facts) + len(f.unreadable)}
}

// settle looks again at the suspects whose time has come; it waits for the
// oldest where there are more than most.
func (r *run) settle(ctx context.Context, most int) error {
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
		if err := r.again(ctx, s); err != nil {
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

// again looks at one subscription by itself. Only what has not moved since the
// last look is judged: else it is put off once more.
func (r *run) again(ctx context.Context, s suspect) error {
	record, err := r.Store.Record(ctx, s.key)
	if err != nil {
		return err
	}
	f := newFolding()
	for audited, err := range r.Store.Trail(ctx, s.key) {
		if err != nil {
			return err
		}
		f.add(audited)
	}
	x, err := r.examine(f, record)
	if err != nil {
		return err
	}
	if now := lookAt(f, record); x.doubtful() && now != s.look && s.looks < maxLooks {
		r.suspects = append(r.suspects, suspect{now, r.Now(), s.looks + 1})
		return nil
	}
	if r.Fix && x.fixable() {
		written, err := r.Store.Rewrite(ctx, record, f.winner(), f.verdict)
		if err != nil {
			return err
		}
		if !written && s.looks < maxLooks {
			r.suspects = append(r.suspects, suspect{lookAt(f, record), r.Now(), s.looks + 1})
			return nil
		}
		x.fix(written)
	}
	return r.conclude(f, x)
}

// conclude counts and reports.
func (r *run) conclude(f *folding, x examination) error {
	x.count(&r.summary)
	gaps := ordering.Gaps(f.facts)
	r.summary.Gaps += len(gaps)
	for _, finding := range append(x.findings, gapFindings(x.key, gaps)...) {
		if err := r.Report(finding); err != nil {
			return err
		}
	}
	return nil
}
