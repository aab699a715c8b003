package events

// References are the ids inside one Stripe event by which its audit document is
// found again. Each is "" where the event does not name it.
type References struct {
	// ObjectID is the object that the event is about.
	ObjectID string
	// SubscriptionID is the subscription that the object is or belongs to.
	SubscriptionID string
	// CustomerID is the customer that the object is or belongs to.
	CustomerID string
	// RequestID is the API request that caused the event; events that Stripe
	// caused by itself have none.
	RequestID string
	// IdempotencyKey is the key that the application sent with that request.
	IdempotencyKey string
}
