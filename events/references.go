package events

// References are the ids in a Stripe event by which its audit document can be found.
// An id is "" if the event does not name it.
type References struct {
	// ObjectID is the object that the event is about.
	ObjectID string
	// SubscriptionID is the subscription that the object is or belongs to.
	SubscriptionID string
	// CustomerID is the customer that the object is or belongs to.
	CustomerID string
	// RequestID is the API request that caused the event; "" if Stripe caused it.
	RequestID string
	// IdempotencyKey is the key that the application sent with that request.
	IdempotencyKey string
}
