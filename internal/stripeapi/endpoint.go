package stripeapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/billbus/billbus/internal/secret"
)

const endpointsPath = "/v1/webhook_endpoints"

// Endpoint is a webhook endpoint.
// See https://docs.stripe.com/api/webhook_endpoints/object
type Endpoint struct {
	ID            string   `json:"id"`
	URL           string   `json:"url"`
	Status        string   `json:"status"`      // enabled or disabled
	APIVersion    string   `json:"api_version"` // "" is the account's default
	EnabledEvents []string `json:"enabled_events"`
	Livemode      bool     `json:"livemode"`
	// Application is the id of the Connect application that has created it, or "".
	Application string `json:"application"`
}

// Endpoints reads all webhook endpoints of an account, in the mode of its key.
func (c *Client) Endpoints(ctx context.Context, account string) (all []Endpoint, err error) {
	const doing = "listing webhook endpoints"
	if err := c.checkAccount(account); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	next := ""
	for range maxPages {
		page, _, err := c.page(ctx, Owner{Account: account}, doing, endpointsPath, nil, next)
		if err != nil {
			return nil, err
		}
		for _, raw := range page.Data {
			var e Endpoint
			if err := json.Unmarshal(raw, &e); err != nil {
				return nil, unexpected(doing, "it has something else than endpoints")
			}
			all = append(all, e)
		}
		if next = page.Next; next == "" {
			return all, nil
		}
	}
	return nil, unexpected(doing, "the list does not end")
}

// NewEndpoint says which endpoint to create.
type NewEndpoint struct {
	URL        string
	Events     []string
	APIVersion string // "" for the account's default
	Connect    bool   // for events of connected accounts
}

func (e NewEndpoint) form() *form.Values {
	body := &form.Values{}
	body.Add("url", e.URL)
	for i, event := range e.Events {
		body.Add("enabled_events["+strconv.Itoa(i)+"]", event)
	}
	if e.APIVersion != "" {
		body.Add("api_version", e.APIVersion)
	}
	if e.Connect {
		body.Add("connect", "true")
	}
	body.Add("description", "Billbus")
	return body
}

// CreateEndpoint creates a webhook endpoint, and returns it with its signing secret, which
// Stripe never tells again. Calls with the same idempotency key create one, and get the same
// answer.
func (c *Client) CreateEndpoint(ctx context.Context, account string, e NewEndpoint, idempotencyKey string) (Endpoint, secret.Text, error) {
	const doing = "creating a webhook endpoint"
	if err := c.checkAccount(account); err != nil {
		return Endpoint{}, secret.Text{}, fmt.Errorf("%s: %w", doing, err)
	}
	params := &stripe.Params{IdempotencyKey: &idempotencyKey}
	answer, err := c.call(ctx, Owner{Account: account}, http.MethodPost, endpointsPath, e.form(), params)
	if err != nil {
		return Endpoint{}, secret.Text{}, c.explain(doing, err)
	}
	var got struct {
		Endpoint
		Secret string `json:"secret"`
	}
	if err := json.Unmarshal(answer.Raw, &got); err != nil || got.ID == "" || got.Secret == "" {
		return Endpoint{}, secret.Text{}, unexpected(doing, "it is not an endpoint with its secret")
	}
	return got.Endpoint, secret.New(got.Secret), nil
}
