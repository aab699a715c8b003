package subscriber

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/test/kit"
)

// trails is an audit trail in memory: whatever the query, it finds all events.
type trails struct {
	store.Anonymity // is not asked
	messages        []events.Message
	payload         string
}

func (t trails) Search(_ context.Context, q store.Query) ([]store.Audited, error) {
	var found []store.Audited
	for i, m := range t.messages {
		f := store.Audited{Entry: store.Entry{
			Message: m, Position: store.Position{StreamSequence: uint64(i + 1)},
			References: events.References{SubscriptionID: m.Subject, CustomerID: "cus_1"},
		}}
		if m.Data.Subscription != nil {
			f.Subscription = m.SubscriptionKey()
		}
		found = append(found, f)
	}
	return found[max(len(found)-q.Limit, 0):], nil
}

func (t trails) Payload(context.Context, string) (string, bool, error) {
	return t.payload, t.messages != nil, nil
}

func (t trails) Trail(_ context.Context, key string) iter.Seq2[store.Audited, error] {
	return func(yield func(store.Audited, error) bool) {
		for _, m := range t.messages {
			if m.Data.Subscription != nil && m.SubscriptionKey() == key && !yield(store.Audited{Subscription: key, Entry: store.Entry{Message: m}}, nil) {
				return
			}
		}
	}
}

func changed(m events.Message, changes ...events.Change) events.Message {
	m.Data.Changes = changes
	return m
}

func invoice(sub, id string, second int) events.Message {
	m := kit.Event(sub, id, "updated", second, "")
	m.Type, m.StripeType, m.Data.Subscription = "stripe.invoice.payment_failed", "invoice.payment_failed", nil
	m.Data.Invoice = &events.Invoice{ID: "in_1", Status: "open"}
	return m
}

const day = 24 * 60 * 60

// canceled is the trail of a subscription whose payment failed. The event that led
// to past_due is missing, and the last event came after the end. All ids contain
// infix.
func canceled(infix string) trails {
	sub := "sub_" + infix + "1"
	return trails{messages: []events.Message{
		kit.Event(sub, "evt_"+infix+"1", "created", 0, "incomplete"),
		changed(kit.Update(sub, "evt_"+infix+"2", 9, "incomplete", "active"), events.ChangeActivated),
		invoice(sub, "evt_"+infix+"3", 30*day),
		changed(kit.Update(sub, "evt_"+infix+"4", 37*day, "past_due", "unpaid"), events.ChangeUnpaid),
		changed(kit.Event(sub, "evt_"+infix+"5", "deleted", 44*day, "canceled"), events.ChangeCanceled),
		kit.Update(sub, "evt_"+infix+"6", 44*day+60, "paused", "unpaid"),
	}}
}

