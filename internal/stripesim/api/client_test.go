package api_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/stripeapi"
	"github.com/billbus/billbus/internal/stripesim"
	"github.com/billbus/billbus/internal/stripesim/api"
	"github.com/billbus/billbus/test/kit"
)

func stripeGo(t *testing.T, base string) (*client.API, stripe.Backend) {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	backend := stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: &base, HTTPClient: &http.Client{Transport: transport}, MaxNetworkRetries: stripe.Int64(0),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})
	return client.New(key, &stripe.Backends{API: backend, Connect: backend, Uploads: backend}), backend
}

// stripe-go reads every page, in both directions, into its own types. They need events of
// its version.
func TestStripeGoReadsListsBothWays(t *testing.T) {
	t.Parallel()
	_, base := serve(t, func(c *api.Config) { c.Accounts[0].Version = stripe.APIVersion })
	c, _ := stripeGo(t, base)
	subscriptions := func(p stripe.ListParams) (ids []string) {
		p.Context = t.Context()
		list := c.Subscriptions.List(&stripe.SubscriptionListParams{ListParams: p, Status: new("all")})
		for list.Next() {
			s := list.Subscription()
			if s.Customer.ID == "" || s.CurrentPeriodEnd == 0 || len(s.Items.Data) == 0 {
				t.Errorf("got %+v", s)
			}
			ids = append(ids, s.ID)
		}
		if err := list.Err(); err != nil {
			t.Error(err)
		}
		return ids
	}
	events := func(p stripe.ListParams) (ids []string) {
		p.Context = t.Context()
		list := c.Events.List(&stripe.EventListParams{ListParams: p, CreatedRange: &stripe.RangeQueryParams{GreaterThan: 1}, Types: stripe.StringSlice([]string{"customer.subscription.updated", "invoice.*"})})
		for list.Next() {
			ids = append(ids, list.Event().ID)
		}
		if err := list.Err(); err != nil {
			t.Error(err)
		}
		return ids
	}
	for name, read := range map[string]func(stripe.ListParams) []string{"subscriptions": subscriptions, "events": events} {
		down := read(stripe.ListParams{Limit: stripe.Int64(9)})
		last := down[len(down)-1]
		up := read(stripe.ListParams{Limit: stripe.Int64(9), EndingBefore: &last})
		slices.Reverse(up)
		if diff := cmp.Diff(down, append(up, last)); len(down) < 40 || diff != "" {
			t.Errorf("%s: %d down (-down +up):\n%s", name, len(down), diff)
		}
	}
}

// A list as bytes, as the bridge reads it, and an error of Stripe's type.
func TestStripeGoReadsBytesAndErrors(t *testing.T) {
	t.Parallel()
	_, base := serve(t)
	_, backend := stripeGo(t, base)
	var got struct {
		stripe.APIResource
		Data    []json.RawMessage `json:"data"`
		HasMore bool              `json:"has_more"`
	}
	query := &form.Values{}
	query.Add("limit", "4")
	if err := backend.CallRaw(http.MethodGet, "/v1/products", key, query, &stripe.Params{Context: t.Context()}, &got); err != nil || len(got.Data) != 4 || !got.HasMore {
		t.Errorf("got %d, %v", len(got.Data), err)
	}
	err := backend.CallRaw(http.MethodGet, "/v1/products/prod_none", key, nil, &stripe.Params{Context: t.Context()}, &got)
	problem, ok := err.(*stripe.Error) //nolint:errorlint // its own type
	if !ok || problem.Code != stripe.ErrorCodeResourceMissing || problem.HTTPStatusCode != 404 || problem.RequestID == "" || problem.Param != "id" {
		t.Errorf("got %v", err)
	}
}

// Stripe's specification has every path and parameter that the API takes.
func TestSpecificationKnowsThePathsAndParameters(t *testing.T) {
	t.Parallel()
	mock := "http://" + kit.StripeMock(t)
	for path, names := range api.Lists() {
		for _, cursor := range []string{"starting_after", "ending_before"} {
			for _, limit := range []string{"created", "created[gt]", "created[gte]", "created[lt]", "created[lte]"} {
				query := url.Values{"limit": {"3"}, "expand[]": {"data"}, cursor: {"x_1"}}
				for _, name := range names {
					setExample(query, path, name, limit)
				}
				accepted(t, http.MethodGet, mock+path+"?"+query.Encode(), nil)
			}
		}
		accepted(t, http.MethodGet, mock+path+"/x_1", nil)
	}
	endpoints := mock + "/v1/webhook_endpoints"
	form := url.Values{"url": {"https://example.com"}, "enabled_events[]": {"*"}, "description": {"x"}, "metadata[k]": {"v"}, "disabled": {"true"}}
	accepted(t, http.MethodPost, endpoints+"/we_1", form)
	accepted(t, http.MethodDelete, endpoints+"/we_1", nil)
	form.Del("disabled")
	form.Set("api_version", "2023-10-16")
	form.Set("connect", "true")
	accepted(t, http.MethodPost, endpoints, form)
	accepted(t, http.MethodGet, mock+"/v1/account", nil)
	if a := get(t, mock+"/v1/events?page=2"); a.status != http.StatusBadRequest {
		t.Errorf("got %d for a parameter that does not exist, so the test proves nothing", a.status)
	}
}

// setExample sets a parameter to a value that Stripe accepts.
func setExample(query url.Values, path, name, created string) {
	value := "x"
	switch name {
	case "created":
		name, value = created, "1"
	case "active", "delivery_success":
		value = "true"
	case "status":
		value = map[string]string{"/v1/subscriptions": "all", "/v1/invoices": "paid", "/v1/checkout/sessions": "complete"}[path]
	case "ids", "lookup_keys", "types":
		name += "[]"
	}
	query.Set(name, value)
}

func accepted(t *testing.T, method, uri string, form url.Values) {
	t.Helper()
	if a := send(t, method, uri, form); a.status != http.StatusOK {
		t.Errorf("%s %s: got %d %s", method, uri, a.status, a.body)
	}
}

// The client of the bridge completes a subscription whose items are cut off, and reads the
// event that a thin one names.
func TestClientOfTheBridge(t *testing.T) {
	t.Parallel()
	_, base := serve(t)
	c := stripeapi.New(stripeapi.Config{Keys: stripeapi.Keys{Main: key}, Base: base, Now: time.Now})
	t.Cleanup(c.Close)
	for _, truth := range history().Truth {
		if truth.Kind != stripesim.Truncated {
			continue
		}
		got, err := c.Subscription(t.Context(), stripeapi.Owner{}, truth.Subscription.ID)
		var read struct{ Items page }
		if err := json.Unmarshal(got.Raw, &read); err != nil || read.Items.HasMore || len(read.Items.Data) != 12 {
			t.Errorf("got %d items, %v", len(read.Items.Data), err)
		}
		if err != nil || !got.At.Equal(middle) || got.Version != "2026-07-29.dahlia" {
			t.Errorf("got %v, at %s in %s", err, got.At, got.Version)
		}
		break
	}
	event := all(t, base+"/v1/events?type=customer.subscription.*")[0]
	got, err := c.Event(t.Context(), stripeapi.Owner{}, event.ID)
	if err != nil || !strings.Contains(string(got.Raw), event.ID) {
		t.Errorf("got %s, %v", got.Raw, err)
	}
	if _, err := c.Event(t.Context(), stripeapi.Owner{}, "evt_none"); fault.ReasonOf(err) != fault.NotAtStripe {
		t.Errorf("got %v", err)
	}
}
