package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
)

const key = "sk_test_hunter2"

// history is shared, because generating takes long and nothing changes it.
var history = sync.OnceValue(func() stripesim.History {
	return stripesim.Generate(stripesim.Config{
		Seed: 7, Subscriptions: 60, Ties: 0.3, UserIDs: true,
		Kinds: []stripesim.Kind{stripesim.Truncated, stripesim.Renderings, stripesim.TestClock, stripesim.Chain},
	})
})

// end is when the last event of the history has happened.
func end(h stripesim.History) time.Time {
	var last time.Time
	for _, d := range h.Deliveries {
		if d.Created.After(last) {
			last = d.Created
		}
	}
	return last.Add(time.Minute)
}

// middle is in the middle of the history, when most of its subscriptions are new.
var middle = time.Date(2025, time.February, 20, 0, 0, 0, 0, time.UTC)

// serve starts a server with one account.
func serve(t *testing.T, change ...func(*api.Config)) (*api.Server, string) {
	t.Helper()
	cfg := api.Config{Accounts: []api.Account{{Key: key, History: history()}}, Now: func() time.Time { return middle }}
	for _, c := range change {
		c(&cfg)
	}
	s := api.New(cfg)
	server := httptest.NewServer(s)
	t.Cleanup(func() { server.Close(); http.DefaultClient.CloseIdleConnections() })
	return s, server.URL
}

type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, uri string, form url.Values, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, uri, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body json.RawMessage
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func get(t *testing.T, uri string, headers ...string) answer {
	t.Helper()
	return send(t, http.MethodGet, uri, nil, headers...)
}

// object is what the tests read of any object.
type object struct {
	ID, Object, Status, Type, Customer, Subscription, Secret, URL string
	APIVersion                                                    string `json:"api_version"`
	TestClock                                                     string `json:"test_clock"`
	LookupKey                                                     string `json:"lookup_key"`
	Created                                                       int64
	PendingWebhooks                                               int `json:"pending_webhooks"`
	Items                                                         *page
}

type page struct {
	Object  string
	Data    []object
	HasMore bool `json:"has_more"`
	URL     string
}

func decoded[T any](t *testing.T, a answer) (v T) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// all returns all objects of a list, page by page.
func all(t *testing.T, uri string, headers ...string) (objects []object) {
	t.Helper()
	separator := map[bool]string{true: "&", false: "?"}[strings.Contains(uri, "?")]
	for next := uri + separator + "limit=100"; ; {
		p := decoded[page](t, get(t, next, headers...))
		objects = append(objects, p.Data...)
		if !p.HasMore {
			return objects
		}
		next = uri + separator + "limit=100&starting_after=" + p.Data[len(p.Data)-1].ID
	}
}

func ids(objects []object) (ids []string) {
	for _, o := range objects {
		ids = append(ids, o.ID)
	}
	return ids
}

