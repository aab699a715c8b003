// Package kit is what the tests of several packages share: messages about one
// subscription, signed webhooks, a fake of Stripe's API, processes, and waiting for a
// condition. Only tests import it.
package kit
