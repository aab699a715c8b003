package stripeapi

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/stripe/stripe-go/v76/form"
)

const pageSize = 100 // Stripe's maximum

// Page is a part of a list, newest first, each object as Stripe sent it.
type Page struct {
	Data []json.RawMessage
	Next string // the id after which the next page begins; "" if this is the last one
}

// EventFilter says which events to list. Stripe has those of the last 30 days.
type EventFilter struct {
	Since, Until time.Time // the seconds of the first and of the last one
	Types        []string  // at most 20, which may end with *; nil for all
	// Undelivered leaves out events that were delivered to all endpoints.
	Undelivered bool
}

func (f EventFilter) query() url.Values {
	query := url.Values{
		"created[gte]": {strconv.FormatInt(f.Since.Unix(), 10)},
		"created[lte]": {strconv.FormatInt(f.Until.Unix(), 10)},
	}
	if len(f.Types) > 0 {
		query["types[]"] = f.Types
	}
	if f.Undelivered {
		query.Set("delivery_success", "false")
	}
	return query
}

// Events reads a page of the events of an account, in either mode: the first one if after
// is "", otherwise the one that begins after the event with that id. Since the events of
// one second have no order of their own, a time could not say where a page begins.
func (c *Client) Events(ctx context.Context, of Owner, filter EventFilter, after string) (Page, error) {
	const doing = "listing events"
	if err := c.checkAccount(of.Account); err != nil {
		return Page{}, fmt.Errorf("%s: %w", doing, err)
	}
	page, _, err := c.page(ctx, of, doing, "/v1/events", filter.query(), after)
	return page, err
}

// Kind is a kind of objects. Its list has all of them.
type Kind string

// The kinds that an import reads.
const (
	Products      Kind = "products"
	Prices        Kind = "prices"
	Customers     Kind = "customers"
	Subscriptions Kind = "subscriptions"
)

// ObjectFilter says which objects to list.
type ObjectFilter struct {
	Status string    // of subscriptions; "all" includes those that were canceled
	Since  time.Time // when they were created; zero is no limit
}

// Objects reads a page of all objects of a kind, like [Client.Events]. It also returns the
// time and the version of the answer. Of subscriptions, the first items are included.
func (c *Client) Objects(ctx context.Context, of Owner, kind Kind, filter ObjectFilter, after string) (Page, Answer, error) {
	doing := "listing " + string(kind)
	if err := c.checkAccount(of.Account); err != nil {
		return Page{}, Answer{}, fmt.Errorf("%s: %w", doing, err)
	}
	query := url.Values{}
	if filter.Status != "" {
		query.Set("status", filter.Status)
	}
	if !filter.Since.IsZero() {
		query.Set("created[gte]", strconv.FormatInt(filter.Since.Unix(), 10))
	}
	return c.page(ctx, of, doing, "/v1/"+string(kind), query, after)
}

func (c *Client) page(ctx context.Context, of Owner, doing, path string, filter url.Values, after string) (Page, Answer, error) {
	answer, err := c.get(ctx, of, path, pageQuery(filter, after))
	if err != nil {
		return Page{}, Answer{}, c.explain(doing, err)
	}
	var got list
	if err := json.Unmarshal(answer.Raw, &got); err != nil || got.Data == nil {
		return Page{}, Answer{}, unexpected(doing, "it is not a list")
	}
	page := Page{Data: got.Data}
	if got.HasMore {
		if page.Next = lastID(got.Data); page.Next == "" || page.Next == after {
			return Page{}, Answer{}, unexpected(doing, "the list continues after an element without an id")
		}
	}
	return page, answer, nil
}

func pageQuery(filter url.Values, after string) *form.Values {
	query := &form.Values{}
	query.Add("limit", strconv.Itoa(pageSize))
	for _, name := range slices.Sorted(maps.Keys(filter)) {
		for _, value := range filter[name] {
			query.Add(name, value)
		}
	}
	if after != "" {
		query.Add("starting_after", after)
	}
	return query
}
