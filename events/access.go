package events

import (
	"slices"
	"time"
)

// AccessDocument says what a customer, or a user of the application, may use: the best
// that all of their subscriptions give together. It depends on the records of these
// subscriptions only. A subscription that ended after a newer one had begun changes
// nothing.
type AccessDocument struct {
	// Access is the best access that a subscription gives: granted, grace or none.
	Access string `json:"access"`
	// SubscriptionID is the subscription that gives Access. If there are several, it is
	// the one that does so for the longest.
	SubscriptionID string `json:"subscription_id,omitempty"`
	// Since is when that subscription began.
	Since time.Time `json:"since,omitzero"`
	// Until is when that subscription will end; absent if no end is known, and for
	// access none.
	Until time.Time `json:"until,omitzero"`
	// Subscriptions are the ids of all subscriptions, ended ones included, sorted.
	Subscriptions []string `json:"subscriptions,omitempty"`
	// Products are what the subscriptions that give access include.
	Products []AccessProduct `json:"products,omitempty"`
	// Features are the lookup keys of the customers' active entitlements, sorted.
	// See https://docs.stripe.com/billing/entitlements
	Features []string `json:"features,omitempty"`
	// UserID is the user. In the document of a customer, it is set if all of the
	// customer's subscriptions belong to one user.
	UserID string `json:"user_id,omitempty"`
	// CustomerIDs are the customers of the subscriptions, sorted.
	CustomerIDs []string `json:"customer_ids,omitempty"`
	// Explanation says in a sentence why, for a person.
	Explanation string `json:"explanation"`
	// Ambiguous is true if events that cannot be ordered leave open what the access, or
	// the products, are. If they leave open something else, it is false.
	Ambiguous bool `json:"ambiguous,omitempty"`
	// Revision starts at 1 and grows with every change of the document.
	Revision int64 `json:"revision"`
	// UpdatedAt is when the document changed, by the subscriber's clock, in milliseconds.
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// AccessProduct is one item of a subscription that gives access.
type AccessProduct struct {
	ProductID string `json:"product_id,omitempty"`
	PriceID   string `json:"price_id,omitempty"`
	Quantity  *int64 `json:"quantity,omitempty"`
	// ProductName, Nickname and LookupKey are those of the record's item. They are not in
	// messages: that they change is not a change of access.
	ProductName string `json:"product_name,omitempty"`
	Nickname    string `json:"nickname,omitempty"`
	LookupKey   string `json:"lookup_key,omitempty"`
	// SubscriptionID is the subscription that includes it, and Access what that gives.
	SubscriptionID string `json:"subscription_id"`
	Access         string `json:"access"`
}

// SameAnswer reports whether two documents give the same answer: what may be used, by
// whom, since when and until when. Explanations, names, revisions, times of change, and the
// lists of all subscriptions and customers can differ.
func (d AccessDocument) SameAnswer(as AccessDocument) bool {
	d, as = d.WithoutNames(), as.WithoutNames()
	for _, doc := range []*AccessDocument{&d, &as} {
		doc.Explanation, doc.Subscriptions, doc.CustomerIDs = "", nil, nil
	}
	return d.SameDocument(as)
}

// WithoutNames returns the document as it is in messages.
func (d AccessDocument) WithoutNames() AccessDocument {
	d.Products = slices.Clone(d.Products)
	for i := range d.Products {
		p := &d.Products[i]
		p.ProductName, p.Nickname, p.LookupKey = "", "", ""
	}
	return d
}

// SameDocument reports whether two documents are equal, except for their revisions and
// when they changed.
func (d AccessDocument) SameDocument(as AccessDocument) bool {
	d.Revision, d.UpdatedAt, as.Revision, as.UpdatedAt = 0, time.Time{}, 0, time.Time{}
	return equal(&d, &as)
}

// AccessSubject returns the subject of the message about a change of access; "" if there
// is nothing to say. The zero document means that there was none.
func AccessSubject(before, after AccessDocument) string {
	had, has := before.Access != "" && before.Access != AccessNone, after.Access != AccessNone
	switch {
	case !had && !has, before.SameAnswer(after):
		return ""
	case !had:
		return SubjectAccessGranted
	case !has:
		return SubjectAccessRevoked
	}
	return SubjectAccessChanged
}