func printed(t *testing.T, db searched, a config.Audit, width int) string {
	t.Helper()
	if a.Limit == 0 {
		a.Limit = 100
	}
	var out bytes.Buffer
	if err := audit(t.Context(), db, a, term.Printer{Out: &out, Width: width}, time.Now()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func expect(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.Split(strings.TrimPrefix(want, "\n"), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

func TestAuditOnATerminalGroupsByDay(t *testing.T) {
	t.Parallel()
	expect(t, printed(t, canceled(""), config.Audit{}, 80), `
 UTC       event  type                    what happened       outcome
2026-01-01
 00:00:00  evt_1  created                 incomplete          superseded
 00:00:09  evt_2  updated                 active: activated   superseded
2026-01-31
 00:00:00  evt_3  invoice.payment_failed  in_1 open           recorded
2026-02-07
           gap: events are missing between evt_2 and evt_4
 00:00:00  evt_4  updated                 unpaid: unpaid      superseded
2026-02-14
 00:00:00  evt_5  deleted                 canceled: canceled  won
           evt_5 ended the subscription, and no later event is known.
           gap: events are missing between evt_5 and evt_6
 00:01:00  evt_6  updated                 unpaid              superseded
           evt_5 ended the subscription.

--wide shows everything about each event in its row.
`)
}

func TestAuditOnANarrowTerminalShortensIDs(t *testing.T) {
	t.Parallel()
	expect(t, printed(t, canceled("1MowQVLkdIwHu7ixeraBm86"), config.Audit{Limit: 3}, 80), `
 UTC       event        type     what happened       outcome
2026-02-07
           gap: events are missing between evt_1MowQVLkdIwHu7ixeraBm862 and
           evt_1MowQVLkdIwHu7ixeraBm864
 00:00:00  evt_…aBm864  updated  unpaid: unpaid      superseded
2026-02-14
 00:00:00  evt_…aBm865  deleted  canceled: canceled  won
           evt_1MowQVLkdIwHu7ixeraBm865 ended the subscription, and no later
           event is known.
           gap: events are missing between evt_1MowQVLkdIwHu7ixeraBm865 and
           evt_1MowQVLkdIwHu7ixeraBm866
 00:01:00  evt_…aBm866  updated  unpaid              superseded
           evt_1MowQVLkdIwHu7ixeraBm865 ended the subscription.

These are the newest 3 events; a higher --limit shows older ones. --wide shows
everything about each event in its row.
`)
}

func TestAuditOffATerminalPrintsCompleteRows(t *testing.T) {
	t.Parallel()
	expect(t, printed(t, canceled(""), config.Audit{}, 0), `
 created               event  type                           subscription  customer  what happened       outcome              why
 2026-01-01T00:00:00Z  evt_1  customer.subscription.created  sub_1         cus_1     incomplete          superseded by evt_2  evt_2 is later, of 2026-01-01T00:00:09Z.
 2026-01-01T00:00:09Z  evt_2  customer.subscription.updated  sub_1         cus_1     active: activated   superseded by evt_4  evt_4 is later, of 2026-02-07T00:00:00Z.
 2026-01-31T00:00:00Z  evt_3  invoice.payment_failed         sub_1         cus_1     in_1 open           recorded
 gap: events are missing between evt_2 and evt_4
 2026-02-07T00:00:00Z  evt_4  customer.subscription.updated  sub_1         cus_1     unpaid: unpaid      superseded by evt_5  evt_5 ended the subscription.
 2026-02-14T00:00:00Z  evt_5  customer.subscription.deleted  sub_1         cus_1     canceled: canceled  won                  evt_5 ended the subscription, and no later event is known.
 gap: events are missing between evt_5 and evt_6
 2026-02-14T00:01:00Z  evt_6  customer.subscription.updated  sub_1         cus_1     unpaid              superseded by evt_5  evt_5 ended the subscription.
`)
}

func TestWideAuditIsCompleteOnATerminal(t *testing.T) {
	t.Parallel()
	db := canceled("1MowQVLkdIwHu7ixeraBm86")
	expect(t, printed(t, db, config.Audit{Wide: true}, 80), printed(t, db, config.Audit{}, 0))
}

func TestAuditOfSeveralSubscriptionsNamesThem(t *testing.T) {
	t.Parallel()
	db := trails{messages: []events.Message{
		kit.Event("sub_1", "evt_1", "created", 0, "active"),
		kit.Event("sub_2", "evt_2", "created", 1, "trialing"),
		kit.Event("sub_2", "evt_3", "deleted", 2, "canceled"),
	}}
	expect(t, printed(t, db, config.Audit{}, 80), `
 UTC       event  type     what happened  outcome
2026-01-01 sub_1
 00:00:00  evt_1  created  active         won
           evt_1 has the latest moment, 2026-01-01T00:00:00Z, and no later
           event is known.
2026-01-01 sub_2
 00:00:01  evt_2  created  trialing       superseded
 00:00:02  evt_3  deleted  canceled       won
           evt_3 ended the subscription, and no later event is known.

--wide shows everything about each event in its row.
`)
}

func TestAuditNeverExceedsTheTerminal(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200)
	hostile := kit.Event("sub_"+long, "evt_"+long, "created", 0, "生命"+strings.Repeat("🙂", 60))
	hostile.StripeType = "v1.customer.subscription." + strings.Repeat("生", 50) + "\x1b[2J\n\t"
	after := kit.Update("sub_"+long, "evt_2"+long, 60, "unpaid", strings.Repeat("e\u0301", 90))
	for name, db := range map[string]trails{
		"short": canceled(""), "ids of Stripe": canceled("1MowQVLkdIwHu7ixeraBm86"), "long ids": canceled(long),
		"wide and hostile": {messages: []events.Message{hostile, after}}, "nothing": {},
	} {
		for _, width := range []int{40, 80, 120} {
			for line := range strings.Lines(printed(t, db, config.Audit{Limit: 2}, width)) {
				line = strings.TrimSuffix(line, "\n")
				if got := text.StringWidthWithoutEscSequences(line); got > width || strings.ContainsAny(line, "\x1b\t") {
					t.Errorf("%s: got %d columns, want at most %d and no control characters: %q", name, got, width, line)
				}
			}
		}
	}
}

func TestAuditPrintsJSONLines(t *testing.T) {
	t.Parallel()
	type line struct {
		Kind, ID, Outcome string
		By                string `json:"superseded_by"`
		After, Before     string
		Events, Gaps      int
		More              bool
	}
	var got []line
	for text := range strings.Lines(printed(t, canceled(""), config.Audit{JSON: true, Limit: 4}, 80)) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		got = append(got, l)
	}
	want := []line{
		{Kind: "event", ID: "evt_3", Outcome: "recorded"},
		{Kind: "gap", After: "evt_2", Before: "evt_4"},
		{Kind: "event", ID: "evt_4", Outcome: "superseded", By: "evt_5"},
		{Kind: "event", ID: "evt_5", Outcome: "won"},
		{Kind: "gap", After: "evt_5", Before: "evt_6"},
		{Kind: "event", ID: "evt_6", Outcome: "superseded", By: "evt_5"},
		{Kind: "summary", Events: 4, Gaps: 2, More: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestAuditWithoutMatches(t *testing.T) {
	t.Parallel()
	for width, a := range map[int]config.Audit{0: {}, 80: {}, 81: {Wide: true}} {
		expect(t, printed(t, trails{}, a, width), "no matching events\n")
	}
	expect(t, printed(t, trails{}, config.Audit{JSON: true}, 0), `{"kind":"summary","events":0,"gaps":0,"more":false}`+"\n")
}

func TestAuditPrintsAPayload(t *testing.T) {
	t.Parallel()
	db := canceled("")
	db.payload = "{\"a\": [1]}"
	expect(t, printed(t, db, config.Audit{Payload: "evt_1"}, 0), "{\"a\": [1]}\n")
	expect(t, printed(t, db, config.Audit{Payload: "evt_1", JSON: true}, 80), "{\"a\":[1]}\n")
	expect(t, printed(t, db, config.Audit{Payload: "evt_1"}, 80), "{\n  \"a\": [\n    1\n  ]\n}\n")
	for want, db := range map[string]trails{"no event evt_1": {}, "too large": canceled("")} {
		err := audit(t.Context(), db, config.Audit{Payload: "evt_1"}, term.Printer{Out: new(bytes.Buffer)}, time.Now())
		if err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
