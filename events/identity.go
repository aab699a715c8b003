package events

// IdentitySource says where in an event the user id was found. If several events name
// a user, sources rank in the order below.
type IdentitySource string

// The sources of an identity.
const (
	IdentitySubscriptionMetadata IdentitySource = "subscription_metadata"
	IdentityCheckoutSession      IdentitySource = "checkout_session"
	IdentityCustomerMetadata     IdentitySource = "customer_metadata"
	IdentityLink                 IdentitySource = "link" // published by the application
)

// Identity is what one event says about which user of the application a customer or a
// subscription belongs to. It depends on that event alone.
type Identity struct {
	// UserID is the application's own id of the user. It is absent if a customer's
	// metadata no longer name a user: then older events of the customer do not count.
	UserID     string         `json:"user_id,omitempty"`
	Source     IdentitySource `json:"source"`
	CustomerID string         `json:"customer_id,omitempty"`
	// CustomerAccountID is the account that represents the customer, in Accounts v2.
	CustomerAccountID string `json:"customer_account_id,omitempty"`
	SubscriptionID    string `json:"subscription_id,omitempty"`
}
