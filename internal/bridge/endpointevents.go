package bridge

import "slices"

// everyEvent selects all types of events.
const everyEvent = "*"

// beforeFinalizing is an event whose answer Stripe waits for before it finalizes an invoice,
// and so before it collects the money.
// See https://docs.stripe.com/billing/subscriptions/webhooks
const beforeFinalizing = "invoice.created"

// eventGroup are types of events that an endpoint should select together.
type eventGroup struct {
	types    []string
	required bool
	without  string // what happens if one is not selected
}

// endpointEvents are the types that Billbus can use. The table in docs/operating.md says the
// same.
func endpointEvents() []eventGroup {
	return []eventGroup{
		{
			types: []string{
				"customer.subscription.created", "customer.subscription.updated", "customer.subscription.deleted",
				"customer.subscription.paused", "customer.subscription.resumed", "customer.subscription.trial_will_end",
				"customer.subscription.pending_update_applied", "customer.subscription.pending_update_expired",
			},
			required: true, without: "records miss changes",
		},
		{
			types:   []string{"checkout.session.completed", "customer.created", "customer.updated", "customer.deleted"},
			without: "a user is only known from the metadata of subscriptions",
		},
		{
			types:   []string{"product.created", "product.updated", "product.deleted", "price.created", "price.updated", "price.deleted"},
			without: "records have no or old names of products and prices",
		},
		{types: []string{"entitlements.active_entitlement_summary.updated"}, without: "access has no features"},
		{
			types:   []string{"invoice.paid", "invoice.payment_failed", "invoice.payment_action_required"},
			without: "consumers do not see payments",
		},
	}
}

func allEndpointEvents() (types []string) {
	for _, group := range endpointEvents() {
		types = append(types, group.types...)
	}
	return types
}

// missing returns the types of the group that are not among those that are enabled.
func (g eventGroup) missing(enabled []string) (types []string) {
	if slices.Contains(enabled, everyEvent) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(g.types), func(t string) bool { return slices.Contains(enabled, t) })
}
