package stripeapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// maxAnswer is the maximum size of an answer. A hundred large items take some hundred
// kilobytes.
const maxAnswer = 16 << 20

// transport is between stripe-go and the network. It limits the rate, asks for our API
// version instead of the SDK's, and turns answers that are not about the requested
// object into errors.
type transport struct {
	next    http.RoundTripper
	version string
	pace    *pace
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.pace.wait(req.Context()); err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Del("Stripe-Version")
	if t.version != "" {
		req.Header.Set("Stripe-Version", t.version)
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := t.refusal(resp); err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// refusal returns an error for an answer that is not about the requested object,
// regardless of its body.
func (t *transport) refusal(resp *http.Response) error {
	err := fmt.Errorf("status %d from Stripe (request %s)", resp.StatusCode, requestID(resp.Header))
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		t.pace.pause(resp.Header, minPause)
		return fault.New(fault.Transient, fault.RateLimited, err)
	case status >= 500:
		t.pace.pause(resp.Header, 0)
		return fault.New(fault.Transient, fault.StripeFailed, err)
	case status == http.StatusUnauthorized:
		return fault.New(fault.Transient, fault.KeyRefused,
			fmt.Errorf("%w: STRIPE_API_KEY or STRIPE_API_KEYS: the key is not accepted; set a secret or restricted key of this account that has not been revoked", err))
	case status == http.StatusForbidden:
		return fault.New(fault.Transient, fault.NoPermission,
			fmt.Errorf("%w: STRIPE_API_KEY or STRIPE_API_KEYS: the key may not read this; a restricted key needs read permission on Subscriptions, Events and Entitlements, for bridge import on Customers, Products and Prices, for bridge endpoint permission on Webhook Endpoints, also for connected accounts; an account that is not connected needs a key of its own in STRIPE_API_KEYS", err))
	case status != http.StatusOK && status < 400:
		return fault.New(fault.Transient, fault.Redirected, fmt.Errorf("%w: redirects are not followed; check STRIPE_API_BASE", err))
	}
	return nil
}

func requestID(header http.Header) string {
	if id := header.Get("Request-Id"); id != "" {
		return events.SafeID(id)
	}
	return "without an id"
}
