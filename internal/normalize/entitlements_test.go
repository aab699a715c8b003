package normalize_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
)

func TestEntitlementsOfEvents(t *testing.T) {
	t.Parallel()
	const name = `"object":"entitlements.active_entitlement_summary"`
	one := []events.Feature{{FeatureID: "feat_1", LookupKey: "key-1"}}
	for given, tt := range map[string]struct {
		object string
		want   *events.Entitlements
	}{
		"list":               {`{` + name + `,"customer":"cus_1","entitlements":{"data":[{"feature":"feat_1","lookup_key":"key-1"}],"has_more":false}}`, &events.Entitlements{CustomerID: "cus_1", Features: one}},
		"expanded":           {`{` + name + `,"customer":{"id":"cus_1"},"entitlements":{"data":[{"feature":{"id":"feat_1"},"lookup_key":"key-1"}]}}`, &events.Entitlements{CustomerID: "cus_1", Features: one}},
		"nothing":            {`{` + name + `,"customer":"cus_1","entitlements":{"data":[],"has_more":false}}`, &events.Entitlements{CustomerID: "cus_1"}},
		"cut off":            {`{` + name + `,"customer":"cus_1","entitlements":{"data":[{"feature":"feat_1","lookup_key":"key-1"}],"has_more":true}}`, &events.Entitlements{CustomerID: "cus_1", Features: one, Truncated: true}},
		"no list":            {`{` + name + `,"customer":"cus_1"}`, &events.Entitlements{CustomerID: "cus_1", Truncated: true}},
		"unreadable list":    {`{` + name + `,"customer":"cus_1","entitlements":{"data":"?"}}`, &events.Entitlements{CustomerID: "cus_1", Truncated: true}},
		"unreadable element": {`{` + name + `,"customer":"cus_1","entitlements":{"data":[7,null,{"feature":"feat_1","lookup_key":"key-1"}]}}`, &events.Entitlements{CustomerID: "cus_1", Features: one, Truncated: true}},
		"another object":     {`{"object":"charge","customer":"cus_1"}`, nil},
	} {
		m := message(t, event("entitlements.active_entitlement_summary.updated", tt.object))
		if diff := cmp.Diff(tt.want, m.Data.Entitlements); diff != "" || m.Type != events.SubjectEntitlements {
			t.Errorf("%s: %s (-want +got):\n%s", given, m.Type, diff)
		}
		if tt.want != nil && m.Subject != "cus_1" {
			t.Errorf("%s: got subject %q", given, m.Subject)
		}
	}
}

func TestSnapshotOfEntitlements(t *testing.T) {
	t.Parallel()
	const raw = `{"object":"entitlements.active_entitlement_summary","customer":"cus_1","livemode":false,
"entitlements":{"object":"list","data":[{"id":"ent_1","feature":"feat_1","lookup_key":"key-1"}],"has_more":false}}`
	r := reading()
	r.Reason, r.BecauseOf = events.ReasonEntitlementsTruncated, "evt_1"
	m := snapshot(t, raw, r)
	want := &events.Entitlements{CustomerID: "cus_1", Features: []events.Feature{{FeatureID: "feat_1", LookupKey: "key-1"}}}
	if diff := cmp.Diff(want, m.Data.Entitlements); diff != "" {
		t.Errorf("entitlements (-want +got):\n%s", diff)
	}
	if m.Type != events.SubjectEntitlementsSnapshot || m.StripeType != "" || m.Subject != "cus_1" || m.Data.Subscription != nil ||
		m.Data.BecauseOf != "evt_1" || m.Data.ReadAt.IsZero() || !json.Valid(m.Data.Object) {
		t.Errorf("got %+v", m)
	}
	other := snapshot(t, strings.ReplaceAll(raw, "key-1", "key-2"), r)
	if other.ID == m.ID || snapshot(t, raw, r).ID != m.ID {
		t.Errorf("got ids %s and %s", m.ID, other.ID)
	}
	again, err := normalizer(t, options()).Again(m, r.ReceivedAt)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m.Data.Entitlements, again.Data.Entitlements); diff != "" || again.Type != m.Type {
		t.Errorf("read again (-first +again):\n%s", diff)
	}
	o := options()
	o.Livemode = normalize.Live
	m, err = normalizer(t, o).Snapshot([]byte(raw), r)
	if err != nil || m.Data.Ignored != events.IgnoredLivemode || m.Data.Entitlements != nil {
		t.Errorf("got %+v, %v of the other mode", m.Data, err)
	}
}
