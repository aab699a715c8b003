// Package stripeapi reads from Stripe's API, and keeps what it reads as the
// bytes that Stripe sent.
//
// The calls go through stripe-go, whose structs follow one API version and lose
// what they do not know: so they are not used. Only the configured host is ever
// asked, for paths that are made here: no URL of a payload is followed, and no
// redirect. Every call has a deadline and is made once: who asked asks again
// later, and the stream is the queue.
package stripeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

const defaultTimeout = 10 * time.Second

// Config says whom to ask, and as whom.
type Config struct {
	// Key is a secret key or a restricted one, which needs read permission on
	// Subscriptions and on Events.
	Key string
	// Base is the API's address; "" is Stripe's own.
	Base string
	// Version is the API version to be answered in; "" is the account's.
	Version string
	// Timeout bounds one call; 0 is ten seconds.
	Timeout time.Duration
	Now     func() time.Time
}

// Client asks Stripe's API. It is safe for concurrent use; all calls share one
// pace.
type Client struct {
	key       string
	timeout   time.Duration
	pace      *pace
	transport *http.Transport
	backend   stripe.Backend
}

// Owner is whose object is asked for.
type Owner struct {
	Account  string // the connected account; "" is the account of the key
	Livemode bool
}

// Answer is an object as Stripe sent it.
type Answer struct {
	Raw []byte
	// At is when Stripe answered, by its own clock, in seconds.
	At time.Time
	// Version is the API version in which it answered.
	Version string
}

// New checks cfg. Nothing is asked yet.
func New(cfg Config) (*Client, error) {
	if cfg.Key == "" || cfg.Now == nil {
		return nil, errors.New("stripeapi: client lacks a key or a clock")
	}
	base := cfg.Base
	if base == "" {
		base = stripe.APIURL
	}
	if u, err := url.Parse(base); err != nil || u.Host == "" {
		return nil, errors.New("stripeapi: base is no URL")
	}
	c := &Client{key: cfg.Key, timeout: cfg.Timeout, pace: newPace(cfg.Now), transport: http.DefaultTransport.(*http.Transport).Clone()}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	c.backend = stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		HTTPClient: &http.Client{Transport: &transport{next: c.transport, version: cfg.Version, pace: c.pace}},
		URL:        new(base),
		// Its logger would write to standard error, bodies included.
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		MaxNetworkRetries: stripe.Int64(0),
		EnableTelemetry:   new(false),
	})
	return c, nil
}

// Close gives up connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Paused is how long Stripe has asked not to be called.
func (c *Client) Paused() time.Duration { return c.pace.paused() }

// Event reads one event by its id. Stripe has events for 30 days.
func (c *Client) Event(ctx context.Context, of Owner, id string) (Answer, error) {
	return c.object(ctx, of, "event", "evt_", "/v1/events/", id)
}

// Subscription reads one subscription with all of its items, of which Stripe
// lists only the first by itself.
func (c *Client) Subscription(ctx context.Context, of Owner, id string) (Answer, error) {
	answer, err := c.object(ctx, of, "subscription", "sub_", "/v1/subscriptions/", id)
	if err != nil {
		return Answer{}, err
	}
	if !itemsTruncated(answer.Raw) {
		return answer, nil
	}
	items, err := c.items(ctx, of, id)
	if err != nil {
		return Answer{}, err
	}
	answer.Raw, err = withItems(answer.Raw, items)
	return answer, err
}

// object reads one object. Its id comes from a payload, and becomes part of a
// path only if it looks like one of Stripe's.
func (c *Client) object(ctx context.Context, of Owner, kind, prefix, path, id string) (Answer, error) {
	doing := "reading " + kind + " " + events.SafeID(id)
	if err := c.check(of, prefix, id); err != nil {
		return Answer{}, fmt.Errorf("%s: %w", doing, err)
	}
	answer, err := c.get(ctx, of, path+id, nil)
	if err != nil {
		return Answer{}, c.explain(doing, err)
	}
	var head struct{ ID, Object string }
	if err := json.Unmarshal(answer.Raw, &head); err != nil || head.ID != id || head.Object != kind {
		return Answer{}, unexpected(doing, "another object was answered")
	}
	return answer, nil
}

// check refuses what would ask for something else than the message is about. In
// the other mode the object is not there, which would look as if it had been
// deleted.
func (c *Client) check(of Owner, prefix, id string) error {
	switch live, known := mode(c.key); {
	case !strings.HasPrefix(id, prefix) || events.SafeID(id) != id:
		return fault.New(fault.Permanent, fault.BadID, fmt.Errorf("the id is none of Stripe's: want %s…", prefix))
	case of.Account != "" && (!strings.HasPrefix(of.Account, "acct_") || events.SafeID(of.Account) != of.Account):
		return fault.New(fault.Permanent, fault.BadID, errors.New("the account is none of Stripe's: want acct_…"))
	case known && live != of.Livemode:
		return fault.New(fault.Permanent, fault.WrongMode,
			fmt.Errorf("it is of %s mode, and STRIPE_API_KEY of the other: each mode needs a bridge with a key of its own", events.Mode(of.Livemode)))
	}
	return nil
}

var keyForm = regexp.MustCompile(`^[a-z]+_(?:org_)?(live|test)_`)

// mode is that of a key; false if its form does not say.
func mode(key string) (live, known bool) {
	match := keyForm.FindStringSubmatch(key)
	return match != nil && match[1] == "live", match != nil
}

func (c *Client) get(ctx context.Context, of Owner, path string, query *form.Values) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	params := &stripe.Params{Context: ctx}
	if of.Account != "" {
		params.SetStripeAccount(of.Account)
	}
	// The bytes of the answer are kept beside the struct it is decoded into,
	// which holds nothing else.
	var got struct{ stripe.APIResource }
	if err := c.backend.CallRaw(http.MethodGet, path, c.key, query, params, &got); err != nil {
		return Answer{}, err
	}
	header := got.LastResponse.Header
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return Answer{}, errors.New("the answer has no date")
	}
	return Answer{Raw: got.LastResponse.RawJSON, At: at.UTC(), Version: header.Get("Stripe-Version")}, nil
}
