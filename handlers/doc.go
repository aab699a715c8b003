// Package handlers holds the entry points of the data: [Webhook] takes an
// HTTP request from Stripe to the stream, [Record] a message from the stream to
// the store, and [Resolve] a message to Stripe, for what it leaves out, and back.
//
// All are written against what they need, not against what provides it: no
// SDK is named here. Each is the one place where its kind of error becomes an
// answer, an HTTP status or the outcome of a message.
package handlers
