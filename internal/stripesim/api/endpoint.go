package api

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"github.com/billbus/billbus/internal/stripesim"
)

const (
	endpointsPath = "/v1/webhook_endpoints"
	maxEndpoints  = 16
)

// endpoint is a webhook endpoint. Nothing is sent to it.
type endpoint struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	APIVersion    *string           `json:"api_version"`
	Application   *string           `json:"application"`
	Created       int64             `json:"created"`
	Description   *string           `json:"description"`
	EnabledEvents []string          `json:"enabled_events"`
	Livemode      bool              `json:"livemode"`
	Metadata      map[string]string `json:"metadata"`
	Secret        string            `json:"secret,omitempty"` // in the answer to its creation only
	Status        string            `json:"status"`
	URL           string            `json:"url"`
}

func (c *call) endpoints() (all []thing) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	for _, e := range c.account.endpoints {
		all = append(all, thing{Object: stripesim.Object{Type: "webhook_endpoint", ID: e.ID, Created: e.Created}, json: e})
	}
	return all
}

func createEndpoint(c *call) (any, error) {
	if err := c.know("url", "enabled_events", "api_version", "connect", "description", "metadata", "expand"); err != nil {
		return nil, err
	}
	for _, name := range []string{"url", "enabled_events"} {
		if _, ok := c.params.one(name); !ok {
			return nil, invalid(name, "Missing required param: %s.", name).coded("parameter_missing")
		}
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	a := c.account
	idempotencyKey := c.request.Header.Get("Idempotency-Key")
	if e, ok := a.repeated[idempotencyKey]; ok {
		return e, nil
	}
	if len(a.endpoints) == maxEndpoints {
		return nil, invalid("", "You have reached the maximum of %d webhook endpoints.", maxEndpoints)
	}
	e := endpoint{
		ID: fmt.Sprintf("we_1BillbusSimulated%04d", a.created+1), Object: "webhook_endpoint", Created: c.now, Livemode: a.livemode(),
		Status: "enabled",
	}
	if version, ok := c.params.one("api_version"); ok {
		if !versionForm.MatchString(version) {
			return nil, invalid("api_version", "Invalid API version: %s", version)
		}
		e.APIVersion = &version
	}
	if err := e.set(c.params); err != nil {
		return nil, err
	}
	a.created++
	a.endpoints = slices.Insert(a.endpoints, 0, e)
	e.Secret = fmt.Sprintf("whsec_BillbusSimulated%010d", a.created)
	if idempotencyKey != "" {
		a.repeated[idempotencyKey] = e
	}
	return e, nil
}

func updateEndpoint(c *call) (any, error) {
	if err := c.know("url", "enabled_events", "disabled", "description", "metadata", "expand"); err != nil {
		return nil, err
	}
	return c.withEndpoint(func(a *account, i int) (any, error) {
		e := a.endpoints[i]
		err := e.set(c.params)
		if err == nil {
			a.endpoints[i] = e
		}
		return e, err
	})
}

func deleteEndpoint(c *call) (any, error) {
	return c.withEndpoint(func(a *account, i int) (any, error) {
		id := a.endpoints[i].ID
		a.endpoints = slices.Delete(a.endpoints, i, i+1)
		return map[string]any{"id": id, "object": "webhook_endpoint", "deleted": true}, nil
	})
}

func (c *call) withEndpoint(do func(a *account, i int) (any, error)) (any, error) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	id := c.request.PathValue("id")
	i := slices.IndexFunc(c.account.endpoints, func(e endpoint) bool { return e.ID == id })
	if i < 0 {
		return nil, missing(http.StatusNotFound, "id", "webhook_endpoint", id)
	}
	return do(c.account, i)
}

// set sets what the parameters give.
func (e *endpoint) set(p params) error {
	if text, ok := p.one("url"); ok {
		if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "https" && (e.Livemode || u.Scheme != "http") {
			return invalid("url", "Invalid URL: An explicit scheme (such as https) must be provided.").coded("url_invalid")
		}
		e.URL = text
	}
	if text, ok := p.one("description"); ok {
		e.Description = &text
	}
	if text, ok := p.one("disabled"); ok {
		e.Status = map[bool]string{true: "disabled", false: "enabled"}[text == "true"]
	}
	if given := p["enabled_events"]; len(given) > 0 {
		e.EnabledEvents = nil
		for _, event := range given {
			e.EnabledEvents = append(e.EnabledEvents, event.value)
		}
	}
	e.Metadata = maps.Clone(e.Metadata)
	if e.Metadata == nil {
		e.Metadata = map[string]string{}
	}
	for _, pair := range p["metadata"] {
		e.Metadata[pair.op] = pair.value
	}
	return nil
}
