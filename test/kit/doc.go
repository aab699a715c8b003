// Package kit is what the tests of several packages share: messages about one
// subscription, waiting for a condition, and a buffer that goroutines may write to.
// Only tests import it.
package kit
