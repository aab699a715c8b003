package normalize

import (
	"strings"

	"github.com/billbus/billbus/events"
)

// How far client_reference_id of a Checkout session is believed.
const (
	ClientReferenceAPI = "api" // on sessions that the application created
	ClientReferenceAll = "all" // on Payment Links, too, where a visitor can set it
	ClientReferenceOff = "off"
)

// userID is the first of the configured metadata keys that holds something.
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
		CustomerID: sub.CustomerID, SubscriptionID: sub.ID,
	}
}

// sessionIdentity takes the client's reference before the metadata: it is what
// Stripe has for this purpose.
func (n *Normalizer) sessionIdentity(s *events.CheckoutSession) *events.Identity {
	user := ""
	if n.believes(s) {
		user = s.ClientReferenceID
	}
	if strings.TrimSpace(user) == "" {
		user = n.userID(s.Metadata)
	}
	if user == "" || s.CustomerID == "" && s.SubscriptionID == "" {
		return nil
	}
	return &events.Identity{
		UserID: user, Source: events.IdentityCheckoutSession,
		CustomerID: s.CustomerID, SubscriptionID: s.SubscriptionID,
	}
}

func (n *Normalizer) believes(s *events.CheckoutSession) bool {
	switch n.clientReference {
	case ClientReferenceAll:
		return true
	case ClientReferenceAPI:
		return s.PaymentLinkID == ""
	}
	return false
}

// customerIdentity says, too, that a customer's metadata name nobody: they did
// in an older event, perhaps.
func (n *Normalizer) customerIdentity(c *events.Customer) *events.Identity {
	if c.ID == "" {
		return nil
	}
	return &events.Identity{
		UserID: n.userID(c.Metadata), Source: events.IdentityCustomerMetadata, CustomerID: c.ID,
	}
}
