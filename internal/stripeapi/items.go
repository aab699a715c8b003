package stripeapi

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"

	"github.com/stripe/stripe-go/v76/form"

	"github.com/billbus/billbus/events"
)

const (
	pageSize = 100 // the most that Stripe gives
	// maxPages is far above what a subscription can have; it ends a list that
	// never says that it has ended.
	maxPages = 100
)

// list is a page of objects, which stay as they are.
type list struct {
	Data    []json.RawMessage `json:"data"`
	HasMore bool              `json:"has_more"`
}

// itemsTruncated reports whether a subscription lists only some of its items.
func itemsTruncated(subscription []byte) bool {
	var s struct {
		Items json.RawMessage `json:"items"`
	}
	var items list
	return json.Unmarshal(subscription, &s) == nil && json.Unmarshal(s.Items, &items) == nil && items.HasMore
}

// items reads all items of a subscription, page by page.
func (c *Client) items(ctx context.Context, of Owner, subscription string) ([]json.RawMessage, error) {
	doing := "reading items of subscription " + subscription
	var all []json.RawMessage
	for range maxPages {
		answer, err := c.get(ctx, of, "/v1/subscription_items", itemQuery(subscription, last(all)))
		if err != nil {
			return nil, c.explain(doing, err)
		}
		var page list
		if err := json.Unmarshal(answer.Raw, &page); err != nil {
			return nil, unexpected(doing, "no list was answered")
		}
		all = append(all, page.Data...)
		if !page.HasMore {
			return all, nil
		}
		if len(page.Data) == 0 || last(all) == "" {
			return nil, unexpected(doing, "the list goes on without saying where")
		}
	}
	return nil, unexpected(doing, "the list does not end")
}

func itemQuery(subscription, after string) *form.Values {
	query := &form.Values{}
	query.Add("limit", strconv.Itoa(pageSize))
	query.Add("subscription", subscription)
	if after != "" {
		query.Add("starting_after", after)
	}
	return query
}

// last is the id of the last item, "" if there is none that could be asked for.
func last(items []json.RawMessage) string {
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

// withItems puts the complete list into a subscription. The other members keep
// their bytes.
func withItems(subscription []byte, items []json.RawMessage) ([]byte, error) {
	const doing = "completing the items of a subscription"
	var members, page map[string]json.RawMessage
	if err := json.Unmarshal(subscription, &members); err != nil {
		return nil, unexpected(doing, "no object was answered")
	}
	if err := json.Unmarshal(members["items"], &page); err != nil {
		return nil, unexpected(doing, "the items are no list")
	}
	var err error
	if page["data"], err = encode(items); err != nil {
		return nil, unexpected(doing, "an item is no JSON")
	}
	page["has_more"] = json.RawMessage("false")
	if _, ok := page["total_count"]; ok {
		page["total_count"] = json.RawMessage(strconv.Itoa(len(items)))
	}
	if members["items"], err = encode(page); err != nil {
		return nil, unexpected(doing, "the items are no JSON")
	}
	return encode(members)
}

// encode does not escape what HTML would have escaped.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), err
}
