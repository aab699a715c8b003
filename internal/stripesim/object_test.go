package stripesim_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/stripesim"
)

// An event in another version is what an endpoint of that version gets: the kind renderings
// has both.
func TestEventInAnotherVersion(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 3, Subscriptions: 30, Ties: 1, Kinds: []stripesim.Kind{stripesim.Renderings}})
	first := map[string]stripesim.Delivery{}
	compared := 0
	for _, d := range h.Deliveries {
		was, twice := first[d.ID]
		first[d.ID] = d
		if !twice {
			continue
		}
		compared++
		if diff := cmp.Diff(withoutRequest(t, d.Body), withoutRequest(t, was.In(d.APIVersion))); diff != "" {
			t.Errorf("%s in %s (-delivered +rendered):\n%s", d.ID, d.APIVersion, diff)
		}
	}
	if compared < 30 {
		t.Errorf("compared %d events only", compared)
	}
}

// Each rendering of an event has a request of its own.
func withoutRequest(t *testing.T, body []byte) (event map[string]any) {
	t.Helper()
	if err := json.Unmarshal(body, &event); err != nil {
		t.Fatal(err)
	}
	delete(event, "request")
	return event
}

// Every event can be rendered in every version, and a rendering in its own is the event.
func TestEventsInAllVersions(t *testing.T) {
	t.Parallel()
	h := stripesim.Generate(stripesim.Config{Seed: 4, Subscriptions: 60, Ties: 0.8, Kinds: stripesim.Kinds(), UserIDs: true})
	for _, d := range h.Deliveries {
		if d.Type == stripesim.Snapshot {
			continue
		}
		for _, version := range stripesim.Versions() {
			got := d.In(version)
			var event struct {
				ID, Type   string
				APIVersion string `json:"api_version"`
				Data       struct{ Object struct{ Object string } }
			}
			if err := json.Unmarshal(got, &event); err != nil || event.ID != d.ID || event.Type != d.Type || event.APIVersion != version || event.Data.Object.Object == "" {
				t.Errorf("%s in %s: got %v, %+v", d.ID, version, err, event)
			}
			if version == d.APIVersion && !bytes.Equal(got, d.Body) {
				t.Errorf("%s is not its own rendering", d.ID)
			}
		}
	}
}

// What is old has objects and a truth, and no events.
func TestOldSubscriptionsHaveNoEvents(t *testing.T) {
	t.Parallel()
	all := stripesim.Generate(stripesim.Config{Seed: 5, Subscriptions: 6})
	some := stripesim.Generate(stripesim.Config{Seed: 5, Subscriptions: 6, Old: 4})
	for key, truth := range some.Truth {
		if truth.UserID == "" { // only the event of a Checkout session names the user
			with := all.Truth[key]
			with.UserID = ""
			all.Truth[key] = with
		}
	}
	if diff := cmp.Diff(all.Truth, some.Truth); diff != "" {
		t.Errorf("truth (-all +some):\n%s", diff)
	}
	if len(all.Objects) != len(some.Objects) {
		t.Errorf("got %d states, want %d", len(some.Objects), len(all.Objects))
	}
	withEvents := map[string]bool{}
	for _, d := range some.Deliveries {
		withEvents[d.SubscriptionID] = true
	}
	if len(withEvents) != 2 {
		t.Errorf("got events of %d subscriptions, want 2", len(withEvents))
	}
}
