package handlers_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// summary returns an event that lists features; "…" says that the list is cut off.
func summary(id string, second int, features string) events.Message {
	m := subscriptionMessage()
	m.ID, m.Type, m.StripeType, m.Subject = id, events.SubjectEntitlements, "entitlements.active_entitlement_summary.updated", "cus_1"
	m.Time = time.Date(2026, 1, 2, 3, 4, second, 0, time.UTC)
	m.Data.Subscription, m.Data.Changes, m.Data.Previous = nil, nil, nil
	m.Data.Entitlements = entitled(features)
	return m
}

func entitled(features string) *events.Entitlements {
	e := &events.Entitlements{CustomerID: "cus_1"}
	for key := range strings.FieldsSeq(features) {
		if key == "…" {
			e.Truncated = true
			continue
		}
		e.Features = append(e.Features, events.Feature{FeatureID: "feat_" + key, LookupKey: key})
	}
	return e
}

// read returns the entitlements as they were read from Stripe.
func read(second int, features string) *events.Message {
	m := summary("snap_"+features, second, features)
	m.Type, m.StripeType, m.StripeEndpoint = events.SubjectEntitlementsSnapshot, "", ""
	m.Data.Event, m.Data.Object, m.Data.Origin, m.Data.ReadAt = nil, json.RawMessage(`{}`), events.OriginThin, m.Time
	return &m
}

func TestEntitlementsAreCompleted(t *testing.T) {
	t.Parallel()
	ignored := ignoredMessage(*read(9, "x"))
	for name, tt := range map[string]struct {
		events   []events.Message
		snapshot *events.Message
		requests string // reasons
		outcomes string
	}{
		"complete":              {[]events.Message{summary("evt_1", 1, "x"), summary("evt_2", 2, "y")}, read(9, "x"), "", ""},
		"cut off":               {[]events.Message{summary("evt_1", 1, "x …")}, read(9, "x y"), "entitlements_truncated", "snapshot"},
		"cut off, twice":        {[]events.Message{summary("evt_1", 1, "x …"), summary("evt_1", 1, "x …")}, read(9, "x y"), "entitlements_truncated", "snapshot"},
		"newer one is known":    {[]events.Message{summary("evt_2", 2, "x"), summary("evt_1", 1, "x …")}, read(9, "x y"), "", ""},
		"same second":           {[]events.Message{summary("evt_1", 1, "x"), summary("evt_2", 1, "y")}, read(9, "y"), "same_second", "snapshot"},
		"same second, the same": {[]events.Message{summary("evt_1", 1, "x y"), summary("evt_2", 1, "y x")}, read(9, "y"), "", ""},
		"second of the reading": {[]events.Message{summary("evt_1", 1, "x …"), summary("evt_2", 9, "z")}, read(9, "x y"), "entitlements_truncated same_second same_second", "snapshot snapshot"},
		"redelivered":           {[]events.Message{summary("evt_1", 1, "x"), summary("evt_1", 1, "x")}, read(9, "x"), "", ""},
		"customer is gone":      {[]events.Message{summary("evt_1", 1, "x …")}, nil, "entitlements_truncated", "missing"},
		"not admitted":          {[]events.Message{summary("evt_1", 1, "x …")}, &ignored, "entitlements_truncated", "ignored"},
		"without a key":         {[]events.Message{ofAccount(summary("evt_1", 1, "x …"), "acct_without_key")}, read(9, "x y"), "", "no_key"},
		"complete, no key":      {[]events.Message{ofAccount(summary("evt_1", 1, "x"), "acct_without_key")}, read(9, "x y"), "", ""},
		"ignored":               {[]events.Message{ignoredMessage(summary("evt_1", 1, "x …"))}, read(9, "x y"), "", ""},
		"of two accounts":       {[]events.Message{summary("evt_1", 1, "x"), ofAccount(summary("evt_2", 1, "y"), "acct_1")}, read(9, "x"), "", ""},
		"snapshot":              {[]events.Message{*read(9, "x")}, read(9, "x"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResolve(t, &fakeStripe{snapshot: tt.snapshot})
			for _, m := range tt.events {
				if err := r.handle(t, m); err != nil {
					t.Fatal(err)
				}
			}
			var reasons []string
			for _, request := range r.stripe.requests {
				reason, about, _ := strings.Cut(request, " ")
				if reasons = append(reasons, reason); about != "cus_1 of /stripe/platform/live" {
					t.Errorf("read %s", about)
				}
			}
			if got := strings.Join(reasons, " "); got != tt.requests {
				t.Errorf("got requests because of %q, want %q", got, tt.requests)
			}
			if got := strings.ReplaceAll(strings.Join(r.calls.list(), " "), "resolved ", ""); got != tt.outcomes {
				t.Errorf("counted %q, want %q", got, tt.outcomes)
			}
			if got, want := len(r.published), strings.Count(tt.outcomes, "snapshot"); got != want {
				t.Errorf("published %d messages, want %d", got, want)
			}
		})
	}
}

