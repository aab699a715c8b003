package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
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

const (
	otherKey = "rk_test_other"
	orgKey   = "sk_org_test_hunter2"
)

// withOther adds an account that is connected to the first.
func withOther(c *api.Config) {
	c.Accounts[0].ID = "acct_1"
	c.Accounts = append(c.Accounts, api.Account{ID: "acct_2", Key: otherKey, History: stripesim.Generate(stripesim.Config{Seed: 8, Subscriptions: 2})})
	c.OrganizationKey = orgKey
}

func TestAnswersThatAreErrors(t *testing.T) {
	t.Parallel()
	_, base := serve(t, withOther)
	bearer := func(k string) []string { return []string{"Authorization", "Bearer " + k} }
	for name, tt := range map[string]struct {
		uri     string
		headers []string
		status  int
		want    string // "type code param"
	}{
		"no key":              {"/v1/events", []string{"Authorization", ""}, 401, "invalid_request_error  "},
		"wrong key":           {"/v1/events", bearer("sk_test_wrong"), 401, "invalid_request_error  "},
		"unknown path":        {"/v1/charges", nil, 404, "invalid_request_error  "},
		"missing object":      {"/v1/subscriptions/sub_none", nil, 404, "invalid_request_error resource_missing id"},
		"of another kind":     {"/v1/customers/feat_test_Basic", nil, 404, "invalid_request_error resource_missing id"},
		"missing cursor":      {"/v1/events?starting_after=evt_none", nil, 400, "invalid_request_error resource_missing starting_after"},
		"missing end":         {"/v1/events?ending_before=evt_none", nil, 400, "invalid_request_error resource_missing ending_before"},
		"two cursors":         {"/v1/events?ending_before=a&starting_after=b", nil, 400, "invalid_request_error  ending_before"},
		"limit of zero":       {"/v1/events?limit=0", nil, 400, "invalid_request_error parameter_invalid_integer limit"},
		"limit above 100":     {"/v1/events?limit=101", nil, 400, "invalid_request_error parameter_invalid_integer limit"},
		"limit in words":      {"/v1/events?limit=ten", nil, 400, "invalid_request_error parameter_invalid_integer limit"},
		"unknown parameter":   {"/v1/events?page=2", nil, 400, "invalid_request_error parameter_unknown page"},
		"unknown status":      {"/v1/subscriptions?status=gone", nil, 400, "invalid_request_error  status"},
		"time in words":       {"/v1/events?created[gte]=today", nil, 400, "invalid_request_error parameter_invalid_integer created"},
		"unknown limit":       {"/v1/events?created[since]=1", nil, 400, "invalid_request_error parameter_invalid_integer created"},
		"two types":           {"/v1/events?type=a&types[]=b", nil, 400, "invalid_request_error  types"},
		"items of nothing":    {"/v1/subscription_items", nil, 400, "invalid_request_error parameter_missing subscription"},
		"items of a stranger": {"/v1/subscription_items?subscription=sub_none", nil, 400, "invalid_request_error resource_missing subscription"},
		"impossible expand":   {"/v1/products?expand[]=data.name", nil, 400, "invalid_request_error  expand"},
		"unknown expand":      {"/v1/products?expand[]=data.owner", nil, 400, "invalid_request_error  expand"},
		"unknown account":     {"/v1/events", []string{"Stripe-Account", "acct_3"}, 403, "invalid_request_error account_invalid "},
		"account of another":  {"/v1/events", append(bearer(otherKey), "Stripe-Account", "acct_1"), 403, "invalid_request_error account_invalid "},
		"org without context": {"/v1/events", append(bearer(orgKey), "Stripe-Version", "2023-10-16"), 400, "invalid_request_error  "},
		"org without version": {"/v1/events", append(bearer(orgKey), "Stripe-Context", "acct_1"), 400, "invalid_request_error  "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := get(t, base+tt.uri, tt.headers...)
			var body struct {
				Error struct{ Type, Code, Param, Message string }
			}
			if err := json.Unmarshal([]byte(a.body), &body); err != nil {
				t.Fatal(err)
			}
			e := body.Error
			got := e.Type + " " + e.Code + " " + e.Param
			if a.status != tt.status || got != tt.want || e.Message == "" || !strings.HasPrefix(a.header.Get("Request-Id"), "req_") {
				t.Errorf("got %d %q %s", a.status, got, a.body)
			}
			if strings.Contains(a.body, "sk_") {
				t.Errorf("got the key in %s", a.body)
			}
		})
	}
}

