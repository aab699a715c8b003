package handlers_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

type commit func(ctx context.Context, entry store.Entry) (store.Effect, error)

func (f commit) Commit(ctx context.Context, entry store.Entry) (store.Effect, error) {
	return f(ctx, entry)
}

type commitTest struct {
	handlers.CommitConfig
	calls   calls
	logs    logs
	entries []store.Entry
}

func newCommitTest(effect store.Effect, err error) *commitTest {
	r := &commitTest{}
	r.CommitConfig = handlers.CommitConfig{
		Store: commit(func(_ context.Context, entry store.Entry) (store.Effect, error) {
			r.entries = append(r.entries, entry)
			return effect, err
		}),
		Position: func(*message.Message) store.Position {
			return store.Position{StreamSequence: 7, StoredAt: time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)}
		},
		References: func(json.RawMessage) events.References { return events.References{} },
		Now:        newClock().read, Metrics: &r.calls, Log: r.logs.logger(),
	}
	return r
}

func (r *commitTest) handler(t *testing.T) *handlers.Commit {
	t.Helper()
	h, err := handlers.NewCommit(r.CommitConfig)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (r *commitTest) handle(t *testing.T, msg *message.Message) error {
	t.Helper()
	return r.handler(t).Handle(msg)
}

func delivered(t *testing.T, m events.Message) *message.Message {
	t.Helper()
	payload, err := events.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return message.NewMessage("uuid", payload)
}

func TestCommitReports(t *testing.T) {
	t.Parallel()
	refused := fault.New(fault.Permanent, fault.TooLarge, errors.New("too large"))
	unreachable := fault.New(fault.Transient, fault.DatabaseUnreachable, errors.New("timeout"))
	unmarked := errors.New("unexpected")
	cases := map[string]struct {
		message events.Message
		effect  store.Effect
		err     error
		counts  []string
		level   string
		outcome string
		reason  any
	}{
		"applied":           {subscriptionMessage(), store.Applied, nil, []string{"done applied 1ms", "lag 10.002s"}, "INFO", "applied", nil},
		"recorded":          {subscriptionMessage(), store.Recorded, nil, []string{"done recorded 1ms"}, "INFO", "recorded", nil},
		"duplicate":         {subscriptionMessage(), store.Duplicate, nil, []string{"done duplicate 1ms"}, "INFO", "duplicate", nil},
		"refused":           {subscriptionMessage(), "", refused, []string{"done permanent 1ms"}, "WARN", "permanent", "too_large"},
		"store unreachable": {subscriptionMessage(), "", unreachable, []string{"done transient 1ms"}, "WARN", "transient", "database_unreachable"},
		"unmarked":          {subscriptionMessage(), store.Applied, unmarked, []string{"done transient 1ms"}, "WARN", "transient", "other"},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newCommitTest(tt.effect, tt.err)
			err := r.handle(t, delivered(t, tt.message))
			if !errors.Is(err, tt.err) || fault.KindOf(err) != fault.KindOf(tt.err) {
				t.Errorf("got error %v of kind %v, want the error of the store", err, fault.KindOf(err))
			}
			if diff := cmp.Diff(tt.counts, r.calls.list()); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
			line := r.logs.line(t)
			want := map[string]any{
				"level": tt.level, "msg": "message", "outcome": tt.outcome, "sequence": 7.0, "duration_ms": 1.0,
				"event_id": "evt_1", "type": "customer.subscription.updated", "subject": "subscription.updated", "subscription_id": "sub_1",
			}
			if tt.err != nil {
				want["reason"], want["error"] = tt.reason, tt.err.Error()
			}
			if tt.outcome == "transient" {
				want["count"] = 1.0
			}
			if diff := cmp.Diff(want, line); diff != "" {
				t.Errorf("line (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCommitPassesTheEntryToTheStore(t *testing.T) {
	t.Parallel()
	withSubscription := subscriptionMessage()
	sub := withSubscription.Data.Subscription
	sub.CustomerID, sub.CustomerAccountID, sub.LatestInvoiceID, sub.ScheduleID = "cus_1", "acct_1", "in_1", "sched_1"
	without := subscriptionMessage()
	without.Type, without.Data.Subscription = "stripe.invoice.paid", nil
	link, entitled := without, summary("evt_1", 1, "x")
	link.Type, link.StripeType, link.Data.Event = events.SubjectUserLinked, "", nil
	link.Data.Identity = &events.Identity{UserID: "u1", Source: events.IdentityLink, CustomerID: "cus_1", CustomerAccountID: "acct_1"}
	full := events.References{
		ObjectID: "in_2", SubscriptionID: "sub_2", CustomerID: "cus_2", CustomerAccountID: "acct_2",
		RelatedIDs: []string{"sched_1", "in_1"}, RequestID: "req_2", IdempotencyKey: "key_2",
	}
	cases := map[string]struct {
		message    events.Message
		referenced events.References
		want       events.References
	}{
		"ids in the event": {withSubscription, full, full},
		"event omitted": {
			withSubscription,
			events.References{},
			events.References{ObjectID: "sub_1", SubscriptionID: "sub_1", CustomerID: "cus_1", CustomerAccountID: "acct_1", RelatedIDs: []string{"in_1", "sched_1"}},
		},
		"link":         {link, events.References{}, events.References{CustomerID: "cus_1", CustomerAccountID: "acct_1"}},
		"entitlements": {entitled, events.References{}, events.References{CustomerID: "cus_1"}},
		"no ids":       {without, events.References{}, events.References{}},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newCommitTest(store.Applied, nil)
			r.References = func(event json.RawMessage) events.References {
				if string(event) != string(tt.message.Data.Event) {
					t.Errorf("References: got %s", event)
				}
				return tt.referenced
			}
			if err := r.handle(t, delivered(t, tt.message)); err != nil {
				t.Fatal(err)
			}
			want := []store.Entry{{
				Message: tt.message, References: tt.want,
				Position: store.Position{StreamSequence: 7, StoredAt: time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)},
				Fact:     store.FactOf(tt.message),
			}}
			if diff := cmp.Diff(want, r.entries); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnreadableMessageIsPermanent(t *testing.T) {
	t.Parallel()
	const secret = "jane@example.com"
	newer := strings.Replace(string(delivered(t, subscriptionMessage()).Payload), `"schema_version":1`, `"schema_version":2`, 1)
	hostileType := strings.Replace(newer, `"type":"subscription.updated"`, `"type":"`+secret+`"`, 1)
	for name, payload := range map[string]string{
		"not JSON":     secret,
		"other JSON":   `{"email":"` + secret + `"}`,
		"newer schema": newer,
		"hostile type": hostileType,
		"empty":        "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newCommitTest(store.Applied, nil)
			err := r.handle(t, message.NewMessage("uuid", []byte(payload)))
			if fault.KindOf(err) != fault.Permanent || fault.ReasonOf(err) != fault.MessageUnreadable {
				t.Errorf("got %v of kind %v for %q, want permanent for unreadable", err, fault.KindOf(err), fault.ReasonOf(err))
			}
			if len(r.entries) != 0 {
				t.Error("stored an unreadable message")
			}
			if diff := cmp.Diff([]string{"done permanent 1ms"}, r.calls.list()); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
			line := r.logs.line(t)
			if line["sequence"] != 7.0 || line["outcome"] != "permanent" || line["reason"] != "unreadable" {
				t.Errorf("line: got %v", line)
			}
			if strings.Contains(r.logs.String(), secret) {
				t.Errorf("the log quotes the payload: %s", r.logs.String())
			}
		})
	}
}

func TestCommitLogsNoPayload(t *testing.T) {
	t.Parallel()
	const secret = "jane@example.com"
	m := subscriptionMessage()
	m.ID, m.StripeType, m.StripeEndpoint, m.Subject = secret, secret, secret, secret
	m.StripeAccount, m.Source = secret, events.Source(true, secret)
	m.Data.Subscription.ID, m.Data.Subscription.UserID = secret, secret
	m.Data.Event = json.RawMessage(`"` + secret + `"`)
	for name, err := range map[string]error{"applied": nil, "failed": fault.New(fault.Transient, fault.DatabaseFailed, errors.New("code 1"))} {
		r := newCommitTest(store.Applied, err)
		if got := r.handle(t, delivered(t, m)); !errors.Is(got, err) {
			t.Fatalf("%s: got %v", name, got)
		}
		if strings.Contains(r.logs.String(), secret) {
			t.Errorf("%s: the log quotes the payload: %s", name, r.logs.String())
		}
		if got, want := r.logs.line(t)["event_id"], events.SafeID(secret); got != want {
			t.Errorf("%s: event_id: got %v, want %v", name, got, want)
		}
	}
}

// The subscriber cancels the contexts of its messages when it closes. The store finishes what
// has begun.
func TestCommitTellsTheStoreThatTheSubscriberCloses(t *testing.T) {
	t.Parallel()
	r := newCommitTest(store.Applied, nil)
	var got context.Context
	r.Store = commit(func(ctx context.Context, _ store.Entry) (store.Effect, error) {
		got = ctx
		return store.Applied, nil
	})
	msg := delivered(t, subscriptionMessage())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	msg.SetContext(ctx)
	if err := r.handle(t, msg); err != nil {
		t.Errorf("got %v, want the write finished", err)
	}
	if got.Err() == nil {
		t.Error("the store is not told")
	}
	if _, ok := got.Deadline(); ok {
		t.Error("the message has a deadline, whatever waits before it")
	}
}

func TestNewCommitNeedsEveryCollaborator(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*handlers.CommitConfig){
		"store":      func(c *handlers.CommitConfig) { c.Store = nil },
		"position":   func(c *handlers.CommitConfig) { c.Position = nil },
		"references": func(c *handlers.CommitConfig) { c.References = nil },
		"clock":      func(c *handlers.CommitConfig) { c.Now = nil },
		"metrics":    func(c *handlers.CommitConfig) { c.Metrics = nil },
		"log":        func(c *handlers.CommitConfig) { c.Log = nil },
	} {
		cfg := newCommitTest(store.Applied, nil).CommitConfig
		remove(&cfg)
		if _, err := handlers.NewCommit(cfg); err == nil {
			t.Errorf("without %s: got no error", name)
		}
	}
}

// While the database is unreachable, every message in flight fails for the same reason.
func TestCommitLogsAFailureThatGoesOnOnceAMinute(t *testing.T) {
	t.Parallel()
	r := newCommitTest("", fault.New(fault.Transient, fault.DatabaseUnreachable, errors.New("connection refused")))
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r.Now = func() time.Time { return now }
	r.Log = slog.New(slog.NewJSONHandler(&r.logs, nil))
	h, err := handlers.NewCommit(r.CommitConfig)
	if err != nil {
		t.Fatal(err)
	}
	msg := delivered(t, subscriptionMessage())
	for range 240 { // two minutes
		if err := h.Handle(msg); err == nil {
			t.Fatal("got no error")
		}
		now = now.Add(500 * time.Millisecond)
	}
	lines := strings.Split(strings.TrimSpace(r.logs.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], `"count":120`) {
		t.Errorf("got %d lines, want 2 and the second with the number of the others:\n%s", len(lines), r.logs.String())
	}
	if got := len(r.calls.list()); got != 240 {
		t.Errorf("got %d failures counted, want 240", got)
	}
}

func TestLinesNameTheSubscription(t *testing.T) {
	t.Parallel()
	invoice, session, thin, hostile := subscriptionMessage(), subscriptionMessage(), subscriptionMessage(), subscriptionMessage()
	invoice.Type, invoice.StripeType = "stripe.invoice.paid", "invoice.paid"
	invoice.Data.Subscription, invoice.Data.Invoice = nil, &events.Invoice{ID: "in_1", SubscriptionID: "sub_2"}
	session.Type, session.StripeType = "stripe.checkout.session.completed", "checkout.session.completed"
	session.Data.Subscription, session.Data.CheckoutSession = nil, &events.CheckoutSession{ID: "cs_1", SubscriptionID: "sub_3"}
	thin.Type, thin.StripeType = "stripe.v1.customer.subscription.updated", "v1.customer.subscription.updated"
	thin.Data.Subscription, thin.Subject = nil, "sub_4"
	hostile.Type, hostile.StripeType = "stripe.unknown", "jane@example.com"
	hostile.Data.Subscription = nil
	for name, tt := range map[string]struct {
		message                  events.Message
		stripeType, subscription any
	}{
		"subscription":     {subscriptionMessage(), "customer.subscription.updated", "sub_1"},
		"invoice":          {invoice, "invoice.paid", "sub_2"},
		"checkout session": {session, "checkout.session.completed", "sub_3"},
		"thin event":       {thin, "v1.customer.subscription.updated", "sub_4"},
		"unknown type":     {hostile, "unknown", nil},
	} {
		r := newCommitTest(store.Recorded, nil)
		if err := r.handle(t, delivered(t, tt.message)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		line := r.logs.line(t)
		if line["type"] != tt.stripeType || line["subject"] != tt.message.Type || line["subscription_id"] != tt.subscription {
			t.Errorf("%s: got %v", name, line)
		}
	}
}
