package verify

import (
	"context"
	"errors"
	"iter"
	"maps"
	"time"

	"github.com/billbus/billbus/internal/store"
)

// Shadow compares records with those of a shadow, which a replay has built.
//
// What a record should say follows from the events of both databases: of two readings of
// one event, the one counts that [store.Preferred] prefers. So a record with an event that
// the shadow lacks is not different, only newer; and one that rests on a wrong reading is
// different, also if later events arrived.
type Shadow struct {
	Live ClaimStore
	// Audit is the audit trail of the live database.
	Audit  store.AuditTrail
	Shadow ShadowStore
	// Fix brings the events of the shadow into the audit trail, and writes the records
	// that then follow from it.
	Fix    bool
	Settle time.Duration
	Now    func() time.Time
	Report func(Finding) error

	summary ShadowSummary
}

// ShadowStore is what is read of a shadow.
type ShadowStore interface {
	store.Verification
	store.Rereading
}

// ShadowSummary counts what a comparison found.
type ShadowSummary struct {
	// Subscriptions counts the records of the shadow, and Newer the live records that differ
	// from them as they should, by later events or readings.
	Subscriptions int `json:"subscriptions"`
	Newer         int `json:"newer"`
	Differing     int `json:"differing"`
	Fixed         int `json:"fixed"`
	Unverifiable  int `json:"unverifiable"`
}

// Run compares every record of the shadow. Records that only the live database has are
// left alone.
//
// With Fix, it brings what is said about users and products first. A record is written
// after all events of its subscription are there, so nobody decides it from half of them.
// What the remaining records do not depend on comes last.
func (s *Shadow) Run(ctx context.Context) (ShadowSummary, error) {
	if err := s.bring(ctx, func(a store.Audited) bool { return a.Subscription == "" }); err != nil {
		return s.summary, err
	}
	db := merged{s.Live, s.Audit, s.Shadow}
	r := &run{names: store.NewNames(s.Live), Verifier: &Verifier{
		Store: db, Fix: s.Fix, Settle: s.Settle, Now: s.Now, Report: s.report,
	}}
	err := s.compare(ctx, r)
	s.summary.Differing, s.summary.Fixed, s.summary.Unverifiable = r.summary.Differing, r.summary.Fixed, r.summary.Unverifiable
	s.summary.Newer -= r.summary.Differing + r.summary.Fixed + r.summary.Unverifiable
	if err != nil {
		return s.summary, err
	}
	return s.summary, s.bring(ctx, func(store.Audited) bool { return true })
}

// report leaves out gaps: they are the same with or without a shadow.
func (s *Shadow) report(f Finding) error {
	if f.Kind == Gap {
		return nil
	}
	return s.Report(f)
}

func (s *Shadow) compare(ctx context.Context, r *run) error {
	theirs := newCursor(s.Shadow.Records(ctx), keyOf)
	defer theirs.stop()
	ours := newCursor(s.Live.Records(ctx), keyOf)
	defer ours.stop()
	for !theirs.done {
		want := theirs.take()
		have := store.StoredRecord{Key: want.Key}
		for ours.has(want.Key) {
			if record := ours.take(); record.Key == want.Key {
				have = record
			}
		}
		if ours.err != nil { // the record may be there
			return ours.err
		}
		if err := s.compareOne(ctx, r, have, want); err != nil {
			return err
		}
	}
	if theirs.err != nil {
		return theirs.err
	}
	return r.recheckUntil(ctx, 0)
}

func keyOf(r store.StoredRecord) string { return r.Key }

// compareOne reads the events of a subscription only if its records differ.
func (s *Shadow) compareOne(ctx context.Context, r *run, have, want store.StoredRecord) error {
	s.summary.Subscriptions++
	if have.Exists && maps.Equal(have.Fields, want.Fields) {
		return nil
	}
	s.summary.Newer++ // unless it is reported
	t, err := r.readTrail(ctx, have)
	if err != nil {
		return err
	}
	if err := r.check(ctx, t, have); err != nil {
		return err
	}
	return r.recheckUntil(ctx, maxSuspects)
}

