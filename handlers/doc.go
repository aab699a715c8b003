// Package handlers holds the two entry points of the data: [Webhook] takes an
// HTTP request from Stripe to the stream, [Record] takes a message from the
// stream to the store.
//
// Both are written against what they need, not against what provides it: no
// SDK is named here. Each is the one place where its kind of error becomes an
// answer, an HTTP status or the outcome of a message.
package handlers
