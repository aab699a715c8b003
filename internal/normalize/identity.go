package normalize

import (
	"strings"

	"github.com/billbus/billbus/events"
)

// Values of [Options.ClientReference].
const (
	ClientReferenceAPI = "api" // on sessions that the application created
	ClientReferenceAll = "all" // also on Payment Links, where a visitor can set it
	ClientReferenceOff = "off"
)

// userID returns the value of the first configured metadata key that is not
// blank.
func (n *Normalizer) userID(metadata map[string]string) string {
	for _, key := range n.userIDKeys {
		if id := metadata[key]; strings.TrimSpace(id) != "" {
			return id
		}
	}
	return ""
}

func subscriptionIdentity(sub *events.Subscription) *events.Identity {
	if sub.UserID == "" {
		return nil
	}
	return &events.Identity{
		UserID: sub.UserID, Source: events.IdentitySubscriptionMetadata,
		CustomerID: sub.CustomerID, CustomerAccountID: sub.CustomerAccountID, SubscriptionID: sub.ID,
	}
}

// sessionIdentity prefers client_reference_id, Stripe's own field for this
// purpose, to the metadata.
func (n *Normalizer) sessionIdentity(s *events.CheckoutSession) *events.Identity {
	user := ""
	if n.trustsReference(s) {
		user = s.ClientReferenceID
	}
	if strings.TrimSpace(user) == "" {
		user = n.userID(s.Metadata)
	}
	if user == "" || s.CustomerID == "" && s.CustomerAccountID == "" && s.SubscriptionID == "" {
		return nil
	}
	return &events.Identity{
		UserID: user, Source: events.IdentityCheckoutSession,
		CustomerID: s.CustomerID, CustomerAccountID: s.CustomerAccountID, SubscriptionID: s.SubscriptionID,
	}
}

func (n *Normalizer) trustsReference(s *events.CheckoutSession) bool {
	return n.clientReference == ClientReferenceAll || n.clientReference == ClientReferenceAPI && s.PaymentLinkID == ""
}

// customerIdentity is set without a user id too: an older event of the customer
// may have named one.
func (n *Normalizer) customerIdentity(c *events.Customer) *events.Identity {
	if c.ID == "" {
		return nil
	}
	return &events.Identity{
		UserID: n.userID(c.Metadata), Source: events.IdentityCustomerMetadata, CustomerID: c.ID, CustomerAccountID: c.CustomerAccountID,
	}
}
