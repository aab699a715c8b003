// Package events is the contract between Billbus and every program that reads
// its stream: the message on the wire, the normalized subscription inside it,
// the subjects it travels on, and the rule that turns a set of events into one
// state.
//
// It imports the standard library only, so that a consumer can depend on it
// without taking on any of Billbus's own dependencies. A consumer needs two
// calls:
//
//	msg, err := events.Decode(payload)
//	if err == nil && msg.Data.Subscription != nil {
//		// msg.Data.Subscription is the same whatever Stripe API version
//		// rendered the event.
//	}
//
// Names are Stripe's own in its newest API version; a reference to another
// object adds "_id". Times are UTC with a precision of one second unless said
// otherwise, amounts are integers in the currency's smallest unit, and an
// absent field means unknown or not set.
//
// Fields are only ever added. A change that would break a reader raises
// [SchemaVersion].
package events
