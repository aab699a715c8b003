package stripeapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/billbus/billbus/events"
)

// maxPages is far more than a subscription can have. It ends a list that never says
// that it has ended.
const maxPages = 100

// list is a page of objects as Stripe sent them.
type list struct {
	Data    []json.RawMessage `json:"data"`
	HasMore bool              `json:"has_more"`
}

// itemsTruncated reports whether a subscription includes only some of its items.
func itemsTruncated(subscription []byte) bool {
	var s struct {
		Items json.RawMessage `json:"items"`
	}
	var items list
	return json.Unmarshal(subscription, &s) == nil && json.Unmarshal(s.Items, &items) == nil && items.HasMore
}

// items reads all items of a subscription.
func (c *Client) items(ctx context.Context, of Owner, subscription string) ([]json.RawMessage, error) {
	all, _, err := c.pages(ctx, of, "reading items of subscription "+subscription, "/v1/subscription_items", "subscription", subscription)
	return all, err
}

// pages reads all elements of a list that belong to an object, page by page. It also
// returns the first answer.
func (c *Client) pages(ctx context.Context, of Owner, doing, path, owner, id string) (all []json.RawMessage, first Answer, err error) {
	next := ""
	for n := range maxPages {
		page, answer, err := c.page(ctx, of, doing, path, url.Values{owner: {id}}, next)
		if err != nil {
			return nil, first, err
		}
		if n == 0 {
			first = answer
		}
		all = append(all, page.Data...)
		if next = page.Next; next == "" {
			return all, first, nil
		}
	}
	return nil, first, unexpected(doing, "the list does not end")
}

// lastID returns the id of the last item, or "" if it cannot be part of a query.
func lastID(items []json.RawMessage) string {
	if len(items) == 0 {
		return ""
	}
	var item struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(items[len(items)-1], &item); err != nil || events.SafeID(item.ID) != item.ID {
		return ""
	}
	return item.ID
}

// withItems puts the complete list into a subscription. The other members keep their
// bytes.
func withItems(subscription []byte, items []json.RawMessage) ([]byte, error) {
	const doing = "completing the items of a subscription"
	var members, page map[string]json.RawMessage
	if json.Unmarshal(subscription, &members) != nil || json.Unmarshal(members["items"], &page) != nil {
		return nil, unexpected(doing, "it is not a subscription with a list of items")
	}
	var err error
	if page["data"], err = encode(items); err != nil {
		return nil, unexpected(doing, "an item is not JSON")
	}
	page["has_more"] = json.RawMessage("false")
	if _, ok := page["total_count"]; ok {
		page["total_count"] = json.RawMessage(strconv.Itoa(len(items)))
	}
	if members["items"], err = encode(page); err != nil {
		return nil, unexpected(doing, "the items are not JSON")
	}
	return encode(members)
}

// encode is json.Marshal without the escapes for HTML.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), err
}
