package events_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

func TestRecordIsTheDocumentAsJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	want := events.Record{
		Subscription: *fullMessage().Data.Subscription, UserIDSource: events.IdentityLink, UserIDConflict: true,
		Version: events.RecordVersion{
			EventID: "evt_1", EventType: "customer.subscription.updated", EventCreated: at, Terminal: true, N: 7, Rule: 3, Reread: true,
			Known: []events.KnownEvent{{
				EventID: "evt_1", Type: "customer.subscription.updated", APIVersion: "2026-10-28.endive", Moment: at, Terminal: true, Request: "req_1",
				First: true, Because: "evt_0", ItemsTruncated: true, Before: events.StateDigest{Full: "a", Core: "b", Fields: "c"}, After: events.StateDigest{Full: "d", Core: "e"},
			}},
		},
		Ordering: "ambiguous", Explanation: "because", FirstSeenAt: at, UpdatedAt: at, FormerAccess: []string{"access.live.platform.user.1"},
	}
	encoded, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(encoded, &fields); err != nil {
		t.Fatal(err)
	}
	if fields["id"] != nil || fields["subscription_id"] != want.ID || fields["status"] != want.Status || !strings.HasPrefix(string(encoded), `{"subscription_id":`) {
		t.Errorf("got %s", encoded)
	}
	var got events.Record
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"subscription_id":1}`), &got); err == nil {
		t.Error("an id that is a number can be read")
	}
}

func TestKeysOfTheStateView(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		events.StateKey(true, "", "sub_1"):                 "live.platform.sub_1",
		events.StateKey(false, "acct_1", "sub_1"):          "test.acct_1.sub_1",
		events.CustomerAccessKey(true, "", "cus_1"):        "access.live.platform.customer.cus_1",
		events.UserAccessKey(true, "acct_1", "550e8400-e"): "access.live.acct_1.user.550e8400-e",
		events.UserAccessKey(true, "", "a@b.example"):      "access.live.platform.user." + events.SafeID("a@b.example"),
		events.UserAccessKey(true, "", "a.b"):              "access.live.platform.user." + events.SafeID("a.b"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestAccessSubject(t *testing.T) {
	t.Parallel()
	document := func(access, subscription string) events.AccessDocument {
		return events.AccessDocument{Access: access, SubscriptionID: subscription}
	}
	none, granted, grace := document("none", ""), document("granted", "sub_1"), document("grace", "sub_1")
	for name, tt := range map[string]struct {
		before, after events.AccessDocument
		want          string
	}{
		"the first access":       {events.AccessDocument{}, granted, "access.granted"},
		"nothing at first":       {events.AccessDocument{}, none, ""},
		"access again":           {none, grace, "access.granted"},
		"a late payment":         {granted, grace, "access.changed"},
		"another subscription":   {granted, document("granted", "sub_2"), "access.changed"},
		"the end":                {grace, none, "access.revoked"},
		"the same":               {granted, granted, ""},
		"none, of somebody else": {none, events.AccessDocument{Access: "none", UserID: "1"}, ""},
	} {
		if got := events.AccessSubject(tt.before, tt.after); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
