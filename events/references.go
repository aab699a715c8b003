package events

// References are the ids in a Stripe event by which its audit document can be found.
// An id is "" if the event does not name it.
type References struct {
	// ObjectID is the object that the event is about.
	ObjectID string
	// SubscriptionID is the subscription that the object is, belongs to, or belonged to
	// before the event.
	SubscriptionID string
	// CustomerID is the customer that the object is, belongs to, or belonged to before
	// the event.
	CustomerID string
	// CustomerAccountID is the account that represents the customer, in Accounts v2.
	CustomerAccountID string
	// NamedIDs are other subscriptions, customers and their accounts that the event
	// names, such as the subscriptions of an invoice for several.
	NamedIDs []string
	// RelatedIDs are invoices, payment intents, charges and schedules that the event is
	// about or names. Through them, an event that names no subscription or customer
	// belongs to one.
	RelatedIDs []string
	// RequestID is the API request that caused the event; "" if Stripe caused it.
	RequestID string
	// IdempotencyKey is the key that the application sent with that request.
	IdempotencyKey string
}