// bring commits those events of the shadow that count more than what the live database
// has of them, and those that name a user who is not known.
func (s *Shadow) bring(ctx context.Context, which func(store.Audited) bool) error {
	if !s.Fix {
		return nil
	}
	for page, err := range pages(s.Shadow.Everything(ctx, time.Time{}), which) {
		if err != nil {
			return err
		}
		stored, err := s.Audit.Messages(ctx, keysOf(page))
		if err != nil {
			return err
		}
		users, err := s.Live.Identified(ctx, keysOf(page))
		if err != nil {
			return err
		}
		for _, a := range page {
			have, found := stored[a.Key()]
			_, known := users[a.Key()]
			_, names := store.IdentityOf(a.Message)
			if found && counts(a, have) || names && !known {
				if _, err := s.Live.Commit(ctx, a.Entry); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// counts reports whether a reading takes the place of the one that is stored. A damaged
// document stays as it is.
func counts(own, stored store.Audited) bool {
	return !own.Unreadable && !stored.Unreadable && store.Preferred(own.Message, stored.Message)
}

// maxPage bounds how many events are compared at a time. They can be large.
const maxPage = 50

// pages yields those elements of a sequence that match, many at a time.
func pages(seq iter.Seq2[store.Audited, error], match func(store.Audited) bool) iter.Seq2[[]store.Audited, error] {
	return func(yield func([]store.Audited, error) bool) {
		var page []store.Audited
		for a, err := range seq {
			if err != nil {
				yield(nil, err)
				return
			}
			if match(a) {
				page = append(page, a)
			}
			if len(page) == maxPage {
				if !yield(page, nil) {
					return
				}
				page = nil
			}
		}
		if len(page) > 0 {
			yield(page, nil)
		}
	}
}

// merged is the live database as it is once it has the events of a shadow.
type merged struct {
	ClaimStore
	audit  store.AuditTrail
	shadow store.Verification
}

// Trail yields each event in the reading that counts.
func (m merged) Trail(ctx context.Context, subscription string) iter.Seq2[store.Audited, error] {
	return func(yield func(store.Audited, error) bool) {
		seen := map[string]bool{}
		for page, err := range m.trailOf(ctx, subscription) {
			if err != nil {
				yield(store.Audited{}, err)
				return
			}
			for _, p := range page {
				seen[p.own.Key()] = true
				if a, ok := p.reading(subscription); ok && !yield(a, nil) {
					return
				}
			}
		}
		for a, err := range m.ClaimStore.Trail(ctx, subscription) {
			if (err != nil || !seen[a.Key()]) && !yield(a, err) {
				return
			}
		}
	}
}

// reading is an event of the shadow, and what the live database has of it.
type reading struct {
	own, stored store.Audited
	found       bool
}

// reading returns the one that counts. It is left out if it shows another subscription,
// because then it stays.
func (r reading) reading(subscription string) (store.Audited, bool) {
	if !r.found || counts(r.own, r.stored) {
		return r.own, true
	}
	return r.stored, r.stored.Subscription == subscription
}

// trailOf yields the events that the shadow has of a subscription.
func (m merged) trailOf(ctx context.Context, subscription string) iter.Seq2[[]reading, error] {
	return func(yield func([]reading, error) bool) {
		for page, err := range pages(m.shadow.Trail(ctx, subscription), func(store.Audited) bool { return true }) {
			var stored map[string]store.Audited
			if err == nil {
				stored, err = m.audit.Messages(ctx, keysOf(page))
			}
			readings := make([]reading, len(page))
			for i, a := range page {
				readings[i].own = a
				readings[i].stored, readings[i].found = stored[a.Key()]
			}
			if !yield(readings, err) {
				return
			}
		}
	}
}

// Identities returns what is said about users, each in the reading that counts.
func (m merged) Identities(ctx context.Context, owners store.Owners) ([]store.Identity, error) {
	list, err := m.ClaimStore.Identities(ctx, owners)
	if err != nil {
		return nil, err
	}
	others, err := m.shadow.Identities(ctx, owners)
	byKey := map[string]store.Identity{}
	for _, i := range append(list, others...) {
		if have, found := byKey[i.Key]; !found || i.Replaces(have) {
			byKey[i.Key] = i
		}
	}
	list = list[:0]
	for _, i := range byKey {
		list = append(list, i)
	}
	return list, err
}

// Rewrite brings the events of the subscription into the audit trail before it writes the
// record. Otherwise the next decision could be made from the readings that it replaces.
func (m merged) Rewrite(ctx context.Context, have store.StoredRecord, d store.Decision) (bool, error) {
	for page, err := range m.trailOf(ctx, have.Key) {
		if err != nil {
			return false, err
		}
		for _, r := range page {
			if err := m.bring(ctx, r); err != nil {
				return false, err
			}
		}
	}
	return m.ClaimStore.Rewrite(ctx, have, d)
}

func (m merged) bring(ctx context.Context, r reading) error {
	if r.own.Unreadable {
		return nil
	}
	if !r.found {
		if err := m.audit.Insert(ctx, []store.Entry{r.own.Entry})[0]; !errors.Is(err, store.ErrExists) {
			return err
		}
	} else if !counts(r.own, r.stored) {
		return nil
	}
	_, _, err := m.audit.Prefer(ctx, r.own.Entry)
	return err
}

var _ store.Verification = merged{}