func TestKeyAndHeadersChooseTheAccount(t *testing.T) {
	t.Parallel()
	s, base := serve(t, withOther)
	for _, tt := range []struct{ headers, want []string }{
		{nil, []string{"acct_1", "acct_2"}},
		{[]string{"Stripe-Account", "acct_1"}, []string{"acct_1", "acct_2"}},
		{[]string{"Stripe-Account", "acct_2"}, []string{"acct_2"}},
		{[]string{"Stripe-Context", "acct_1/acct_2"}, []string{"acct_2"}},
		{[]string{"Authorization", "Bearer " + otherKey}, []string{"acct_2"}},
		{[]string{"Authorization", "Basic cmtfdGVzdF9vdGhlcjo="}, []string{"acct_2"}},
		{[]string{"Authorization", "Bearer " + orgKey, "Stripe-Version", "2023-10-16", "Stripe-Context", "org_1/acct_2"}, []string{"acct_2"}},
	} {
		got := append([]string{decoded[object](t, get(t, base+"/v1/account", tt.headers...)).ID}, ids(all(t, base+"/v1/accounts", tt.headers...))...)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.headers, diff)
		}
		if n := len(all(t, base+"/v1/customers", tt.headers...)); (n == 2) != (tt.want[0] == "acct_2") {
			t.Errorf("%v: got %d customers", tt.headers, n)
		}
	}
	for _, r := range s.Requests() {
		if r.Status != http.StatusOK || r.Account == "" || !r.At.Equal(middle) {
			t.Errorf("got %+v", r)
		}
		if text := fmt.Sprintf("%+v", r); strings.Contains(text, "hunter2") || strings.Contains(text, otherKey) {
			t.Errorf("got the key in %s", text)
		}
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	t.Parallel()
	s, base := serve(t)
	get(t, base+"/v1/events?limit=3", "Stripe-Version", "2023-10-16", "X-Other", "x", "User-Agent", "test")
	want := []api.Request{{
		Method: "GET", Path: "/v1/events", Query: url.Values{"limit": {"3"}}, Status: 200, Account: stripesim.Account, At: middle,
		Header: http.Header{"Stripe-Version": {"2023-10-16"}, "User-Agent": {"test"}},
	}}
	if diff := cmp.Diff(want, s.Requests()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	_, base := serve(t)
	a := get(t, base+"/v1/subscriptions?limit=2&expand[]=data.customer&expand[]=data.items.data.price.product&expand[]=data.latest_invoice")
	got := decoded[struct {
		Data []struct {
			Customer      object
			LatestInvoice object `json:"latest_invoice"`
			Items         struct {
				Data []struct{ Price struct{ Product object } }
			}
		}
	}](t, a)
	for _, o := range got.Data {
		if o.Customer.Object != "customer" || o.LatestInvoice.Object != "invoice" || o.Items.Data[0].Price.Product.Object != "product" {
			t.Errorf("got %+v", o)
		}
	}
	if len(got.Data) != 2 {
		t.Errorf("got %s", a.body)
	}
}

// A customer is entitled to the features of the products that the subscription gives access to.
func TestEntitlementsFollowTheSubscription(t *testing.T) {
	t.Parallel()
	_, base := serve(t)
	seen := map[bool]int{}
	for _, o := range all(t, base+"/v1/subscriptions?status=all") {
		access := slices.Contains([]string{"active", "trialing", "past_due"}, o.Status)
		seen[access]++
		features := all(t, base+"/v1/entitlements/active_entitlements?customer="+o.Customer)
		if access != (len(features) > 0) {
			t.Errorf("got %d entitlements of a subscription that is %s", len(features), o.Status)
		}
		for _, f := range features {
			if f.Object != "entitlements.active_entitlement" || f.LookupKey == "" {
				t.Errorf("got %+v", f)
			}
		}
	}
	if seen[true] == 0 || seen[false] == 0 {
		t.Errorf("saw %v", seen)
	}
}

func TestWebhookEndpoints(t *testing.T) {
	t.Parallel()
	_, base := serve(t)
	list := base + "/v1/webhook_endpoints"
	form := url.Values{"url": {"https://example.com/a"}, "enabled_events[]": {"customer.*", "invoice.paid"}, "api_version": {"2025-03-31.basil"}, "metadata[k]": {"v"}}
	first := decoded[object](t, send(t, http.MethodPost, list, form))
	second := decoded[object](t, send(t, http.MethodPost, list, url.Values{"url": {"http://localhost/b"}, "enabled_events[0]": {"*"}}))
	if !strings.HasPrefix(first.Secret, "whsec_") || first.Secret == second.Secret || first.APIVersion != "2025-03-31.basil" {
		t.Errorf("got %+v and %+v", first, second)
	}
	if diff := cmp.Diff([]string{second.ID, first.ID}, ids(all(t, list))); diff != "" {
		t.Errorf("newest first (-want +got):\n%s", diff)
	}
	got := get(t, list+"/"+first.ID)
	if strings.Contains(got.body, "secret") || !strings.Contains(got.body, `"k": "v"`) {
		t.Errorf("got %s, want no secret", got.body)
	}
	changed := decoded[object](t, send(t, http.MethodPost, list+"/"+first.ID, url.Values{"disabled": {"true"}, "url": {"https://example.com/c"}}))
	if changed.Status != "disabled" || changed.URL != "https://example.com/c" || decoded[object](t, get(t, list+"/"+first.ID)).Status != "disabled" {
		t.Errorf("got %+v", changed)
	}
	if a := send(t, http.MethodDelete, list+"/"+first.ID, nil); a.status != http.StatusOK {
		t.Errorf("got %d %s", a.status, a.body)
	}
	for _, a := range []answer{
		send(t, http.MethodPost, list, url.Values{"url": {"https://example.com/a"}}),
		send(t, http.MethodPost, list, url.Values{"url": {"example.com"}, "enabled_events[]": {"*"}}),
		send(t, http.MethodPost, list, url.Values{"url": {"https://example.com/a"}, "enabled_events[]": {"*"}, "secret": {"x"}}),
	} {
		if a.status != http.StatusBadRequest {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	if a := send(t, http.MethodDelete, list+"/"+first.ID, nil); a.status != http.StatusNotFound || len(all(t, list)) != 1 {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestRateLimitFollowsTheClock(t *testing.T) {
	t.Parallel()
	var clock sync.Mutex
	now := middle
	s, base := serve(t, func(c *api.Config) {
		c.Faults.Rate = 5
		c.Now = func() time.Time { clock.Lock(); defer clock.Unlock(); return now }
	})
	for second := range 2 {
		clock.Lock()
		now = middle.Add(time.Duration(second) * time.Second)
		clock.Unlock()
		statuses := map[int]int{}
		for range 8 {
			a := get(t, base+"/v1/account")
			statuses[a.status]++
			if limited := a.status == http.StatusTooManyRequests; limited != (a.header.Get("Retry-After") == "1") || limited && !strings.Contains(a.body, `"rate_limit"`) {
				t.Errorf("got %v %s", a.header, a.body)
			}
		}
		if statuses[200] != 5 || statuses[429] != 3 {
			t.Errorf("got %v", statuses)
		}
	}
	if got := len(s.Requests()); got != 16 {
		t.Errorf("got %d requests", got)
	}
}

func TestFaultsOnDemand(t *testing.T) {
	t.Parallel()
	s, base := serve(t, func(c *api.Config) {
		c.Faults = api.Faults{ErrorEvery: 2, SlowEvery: 3, Delay: 20 * time.Millisecond, HangEvery: 5}
	})
	impatient := http.Client{Timeout: 100 * time.Millisecond}
	t.Cleanup(impatient.CloseIdleConnections)
	for n := 1; n <= 6; n++ {
		if n == 5 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/v1/account", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := impatient.Do(r); err == nil {
				_ = resp.Body.Close()
				t.Error("got an answer, want none")
			}
			continue
		}
		start := time.Now()
		a := get(t, base+"/v1/account")
		if (a.status == http.StatusInternalServerError) != (n%2 == 0) || n == 3 && time.Since(start) < 20*time.Millisecond {
			t.Errorf("request %d: got %d after %s", n, a.status, time.Since(start))
		}
	}
	if r := s.Requests()[4]; r.Status != 0 {
		t.Errorf("got status %d of a request without an answer", r.Status)
	}
}

func TestConcurrentRequests(t *testing.T) {
	t.Parallel()
	s, base := serve(t)
	want := get(t, base+"/v1/subscriptions").body
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			for range 5 {
				if got := get(t, base+"/v1/subscriptions"); got.body != want {
					t.Errorf("got another answer:\n%s", cmp.Diff(want, got.body))
				}
				send(t, http.MethodPost, base+"/v1/webhook_endpoints", url.Values{"url": {fmt.Sprintf("https://example.com/%d", i)}, "enabled_events[]": {"*"}})
				all(t, base+"/v1/webhook_endpoints")
			}
		})
	}
	readers.Wait()
	if got := len(all(t, base+"/v1/webhook_endpoints")); got != 16 {
		t.Errorf("got %d endpoints, want the 16 that are allowed", got)
	}
	if got := len(s.Requests()); got != 1+4*15+1 {
		t.Errorf("got %d requests", got)
	}
}
