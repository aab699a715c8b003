package events

import (
	"regexp"
	"strings"
)

// Subjects of the stream. [StreamSubjects] lists what the stream captures.
const (
	SubjectSubscriptions = "subscription.*"
	SubjectStripe        = "stripe.>"
	SubjectUserLinked    = "billbus.user.linked"
	// SubjectSnapshot is for subscriptions as read from Stripe's API.
	SubjectSnapshot = "subscription.snapshot"
	// SubjectEntitlements is for summaries of what a customer is entitled to.
	SubjectEntitlements = "stripe." + EntitlementsSummary + ".updated"
	// SubjectEntitlementsSnapshot is for such summaries as read from Stripe's API.
	SubjectEntitlementsSnapshot = "stripe." + EntitlementsSummary + ".snapshot"
	// SubjectCustomerSnapshot, SubjectProductSnapshot and SubjectPriceSnapshot are for
	// such objects as read from Stripe's API.
	SubjectCustomerSnapshot = "stripe.customer.snapshot"
	SubjectProductSnapshot  = "stripe.product.snapshot"
	SubjectPriceSnapshot    = "stripe.price.snapshot"
	// SubjectThinSubscriptions is for thin events about a subscription.
	SubjectThinSubscriptions = "stripe." + ThinSubscription + ">"

	// Subjects of changes of access, and what matches all of them.
	SubjectAccess        = accessPrefix + "*"
	SubjectAccessGranted = accessPrefix + "granted" // from none to granted or grace
	SubjectAccessChanged = accessPrefix + "changed" // something else in the answer
	SubjectAccessRevoked = accessPrefix + "revoked" // to none

	subscriptionPrefix = "subscription."
	stripePrefix       = "stripe."
	accessPrefix       = "access."
	subjectUnknown     = "stripe.unknown"
	stripeSubscription = "customer.subscription."
	maxSubject         = 255
)

// Stripe's types of the three events that create, change and end a subscription.
// See https://docs.stripe.com/api/events/types
const (
	StripeTypeCreated = stripeSubscription + "created"
	StripeTypeUpdated = stripeSubscription + "updated"
	StripeTypeDeleted = stripeSubscription + "deleted"
)

// ThinSubscription is the prefix of the Stripe types of thin events about a
// subscription.
const ThinSubscription = "v1." + stripeSubscription

// EntitlementsSummary is Stripe's name for a summary of what a customer is entitled to.
// See https://docs.stripe.com/billing/entitlements
const EntitlementsSummary = "entitlements.active_entitlement_summary"

// StreamSubjects returns the subjects that the stream captures.
func StreamSubjects() []string { return append(FactSubjects(), SubjectAccess) }

// FactSubjects returns the subjects of the messages from which records are made. Changes of
// access follow from records, so they are not among them.
func FactSubjects() []string {
	return []string{SubjectSubscriptions, SubjectStripe, SubjectUserLinked}
}

// SubscriptionSubject returns the subject for a Stripe event type about a subscription:
// customer.subscription.deleted becomes subscription.canceled, and any other
// customer.subscription.X becomes subscription.X. It reports false for types that
// belong on stripe.>.
func SubscriptionSubject(stripeType string) (string, bool) {
	word, ok := strings.CutPrefix(stripeType, stripeSubscription)
	if !ok || strings.ContainsAny(word, ".[") || word == "canceled" || word == "snapshot" {
		return "", false
	}
	if word == "deleted" {
		word = "canceled"
	}
	subject := subscriptionPrefix + word
	if !isSubject(subject) {
		return "", false
	}
	return subject, true
}

// StripeSubject returns the subject for every other Stripe event type, such as
// stripe.invoice.paid, or stripe.unknown if the type cannot be part of a subject.
func StripeSubject(stripeType string) string {
	subject := stripePrefix + stripeType
	if !isSubject(subject) {
		return subjectUnknown
	}
	return subject
}

// A subject is words with dots between them. A word may be followed by other words in
// brackets, as in v2.core.account[configuration.customer].updated. This is stricter than
// NATS: it accepts only characters that Stripe uses in types.
const (
	wordPattern    = `[A-Za-z0-9_-]+`
	partPattern    = wordPattern + `(\[` + wordPattern + `(\.` + wordPattern + `)*\])?`
	subjectPattern = `^` + partPattern + `(\.` + partPattern + `)*$`
)

var validSubject = regexp.MustCompile(subjectPattern)

// isSubject reports whether a message can be published on s.
func isSubject(s string) bool { return len(s) <= maxSubject && validSubject.MatchString(s) }
