package bridge_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/test/kit"
)

// entitlements returns a list of n entitlements, beginning with a number.
func entitlements(first, n int, more bool) string {
	var list []string
	for i := first; i < first+n; i++ {
		list = append(list, fmt.Sprintf(`{"id":"ent_%02d","object":"entitlements.active_entitlement","feature":"feat_%02d","livemode":false,"lookup_key":"feature-%02d"}`, i, i, i))
	}
	return fmt.Sprintf(`{"object":"list","data":[%s],"has_more":%v}`, strings.Join(list, ","), more)
}

func summaryEvent(id string, created int64, list string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","type":"entitlements.active_entitlement_summary.updated","created":%d,"livemode":false,
"api_version":"2025-09-30.clover","data":{"object":{"object":"entitlements.active_entitlement_summary","customer":"cus_1","livemode":false,"entitlements":%s}}}`,
		id, created, list)
}

const entitlementsOf = "/v1/entitlements/active_entitlements?limit=100&customer="

// lists returns the facts about entitlements in the stream.
func (r *running) lists(t *testing.T) (facts []ordering.EntitlementsFact, last events.Message) {
	t.Helper()
	for sequence := range r.stored(t) {
		m, _ := r.message(t, sequence+1)
		if fact, ok := ordering.EntitlementsFactOf(m); ok {
			facts, last = append(facts, fact), m
		}
	}
	return facts, last
}

func TestEntitlementsBeyondTheTenthAreCompleted(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	a.On(entitlementsOf+"cus_1", answered(entitlements(1, 12, true)))
	a.On(entitlementsOf+"cus_1&starting_after=ent_12", answered(entitlements(13, 2, false)))
	r := resolving(t, a)
	r.accept(t, summaryEvent("evt_1", 1760000000, entitlements(1, 10, true)))
	r.resolved(t, "snapshot", 1)
	r.accept(t, summaryEvent("evt_1", 1760000000, entitlements(1, 10, true)))
	r.settled(t)
	facts, got := r.lists(t)
	if verdict := ordering.Entitlements(facts); len(facts) != 2 || len(verdict.Features) != 14 || verdict.Truncated || verdict.Ambiguous {
		t.Errorf("got %+v of %d facts, want 14 features of two", verdict, len(facts))
	}
	if got.Type != events.SubjectEntitlementsSnapshot || got.Data.BecauseOf != "evt_1" || got.Data.Reason != events.ReasonEntitlementsTruncated ||
		got.StripeType != "" || got.StripeAPIVersion != "2025-09-30.clover" || !got.Data.ReadAt.Equal(got.Time) || got.Data.Object == nil {
		t.Errorf("got %+v", got)
	}
}

// Whatever Stripe's clock says, a list was read after the event that caused it.
func TestEntitlementsAreNotOlderThanTheirEvent(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	a.On(entitlementsOf+"cus_1", kit.StripeObject(entitlements(1, 12, false)))
	r := resolving(t, a)
	created := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	r.accept(t, summaryEvent("evt_1", created.Unix(), entitlements(1, 10, true)))
	r.resolved(t, "snapshot", 1)
	facts, got := r.lists(t)
	if verdict := ordering.Entitlements(facts); !got.Time.Equal(created) || len(verdict.Features) != 12 || verdict.EventID != got.ID {
		t.Errorf("got %s at %s, want %s", verdict.EventID, got.Time, created)
	}
}

// The upgrade of a subscription makes two summaries in one second.
func TestSummariesOfOneSecondAreDecidedByTheAPI(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	a.On(entitlementsOf+"cus_1", answered(entitlements(2, 1, false)))
	r := resolving(t, a)
	r.accept(t, summaryEvent("evt_2", 1760000000, entitlements(1, 1, false)))
	r.accept(t, summaryEvent("evt_1", 1760000000, entitlements(2, 1, false)))
	r.resolved(t, "snapshot", 1)
	facts, got := r.lists(t)
	want := []events.Feature{{FeatureID: "feat_02", LookupKey: "feature-02"}}
	verdict := ordering.Entitlements(facts)
	if diff := cmp.Diff(want, verdict.Features); diff != "" || verdict.Ambiguous || got.Data.Reason != events.ReasonSameSecond {
		t.Errorf("got %+v because of %q (-want +got):\n%s", verdict, got.Data.Reason, diff)
	}
	if n := len(a.Asked()); n != 1 {
		t.Errorf("asked %d times, want once", n)
	}
}

// A restricted key that may only read subscriptions still resolves thin events.
func TestKeyThatMayNotReadEntitlements(t *testing.T) {
	t.Parallel()
	a := kit.NewStripeAPI(t)
	a.On(entitlementsOf+"cus_1", kit.StripeError(http.StatusForbidden, ""))
	a.On("/v1/events/evt_full", kit.StripeObject(string(event("evt_full"))))
	r := resolving(t, a)
	r.accept(t, summaryEvent("evt_1", 1760000000, entitlements(1, 10, true)))
	r.resolved(t, "rejected", 1)
	r.accept(t, thin("evt_thin", "sub_1", `,"snapshot_event":"evt_full"`))
	r.resolved(t, "event", 1)
}
