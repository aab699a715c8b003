package verify_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/verify"
	"github.com/billbus/billbus/test/kit"
)

// runVerify runs a verification that does not wait.
func runVerify(t *testing.T, store store.Verification, fix bool) (verify.Summary, []verify.Finding) {
	t.Helper()
	var findings []verify.Finding
	v := verify.Verifier{
		Store: store, Fix: fix, Now: time.Now,
		Report: func(f verify.Finding) error { findings = append(findings, f); return nil },
	}
	summary, err := v.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return summary, findings
}

// lives returns three subscriptions with all of their events.
func lives() *memory {
	return newMemory(
		kit.Event("sub_1", "evt_1", "created", 0, "incomplete"), kit.Update("sub_1", "evt_2", 1, "incomplete", "active"),
		kit.Event("sub_2", "evt_3", "created", 0, "trialing"),
		kit.Event("sub_3", "evt_4", "created", 0, "active"), kit.Event("sub_3", "evt_5", "deleted", 9, "canceled"),
	)
}

func TestVerify(t *testing.T) {
	t.Parallel()
	difference := func(sub, field, have, want string) verify.Finding {
		return verify.Finding{Kind: verify.Difference, Key: kit.Key(sub), Field: field, Have: have, Want: want}
	}
	for name, tt := range map[string]struct {
		damage  func(m *memory)
		want    []verify.Finding
		summary verify.Summary
	}{
		"all is correct": {func(*memory) {}, nil, verify.Summary{}},
		"a field differs": {
			func(m *memory) { m.damage(kit.Key("sub_1"), "status", "unpaid") },
			[]verify.Finding{difference("sub_1", "status", "unpaid", "active")},
			verify.Summary{Differing: 1},
		},
		"an extra field and a missing one": {
			func(m *memory) {
				m.damage(kit.Key("sub_3"), "extra", "1")
				delete(m.records[kit.Key("sub_3")].Fields, "status")
			},
			[]verify.Finding{difference("sub_3", "extra", "1", ""), difference("sub_3", "status", "", "canceled")},
			verify.Summary{Differing: 1},
		},
		"an audit trail without a record": {
			func(m *memory) { delete(m.records, kit.Key("sub_2")) },
			[]verify.Finding{difference("sub_2", "record", "", "evt_3")},
			verify.Summary{Differing: 1},
		},
		"a record without any audit": {
			func(m *memory) { delete(m.messages, kit.Key("sub_3")) },
			[]verify.Finding{difference("sub_3", "audit", "", "evt_5")},
			verify.Summary{Differing: 1, Events: -2},
		},
		"the winner's audit document is missing": {
			func(m *memory) { m.messages[kit.Key("sub_3")] = m.messages[kit.Key("sub_3")][:1] },
			[]verify.Finding{{Kind: verify.Unverifiable, Key: kit.Key("sub_3"), Reason: "the audit document of evt_5, which holds its state, is missing"}},
			verify.Summary{Unverifiable: 1, Events: -1},
		},
		"a record of a newer release": {
			func(m *memory) { r := m.records[kit.Key("sub_1")]; r.Rule++; m.records[kit.Key("sub_1")] = r },
			[]verify.Finding{{Kind: verify.Unverifiable, Key: kit.Key("sub_1"), Reason: store.ErrNewerRule.Error()}},
			verify.Summary{Unverifiable: 1},
		},
		"an older rule decided the same": {
			func(m *memory) { m.older("sub_1", "status", "active") }, nil, verify.Summary{Older: 1},
		},
		"an older rule decided otherwise": {
			func(m *memory) { m.older("sub_1", "status", "incomplete") },
			[]verify.Finding{difference("sub_1", "status", "incomplete", "active")},
			verify.Summary{Differing: 1},
		},
		"a gap": {
			func(m *memory) {
				m.messages[kit.Key("sub_2")] = append(m.messages[kit.Key("sub_2")], kit.Update("sub_2", "evt_9", 90, "active", "unpaid"))
				m.decide(kit.Key("sub_2"))
			},
			[]verify.Finding{{Kind: verify.Gap, Key: kit.Key("sub_2"), After: "evt_3", Before: "evt_9", Since: "2026-01-01T00:00:00Z", Until: "2026-01-01T00:01:30Z"}},
			verify.Summary{Gaps: 1, Events: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := lives()
			tt.damage(m)
			tt.summary.Subscriptions = 3
			tt.summary.Events += 5
			summary, findings := runVerify(t, m, false)
			if diff := cmp.Diff(tt.summary, summary); diff != "" {
				t.Errorf("summary (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, findings); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

func (m *memory) older(sub, field, value string) {
	m.damage(kit.Key(sub), field, value)
	m.damage(kit.Key(sub), "version.rule", "1")
	r := m.records[kit.Key(sub)]
	r.Rule = ordering.Rule - 1
	m.records[kit.Key(sub)] = r
}

func TestFixWritesWhatTheAuditSays(t *testing.T) {
	t.Parallel()
	m, want := lives(), lives()
	m.damage(kit.Key("sub_1"), "status", "unpaid")
	delete(m.records, kit.Key("sub_2"))
	m.older("sub_3", "status", "canceled")
	summary, findings := runVerify(t, m, true)
	if summary.Fixed != 2 || summary.Differing != 0 || summary.Older != 0 || len(findings) != 2 || !findings[0].Fixed {
		t.Errorf("got %+v, %+v", summary, findings)
	}
	for sub, record := range want.records {
		if diff := cmp.Diff(record.Fields, m.records[sub].Fields); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sub, diff)
		}
	}
	if summary, findings := runVerify(t, m, true); summary.Fixed+summary.Differing != 0 || findings != nil {
		t.Errorf("afterwards: got %+v, %+v", summary, findings)
	}
}

// A record without any audit document is reported, and never removed.
func TestFixRemovesNothing(t *testing.T) {
	t.Parallel()
	m := lives()
	delete(m.messages, kit.Key("sub_3"))
	if summary, _ := runVerify(t, m, true); summary.Differing != 1 || !m.records[kit.Key("sub_3")].Exists {
		t.Errorf("got %+v, record %+v", summary, m.records[kit.Key("sub_3")])
	}
}

func TestFixIncludesEventsThatTheOldRecordCovered(t *testing.T) {
	t.Parallel()
	m := lives()
	m.damage(kit.Key("sub_1"), "status", "unpaid")
	others := 0
	m.beforeRewrite = func(key string) {
		if others++; others == 1 { // it is in the audit trail, and its writer had nothing to write
			m.messages[key] = append(m.messages[key], kit.Update("sub_1", "evt_9", 90, "active", "past_due"))
		}
	}
	summary, _ := runVerify(t, m, true)
	if got := m.records[kit.Key("sub_1")]; got.EventID != "evt_9" || summary.Fixed != 1 || others < 2 {
		t.Errorf("got %+v, %+v after %d rewrites, want the record of evt_9", got, summary, others)
	}
}

// Another writer wins, and the record is checked again.
func TestFixGivesWayToTraffic(t *testing.T) {
	t.Parallel()
	m := lives()
	m.damage(kit.Key("sub_1"), "status", "unpaid")
	others := 0
	m.beforeRewrite = func(key string) {
		if others++; others == 1 {
			m.messages[key] = append(m.messages[key], kit.Update("sub_1", "evt_9", 90, "active", "past_due"))
			m.decide(key)
		}
	}
	summary, findings := runVerify(t, m, true)
	if got := m.records[kit.Key("sub_1")]; got.EventID != "evt_9" || got.Fields["status"] != "past_due" || summary.Differing+summary.Fixed != 0 || findings != nil {
		t.Errorf("got %+v, %+v, %+v", got, summary, findings)
	}
}

// behind is a store whose record catches up with the audit trail before it is read again.
type behind struct{ *memory }

func (b behind) Record(ctx context.Context, key string) (store.StoredRecord, error) {
	b.decide(key)
	return b.memory.Record(ctx, key)
}

func TestTrafficIsNoDifference(t *testing.T) {
	t.Parallel()
	m := lives()
	m.messages[kit.Key("sub_2")] = append(m.messages[kit.Key("sub_2")], kit.Update("sub_2", "evt_9", 90, "trialing", "active"))
	if summary, findings := runVerify(t, behind{m}, false); summary.Differing != 0 || findings != nil {
		t.Errorf("got %+v, %+v", summary, findings)
	}
}

// broken is a store whose audit ends in an error.
type broken struct{ *memory }

var errBroken = errors.New("the connection is gone")

func (b broken) Audit(ctx context.Context) iter.Seq2[store.Audited, error] {
	return func(yield func(store.Audited, error) bool) {
		for audited, err := range b.memory.Audit(ctx) {
			if yield(audited, err) {
				yield(store.Audited{}, errBroken)
			}
			return
		}
	}
}

func TestVerifyFailsWithItsSource(t *testing.T) {
	t.Parallel()
	v := verify.Verifier{Store: broken{lives()}, Now: time.Now, Report: func(f verify.Finding) error {
		t.Errorf("an incomplete trail was judged: %+v", f)
		return nil
	}}
	if _, err := v.Run(t.Context()); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v", err, errBroken)
	}
}

// large is a store that generates its events while they are read, and counts those that
// are still in memory.
type large struct {
	*memory
	subscriptions, each int
	held                atomic.Int64
}

func (l *large) message(sub, n int) events.Message {
	states := []string{"active", "past_due"}
	m := kit.Update(subject(sub), subject(sub)+"_"+string(rune('a'+n)), 100*n, states[(n+1)%2], states[n%2])
	l.held.Add(1)
	runtime.AddCleanup(m.Data.Subscription, func(held *atomic.Int64) { held.Add(-1) }, &l.held)
	return m
}

func (l *large) Audit(context.Context) iter.Seq2[store.Audited, error] {
	return func(yield func(store.Audited, error) bool) {
		for sub := range l.subscriptions {
			for n := range l.each {
				if !yield(store.Audited{Subscription: kit.Key(subject(sub)), Entry: store.Entry{Message: l.message(sub, n)}}, nil) {
					return
				}
			}
		}
	}
}

func (l *large) Records(context.Context) iter.Seq2[store.StoredRecord, error] {
	return func(yield func(store.StoredRecord, error) bool) {
		for sub := range l.subscriptions {
			one := newMemory(l.message(sub, l.each-2), l.message(sub, l.each-1))
			if !yield(one.records[kit.Key(subject(sub))], nil) {
				return
			}
		}
	}
}

// TestVerifyHoldsOneSubscription reads 100,000 events of 5,000 subscriptions and counts
// how many of them are in memory.
func TestVerifyHoldsOneSubscription(t *testing.T) {
	t.Parallel()
	l := &large{memory: newMemory(), subscriptions: 5000, each: 20}
	most := int64(0)
	v := verify.Verifier{
		Store: l, Now: time.Now,
		Report: func(f verify.Finding) error { t.Fatalf("got %+v", f); return nil },
		Progress: func(n int) {
			if n%25_000 == 0 {
				runtime.GC()
				runtime.GC() // cleanups run after the first
				most = max(most, l.held.Load())
			}
		},
	}
	summary, err := v.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(verify.Summary{Subscriptions: 5000, Events: 100_000}, summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if most > 2000 {
		t.Errorf("%d events were held at once", most)
	}
	t.Logf("at most %d events were held at once", most)
}
