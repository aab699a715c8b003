// Package stripeapi reads from Stripe's API, and keeps what it reads as the bytes that
// Stripe sent. It creates webhook endpoints, and changes nothing else.
//
// It calls the API with stripe-go, but does not use stripe-go's structs: they follow
// one API version and lose fields that they do not know. It calls the configured host
// alone, and builds every path itself: it follows no URL of a payload and no redirect.
// Every call has a deadline and is made once. The caller tries again later, because
// the message waits in the stream.
package stripeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

const defaultTimeout = 10 * time.Second

// Config says how to call the API.
type Config struct {
	// Keys are secret keys, or restricted keys with read permission on Subscriptions
	// and Events.
	Keys    Keys
	Base    string        // the API's address
	Version string        // the API version of answers; "" is the account's default
	Timeout time.Duration // of one call; 0 is ten seconds
	Rate    int           // calls a second at most; 0 is 20
	Now     func() time.Time
}

// Client calls Stripe's API. It is safe for concurrent use. All calls share one rate
// limit.
type Client struct {
	keys      Keys
	timeout   time.Duration
	pace      *pace
	transport *http.Transport
	backend   stripe.Backend
}

// New returns a client. It makes no call yet.
func New(cfg Config) *Client {
	c := &Client{keys: cfg.Keys, timeout: cfg.Timeout, pace: newPace(cfg.Now, cfg.Rate), transport: http.DefaultTransport.(*http.Transport).Clone()}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	c.backend = stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		HTTPClient: &http.Client{Transport: &transport{next: c.transport, version: cfg.Version, pace: c.pace}},
		URL:        &cfg.Base,
		// The default logger writes bodies to standard error.
		LeveledLogger:     &stripe.LeveledLogger{Level: stripe.LevelNull},
		MaxNetworkRetries: stripe.Int64(0),
		EnableTelemetry:   new(false),
	})
	return c
}

// Close closes idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Paused returns how long the pause that Stripe has asked for still lasts.
func (c *Client) Paused() time.Duration { return c.pace.paused() }

// Owner says whose object to read.
type Owner struct {
	Account  string // "" is the account of the main key
	Context  string // the path to the account in the event, if it has one
	Livemode bool
}

// Answer is an object as Stripe sent it.
type Answer struct {
	Raw     []byte
	At      time.Time // when Stripe answered, by Stripe's clock, in seconds
	Version string    // the API version of the answer
}

// Event reads an event by its id. Stripe keeps events for 30 days.
func (c *Client) Event(ctx context.Context, of Owner, id string) (Answer, error) {
	return c.object(ctx, of, "event", "evt_", "/v1/events/", id)
}

// Subscription reads a subscription with all its items. Stripe includes only the
// first items in the subscription itself.
func (c *Client) Subscription(ctx context.Context, of Owner, id string) (Answer, error) {
	answer, err := c.object(ctx, of, "subscription", "sub_", "/v1/subscriptions/", id)
	if err != nil || !itemsTruncated(answer.Raw) {
		return answer, err
	}
	items, err := c.items(ctx, of, id)
	if err != nil {
		return Answer{}, err
	}
	answer.Raw, err = withItems(answer.Raw, items)
	return answer, err
}

// WithItems returns a subscription from a list with all of its items, which it reads if
// the list left out some.
func (c *Client) WithItems(ctx context.Context, of Owner, subscription []byte) ([]byte, error) {
	if !itemsTruncated(subscription) {
		return subscription, nil
	}
	var s struct{ ID string }
	if err := json.Unmarshal(subscription, &s); err != nil || !isID("sub_", s.ID) {
		return nil, fault.New(fault.Permanent, fault.BadID, errors.New("a subscription has no id of Stripe's"))
	}
	items, err := c.items(ctx, of, s.ID)
	if err != nil {
		return nil, err
	}
	return withItems(subscription, items)
}

// object reads one object. The id comes from a payload, so it becomes part of a path
// only if it looks like one of Stripe's.
func (c *Client) object(ctx context.Context, of Owner, kind, prefix, path, id string) (Answer, error) {
	doing := "reading " + kind + " " + events.SafeID(id)
	if err := c.check(of, prefix, id); err != nil {
		return Answer{}, fmt.Errorf("%s: %w", doing, err)
	}
	answer, err := c.get(ctx, of, path+id, nil)
	if err != nil {
		return Answer{}, c.explain(doing, err)
	}
	var got struct{ ID, Object string }
	if err := json.Unmarshal(answer.Raw, &got); err != nil || got.ID != id || got.Object != kind {
		return Answer{}, unexpected(doing, "it is another object")
	}
	return answer, nil
}

// check refuses ids that are not Stripe's, accounts without a key, and the other mode:
// there the object would be missing, which would look as if it had been deleted.
func (c *Client) check(of Owner, prefix, id string) error {
	if !isID(prefix, id) {
		return fault.New(fault.Permanent, fault.BadID, fmt.Errorf("the id is not one of Stripe's: want %s…, of letters, digits and _", prefix))
	}
	if err := c.checkAccount(of.Account); err != nil {
		return err
	}
	if !c.keys.Reads(of.Account, of.Livemode) {
		return fault.New(fault.Permanent, fault.WrongMode, fmt.Errorf(
			"the object is in %s mode and the API key is not: run one bridge for each mode, with a key of that mode", events.Mode(of.Livemode)))
	}
	return nil
}

func (c *Client) checkAccount(account string) error {
	switch {
	case account != "" && !isID("acct_", account):
		return fault.New(fault.Permanent, fault.BadID, errors.New("the account is not one of Stripe's: want acct_…"))
	case !c.keys.Has(account):
		return fault.New(fault.Permanent, fault.KeyMissing, errors.New("there is no key for the account: set STRIPE_API_KEY, or add one to STRIPE_API_KEYS"))
	}
	return nil
}

func isID(prefix, id string) bool { return strings.HasPrefix(id, prefix) && events.SafeID(id) == id }

var keyForm = regexp.MustCompile(`^[a-z]+_(?:org_)?(live|test)_`)

// mode returns the mode of a key, if its form shows one.
func mode(key string) (live, known bool) {
	match := keyForm.FindStringSubmatch(key)
	return match != nil && match[1] == "live", match != nil
}

func (c *Client) get(ctx context.Context, of Owner, path string, query *form.Values) (Answer, error) {
	return c.call(ctx, of, http.MethodGet, path, query, &stripe.Params{})
}

func (c *Client) call(ctx context.Context, of Owner, method, path string, query *form.Values, params *stripe.Params) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	params.Context = ctx
	c.keys.address(params, of)
	// APIResource keeps the bytes and the headers of the answer. The struct has no
	// other field to decode.
	var got struct{ stripe.APIResource }
	if err := c.backend.CallRaw(method, path, c.keys.of(of.Account), query, params, &got); err != nil {
		return Answer{}, err
	}
	header := got.LastResponse.Header
	at, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return Answer{}, errors.New("the answer has no date")
	}
	return Answer{Raw: got.LastResponse.RawJSON, At: at.UTC(), Version: header.Get("Stripe-Version")}, nil
}
