package events

// IdentitySource says where a user id was read. The rank of sources, when
// several events name a user, is the order below.
type IdentitySource string

// The sources of an identity that stands in one event.
const (
	IdentitySubscriptionMetadata IdentitySource = "subscription_metadata"
	IdentityCheckoutSession      IdentitySource = "checkout_session"
	IdentityCustomerMetadata     IdentitySource = "customer_metadata"
	IdentityLink                 IdentitySource = "link" // a pair published by the application
)

// Identity is what one event says about which user of the application a
// customer or a subscription belongs to. It is a function of that event alone;
// joining the facts of several events is another step.
type Identity struct {
	// UserID is the application's own id of the user. It is absent on the event
	// of a customer whose metadata name nobody: what an older event of that
	// customer said holds no longer.
	UserID         string         `json:"user_id,omitempty"`
	Source         IdentitySource `json:"source"`
	CustomerID     string         `json:"customer_id,omitempty"`
	SubscriptionID string         `json:"subscription_id,omitempty"`
}
