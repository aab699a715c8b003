// Package events is the contract between Billbus and the programs that read its
// stream: the message, the normalized subscription in it, and the subjects. Package
// ordering, below it, decides which event of a subscription is the last.
//
// It imports only the standard library and github.com/go-json-experiment/json, which is
// the standard library's encoding/json/v2 from Go 1.27 on. A consumer needs two calls:
//
//	msg, err := events.Decode(payload)
//	if err == nil && msg.Data.Subscription != nil {
//		// msg.Data.Subscription has the same fields in every API version of Stripe.
//	}
//
// Names are Stripe's own in its newest API version; a reference to another object adds
// "_id". Unless a comment says otherwise, times are in UTC and in whole seconds,
// amounts are integers in the currency's smallest unit, and an absent field means
// unknown or not set.
//
// Fields are only ever added. A change that would break a reader raises
// [SchemaVersion].
package events
