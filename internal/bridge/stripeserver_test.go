package bridge_test

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
)

// simulated is an account with histories of subscriptions with twelve items, which ended
// before now.
func simulated(t *testing.T, faults api.Faults) (stripesim.History, *api.Server, string) {
	t.Helper()
	cfg := stripesim.Config{Seed: 11, Subscriptions: 2, Ties: 1, Kinds: []stripesim.Kind{stripesim.Truncated}}
	h := stripesim.Generate(cfg.Before(time.Now()))
	s := api.New(api.Config{Accounts: []api.Account{{Key: apiKey, History: h}}, Faults: faults})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return h, s, server.URL
}

// Every subscription ends with all of its items, in its true state, although the API fails
// now and then.
func TestSimulatedSubscriptionsAreCompleted(t *testing.T) {
	t.Parallel()
	h, s, base := simulated(t, api.Faults{ErrorEvery: 5})
	r := started(t, "STRIPE_API_KEY="+apiKey, "STRIPE_API_BASE="+base)
	for _, d := range h.Deliveries {
		if d.Type != stripesim.Snapshot {
			r.accept(t, d.Body)
		}
	}
	r.settled(t)
	for _, truth := range h.Truth {
		snapshots := r.snapshots(t, truth.Subscription.ID)
		if len(snapshots) == 0 {
			t.Errorf("%s: got no snapshot", truth.Subscription.ID)
		}
		for _, m := range snapshots {
			got := m.Data.Subscription
			if m.Data.Reason != events.ReasonItemsTruncated || !strings.Contains(string(m.Data.Object), `"has_more":false`) {
				t.Errorf("%s: got reason %q with %s", got.ID, m.Data.Reason, m.Data.Object)
			}
			if got.ItemsTruncated || len(got.Items) != 12 || got.Status != truth.Subscription.Status {
				t.Errorf("%s: got %d items, status %q; want 12, %q", got.ID, len(got.Items), got.Status, truth.Subscription.Status)
			}
		}
	}
	failed := 0
	for _, q := range s.Requests() {
		if q.Status == 500 {
			failed++
		}
	}
	if failed == 0 {
		t.Error("no request has failed")
	}
}

// A thin event is resolved to the event that it names, in the version of the account.
func TestSimulatedThinEventIsResolved(t *testing.T) {
	t.Parallel()
	h, _, base := simulated(t, api.Faults{})
	r := started(t, "STRIPE_API_KEY="+apiKey, "STRIPE_API_BASE="+base)
	newest := newestEvent(h)
	r.accept(t, thin("evt_thin", newest.SubscriptionID, fmt.Sprintf(`,"snapshot_event":%q`, newest.ID)))
	r.resolved(t, "event", 1)
	m, id := r.message(t, 2)
	if id != newest.ID || m.Data.Origin != events.OriginThin || m.StripeAPIVersion != newest.APIVersion {
		t.Errorf("got %s in %s under %s", m.Type, m.StripeAPIVersion, id)
	}
	if m.Type != "subscription.updated" || m.Data.Subscription.ID != newest.SubscriptionID {
		t.Errorf("got %s of %s", m.Type, m.Data.Subscription.ID)
	}
}

func newestEvent(h stripesim.History) stripesim.Delivery {
	for _, d := range slices.Backward(h.Deliveries) {
		if d.Type == "customer.subscription.updated" {
			return d
		}
	}
	panic("no event")
}
