package stripeapi

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/billbus/billbus/events"
)

// Entitlements reads all active entitlements of a customer. Stripe has no such object in
// its API, so it returns them in the form of the summary that is in events.
//
// The time of the answer is that of the first page: what changes while further pages are
// read causes an event that is newer.
func (c *Client) Entitlements(ctx context.Context, of Owner, customer string) (Answer, error) {
	doing := "reading entitlements of customer " + events.SafeID(customer)
	if err := c.check(of, "", customer); err != nil {
		return Answer{}, fmt.Errorf("%s: %w", doing, err)
	}
	all, answer, err := c.pages(ctx, of, doing, "/v1/entitlements/active_entitlements", "customer", customer)
	if err != nil {
		return Answer{}, err
	}
	if all == nil {
		all = []json.RawMessage{}
	}
	answer.Raw, err = encode(map[string]any{
		"object":       events.EntitlementsSummary,
		"customer":     customer,
		"entitlements": map[string]any{"object": "list", "data": all, "has_more": false},
		"livemode":     of.Livemode,
	})
	if err != nil {
		return Answer{}, unexpected(doing, "an entitlement is not JSON")
	}
	return answer, nil
}