func TestSubscriptionsAreInTheirFinalState(t *testing.T) {
	t.Parallel()
	_, base := serve(t, func(c *api.Config) { c.Now = func() time.Time { return end(history()) } })
	want := map[string]string{}
	for _, truth := range history().Truth {
		want[truth.Subscription.ID] = truth.Subscription.Status
	}
	got := map[string]string{}
	for _, clock := range append(clocks(), "") {
		for _, o := range all(t, base+"/v1/subscriptions?status=all&test_clock="+clock) {
			got[o.ID] = o.Status
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("states (-truth +api):\n%s", diff)
	}
}

func clocks() (ids []string) {
	for _, truth := range history().Truth {
		if id := truth.Subscription.TestClockID; id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// The state is the one that the subscription had at the time, and events that are to come
// cannot be read.
func TestStateFollowsTheClock(t *testing.T) {
	t.Parallel()
	var now time.Time
	_, base := serve(t, func(c *api.Config) { c.Now = func() time.Time { return now } })
	seen := 0
	for _, d := range history().Deliveries {
		var sent struct {
			Data struct{ Object object }
		}
		if err := json.Unmarshal(d.Body, &sent); err != nil {
			t.Fatal(err)
		}
		if d.Type != "customer.subscription.updated" || history().Truth["test:platform:"+d.SubscriptionID].Kind != "" {
			continue
		}
		seen++
		now = d.Created.Add(-time.Second)
		if a := get(t, base+"/v1/events/"+d.ID); a.status != http.StatusNotFound {
			t.Errorf("got %d for an event to come", a.status)
		}
		now = d.Created
		got := decoded[object](t, get(t, base+"/v1/subscriptions/"+d.SubscriptionID))
		if a := get(t, base+"/v1/events/"+d.ID); a.status != http.StatusOK || got.Status != sent.Data.Object.Status {
			t.Errorf("got %d, and status %q, want %q", a.status, got.Status, sent.Data.Object.Status)
		}
		now = d.Created.Add(31 * 24 * time.Hour)
		if a := get(t, base+"/v1/events/"+d.ID); a.status != http.StatusNotFound {
			t.Errorf("got %d for an event of 31 days ago", a.status)
		}
		if seen == 20 {
			break
		}
	}
	if seen < 20 {
		t.Errorf("saw %d events only", seen)
	}
}

func TestEventsOfThirtyDaysAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	_, base := serve(t)
	want := map[string]bool{}
	for _, d := range history().Deliveries {
		if d.Type != stripesim.Snapshot && d.Created.After(middle.Add(-30*24*time.Hour)) && !d.Created.After(middle) {
			want[d.ID] = true
		}
	}
	got := all(t, base+"/v1/events")
	if len(want) < 10 || len(got) != len(want) {
		t.Fatalf("got %d events, want %d", len(got), len(want))
	}
	for i, e := range got {
		if !want[e.ID] || e.PendingWebhooks != 0 || i > 0 && e.Created > got[i-1].Created {
			t.Errorf("got %+v", e)
		}
	}
}

func TestPagesLeadBothWays(t *testing.T) {
	t.Parallel()
	_, base := serve(t)
	uri := base + "/v1/customers?limit=7"
	var down, up []string
	for next := uri; ; {
		p := decoded[page](t, get(t, next))
		if p.Object != "list" || p.URL != "/v1/customers" || p.HasMore && len(p.Data) != 7 {
			t.Errorf("got %+v", p)
		}
		down = append(down, ids(p.Data)...)
		if !p.HasMore {
			break
		}
		next = uri + "&starting_after=" + down[len(down)-1]
	}
	last := down[len(down)-1]
	for next := last; ; next = up[0] {
		p := decoded[page](t, get(t, uri+"&ending_before="+next))
		up = append(ids(p.Data), up...)
		if !p.HasMore {
			break
		}
	}
	if diff := cmp.Diff(down, append(up, last)); len(down) < 50 || diff != "" {
		t.Errorf("%d down (-down +up):\n%s", len(down), diff)
	}
}

// The cursor of the last page is no longer in the list, which must not matter.
func TestCursorNeedNotMatch(t *testing.T) {
	t.Parallel()
	_, base := serve(t)
	every, canceled := all(t, base+"/v1/subscriptions?status=all"), all(t, base+"/v1/subscriptions?status=canceled")
	i := slices.IndexFunc(every, func(o object) bool { return o.Status != "canceled" && o.Created > canceled[0].Created-1 })
	i = max(i, 0)
	got := decoded[page](t, get(t, base+"/v1/subscriptions?status=canceled&limit=100&starting_after="+every[i].ID)).Data
	want := slices.DeleteFunc(slices.Clone(every[i+1:]), func(o object) bool { return o.Status != "canceled" })
	if diff := cmp.Diff(ids(want), ids(got)); diff != "" || len(got) == 0 {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	pending := pendingEvent()
	_, base := serve(t, func(c *api.Config) { c.Pending = func(id string) bool { return id == pending } })
	every := map[string][]object{"subscriptions": all(t, base+"/v1/subscriptions?status=all")}
	one, median := every["subscriptions"][3], every["subscriptions"][len(every["subscriptions"])/2]
	clock := clocks()[0]
	for _, id := range clocks() {
		every["subscriptions"] = append(every["subscriptions"], all(t, base+"/v1/subscriptions?status=all&test_clock="+id)...)
	}
	for uri, holds := range map[string]func(object) bool{
		"subscriptions":                                                         func(o object) bool { return o.Status != "canceled" && o.TestClock == "" },
		"subscriptions?status=active":                                           func(o object) bool { return o.Status == "active" && o.TestClock == "" },
		"subscriptions?status=ended":                                            func(o object) bool { return o.Status == "canceled" || o.Status == "incomplete_expired" },
		"subscriptions?status=all&test_clock=" + clock:                          func(o object) bool { return o.TestClock == clock },
		"subscriptions?status=all&customer=" + one.Customer:                     func(o object) bool { return o.Customer == one.Customer },
		fmt.Sprintf("subscriptions?status=all&created[gte]=%d", median.Created): func(o object) bool { return o.Created >= median.Created },
		fmt.Sprintf("subscriptions?status=all&created[gt]=%d&created[lt]=%d", median.Created, one.Created): func(o object) bool { return o.Created > median.Created && o.Created < one.Created },
		fmt.Sprintf("subscriptions?status=all&created=%d", one.Created):                                    func(o object) bool { return o.Created == one.Created },
		"events?type=customer.*":                                  func(o object) bool { return strings.HasPrefix(o.Type, "customer.") },
		"events?type=invoice.paid":                                func(o object) bool { return o.Type == "invoice.paid" },
		"events?types[]=invoice.paid&types[]=invoice.finalized":   func(o object) bool { return o.Type == "invoice.paid" || o.Type == "invoice.finalized" },
		"events?delivery_success=false":                           func(o object) bool { return o.ID == pending && o.PendingWebhooks == 1 },
		"events?delivery_success=true":                            func(o object) bool { return o.ID != pending },
		"invoices?status=paid":                                    func(o object) bool { return o.Status == "paid" },
		"invoices?customer=" + one.Customer:                       func(o object) bool { return o.Customer == one.Customer },
		"checkout/sessions?status=complete":                       func(o object) bool { return strings.HasPrefix(o.ID, "cs_test_") },
		"products?active=true":                                    func(o object) bool { return o.Object == "product" },
		"prices?lookup_keys[0]=key_Basic&lookup_keys[1]=key_Team": func(o object) bool { return o.LookupKey == "key_Basic" || o.LookupKey == "key_Team" },
		"entitlements/features?lookup_key=basic":                  func(o object) bool { return o.ID == "feat_test_Basic" },
	} {
		list, _, _ := strings.Cut(uri, "?")
		if every[list] == nil {
			every[list] = all(t, base+"/v1/"+list)
		}
		want := ids(slices.DeleteFunc(slices.Clone(every[list]), func(o object) bool { return !holds(o) }))
		if diff := cmp.Diff(want, ids(all(t, base+"/v1/"+uri))); len(want) == 0 || diff != "" {
			t.Errorf("%s: %d (-want +got):\n%s", uri, len(want), diff)
		}
	}
}

// pendingEvent returns the id of an event that can be read.
func pendingEvent() string {
	i := slices.IndexFunc(history().Deliveries, func(d stripesim.Delivery) bool { return d.Created.After(middle.Add(-24 * time.Hour)) })
	return history().Deliveries[i].ID
}

func TestSubscriptionOfTwelveItemsListsTen(t *testing.T) {
	t.Parallel()
	_, base := serve(t)
	for _, o := range all(t, base+"/v1/subscriptions?status=all") {
		if !o.Items.HasMore {
			continue
		}
		got := decoded[page](t, get(t, base+"/v1/subscription_items?limit=11&subscription="+o.ID))
		rest := decoded[page](t, get(t, base+"/v1/subscription_items?subscription="+o.ID+"&starting_after="+got.Data[10].ID))
		if len(o.Items.Data) != 10 || !slices.Equal(ids(o.Items.Data), ids(got.Data[:10])) || !got.HasMore || len(rest.Data) == 0 || rest.HasMore {
			t.Errorf("got %d items in the subscription, and pages of %d and %d", len(o.Items.Data), len(got.Data), len(rest.Data))
		}
		return
	}
	t.Error("no subscription has more than ten items")
}

// Objects have the version of the request; events have that of the account.
func TestVersions(t *testing.T) {
	t.Parallel()
	const basil, old = "2025-03-31.basil", "2023-10-16"
	_, base := serve(t, func(c *api.Config) { c.Accounts[0].Version = basil })
	id := all(t, base+"/v1/subscriptions")[0].ID
	for version, want := range map[string]bool{"": false, old: true, "2024-04-10": true, "2026-07-29.dahlia": false} {
		got := get(t, base+"/v1/subscriptions/"+id, "Stripe-Version", version)
		if has := strings.Contains(got.body, `"current_period_end":`) && !strings.Contains(got.body, `"billing_mode":`); has != want {
			t.Errorf("%s: got the period on the subscription: %v", version, has)
		}
		if version != "" && got.header.Get("Stripe-Version") != version {
			t.Errorf("got version %q, want %q", got.header.Get("Stripe-Version"), version)
		}
	}
	for _, e := range all(t, base+"/v1/events", "Stripe-Version", old) {
		if e.APIVersion != basil {
			t.Errorf("got an event in %s", e.APIVersion)
		}
	}
	if got := get(t, base+"/v1/subscriptions/"+id, "Stripe-Version", "soon"); got.status != http.StatusBadRequest {
		t.Errorf("got %d", got.status)
	}
}

// An account without a version gets events as their webhooks were.
func TestEventsAreThoseOfTheWebhooks(t *testing.T) {
	t.Parallel()
	_, base := serve(t)
	bodies := map[string]string{}
	for _, d := range slices.Backward(history().Deliveries) { // the first of two renderings counts
		bodies[d.ID] = string(d.Body)
	}
	for _, e := range all(t, base+"/v1/events")[:50] {
		want := strings.Replace(bodies[e.ID], `"pending_webhooks": 1`, `"pending_webhooks": 0`, 1)
		if diff := cmp.Diff(want, get(t, base+"/v1/events/"+e.ID).body); diff != "" {
			t.Errorf("(-webhook +api):\n%s", diff)
		}
	}
}
