package stripeapi_test

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/stripeapi"
	"github.com/billbus/billbus/test/kit"
)

// The fake of the other tests would accept requests that Stripe refuses. stripe-mock
// follows Stripe's specification of its API, and refuses paths and parameters that are
// not in it. It has the v1 endpoints, which are all that the client calls.
func TestRequestsMatchStripesSpecification(t *testing.T) {
	t.Parallel()
	m := startMock(t)
	checkRefusals(t, m) // otherwise the test would prove nothing
	c := client(t, stripeapi.Config{Base: m.URL})
	if _, err := c.Event(t.Context(), platform, "evt_1"); err != nil {
		t.Error(err)
	}
	got, err := c.Subscription(t.Context(), stripeapi.Owner{Account: "acct_1"}, "sub_1")
	if err != nil {
		t.Error(err)
	}
	if !bytes.Contains(got.Raw, []byte(`"has_more":false`)) {
		t.Errorf("got %s", got.Raw)
	}
	if got, err := c.Entitlements(t.Context(), platform, "cus_1"); err != nil || !bytes.Contains(got.Raw, []byte(`"object":"entitlements.active_entitlement"`)) {
		t.Errorf("got %s, %v", got.Raw, err)
	}
	want := []string{
		"200 /v1/events/evt_1 ", "200 /v1/subscriptions/sub_1 ", "200 /v1/subscription_items limit,subscription",
		"200 /v1/subscription_items limit,starting_after,subscription", "200 /v1/entitlements/active_entitlements customer,limit",
	}
	if diff := cmp.Diff(want, m.answered()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// The lists of import, reconcile and backfill, and webhook endpoints.
func TestListsAndEndpointsMatchStripesSpecification(t *testing.T) {
	t.Parallel()
	m := startMock(t)
	checkRefusals(t, m)
	c := client(t, stripeapi.Config{Base: m.URL})
	var want []string
	for _, kind := range []stripeapi.Kind{stripeapi.Products, stripeapi.Prices, stripeapi.Customers, stripeapi.Subscriptions} {
		filter, names := stripeapi.ObjectFilter{}, "limit,starting_after"
		if kind == stripeapi.Subscriptions {
			filter, names = stripeapi.ObjectFilter{Status: "all", Since: time.Unix(1, 0)}, "created[gte],limit,starting_after,status"
		}
		if page, _, err := c.Objects(t.Context(), platform, kind, filter, "x_1"); err != nil || len(page.Data) == 0 {
			t.Errorf("%s: got %d, %v", kind, len(page.Data), err)
		}
		want = append(want, "200 /v1/"+string(kind)+" "+names)
	}
	filter := stripeapi.EventFilter{Since: time.Unix(1, 0), Until: time.Unix(2, 0), Types: []string{"invoice.paid", "customer.*"}, Undelivered: true}
	if _, err := c.Events(t.Context(), platform, filter, "evt_1"); err != nil {
		t.Error(err)
	}
	if all, err := c.Endpoints(t.Context(), ""); err != nil || len(all) == 0 || all[0].URL == "" || all[0].Status == "" || all[0].EnabledEvents == nil {
		t.Errorf("got %+v, %v", all, err)
	}
	e := stripeapi.NewEndpoint{URL: "https://example.com", Events: []string{"invoice.paid", "invoice.created"}, APIVersion: "2023-10-16", Connect: true}
	// The example in the specification has no secret.
	if _, _, err := c.CreateEndpoint(t.Context(), "", e, "key"); fault.ReasonOf(err) != fault.UnexpectedAnswer {
		t.Error(err)
	}
	want = append(want, "200 /v1/events created[gte],created[lte],delivery_success,limit,starting_after,types[]",
		"200 /v1/webhook_endpoints limit", "200 /v1/webhook_endpoints ")
	if diff := cmp.Diff(want, m.answered()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func checkRefusals(t *testing.T, m *mock) {
	t.Helper()
	for uri, want := range map[string]int{
		"/v1/subscription_items":                        http.StatusBadRequest,
		"/v1/subscription_items?subscription=s&pages=1": http.StatusBadRequest,
		"/v1/subscription_parts?subscription=sub_1":     http.StatusNotFound,
		"/v2/core/events/evt_1":                         http.StatusNotFound,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.URL+uri, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := m.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", uri, resp.StatusCode, want)
		}
	}
	m.forget()
}

// mock is stripe-mock behind a proxy that records its answers. stripe-mock's lists have
// one page. To test the second page, the proxy sets has_more in the first two lists: in
// the subscription and in the first page of its items.
type mock struct {
	*httptest.Server
	mu      sync.Mutex
	answers []string
	lists   int
}

func startMock(t *testing.T) *mock {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: kit.StripeMock(t)}
	m, transport := &mock{}, &http.Transport{}
	m.Server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Header.Del("Accept-Encoding") // to read the body
		},
		ModifyResponse: m.record,
		Transport:      transport,
	})
	t.Cleanup(func() { m.Close(); transport.CloseIdleConnections() })
	return m
}

func (m *mock) record(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	names := slices.Sorted(maps.Keys(resp.Request.URL.Query()))
	m.answers = append(m.answers, resp.Status[:3]+" "+resp.Request.URL.Path+" "+strings.Join(names, ","))
	if more := []byte(`"has_more":false`); m.lists < 2 && bytes.Contains(body, more) {
		m.lists++
		body = bytes.ReplaceAll(body, more, []byte(`"has_more":true`))
	}
	resp.Header.Del("Content-Length")
	resp.ContentLength = int64(len(body))
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return nil
}

func (m *mock) answered() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.answers
}

func (m *mock) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answers = nil
}