// If Stripe answers within the second of the event, nobody can say which of the two is
// later, unless it is asked again.
func TestEntitlementsAreReadAfterTheSecondOfTheirEvent(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{snapshot: read(1, "x")})
	if err := r.handle(t, summary("evt_1", 1, "x …")); err != nil {
		t.Fatal(err)
	}
	if got := len(r.stripe.requests); got != 2 || len(r.published) != 1 {
		t.Errorf("got %d requests and %d messages, want two and one", got, len(r.published))
	}
}

// While an event was being handled, another worker has handled one of the same second.
func TestWorkersSeeEventsOfOneSecond(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{snapshot: read(9, "y")})
	r.bucket.before = func() {
		r.bucket.before = nil
		if err := r.handle(t, summary("evt_1", 1, "x")); err != nil {
			t.Error(err)
		}
	}
	if err := r.handle(t, summary("evt_2", 1, "y")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"same_second cus_1 of /stripe/platform/live"}, r.stripe.requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestEntitlementsFailures(t *testing.T) {
	t.Parallel()
	for name, arrange := range map[string]func(*resolveTest){
		"bucket": func(r *resolveTest) { r.bucket.fail = fault.New(fault.Transient, fault.BucketFailed, errTest) },
		"Stripe": func(r *resolveTest) { r.stripe.err = errTest },
		"stream": func(r *resolveTest) { r.fail = errTest },
	} {
		r := newResolve(t, &fakeStripe{snapshot: read(9, "x y")})
		arrange(r)
		if err := r.handle(t, summary("evt_1", 1, "x …")); !errors.Is(err, errTest) {
			t.Errorf("%s: got %v", name, err)
		}
		r.bucket.fail, r.stripe.err, r.fail = nil, nil, nil
		if err := r.handle(t, summary("evt_1", 1, "x …")); err != nil || len(r.published) != 1 {
			t.Errorf("%s: got %v and %d messages later, want the list", name, err, len(r.published))
		}
	}
}

// A restricted key may not be allowed to read entitlements. That does not hold up thin events.
func TestEntitlementsThatTheKeyMayNotRead(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{err: fault.New(fault.Transient, fault.NoPermission, errTest)})
	if err := r.handle(t, summary("evt_1", 1, "x …")); err != nil {
		t.Errorf("got %v", err)
	}
	if line := r.log.line(t); line["level"] != "WARN" || line["reason"] != "no_permission" || line["outcome"] != "rejected" {
		t.Errorf("got line %v", line)
	}
}

func TestEntitlementsThatAreTooLarge(t *testing.T) {
	t.Parallel()
	r := newResolve(t, &fakeStripe{snapshot: read(9, "x y")})
	r.limit = 100
	if err := r.handle(t, summary("evt_1", 1, "x …")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"resolved rejected"}, r.calls.list()); diff != "" || len(r.published) != 0 {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}
