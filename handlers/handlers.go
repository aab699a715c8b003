// Package handlers has the entry points for data: [Webhook] publishes an HTTP
// request from Stripe on the stream, [Commit] stores a message of the stream, and
// [Resolve] reads from Stripe what a message leaves out, and publishes that.
//
// The handlers know the interfaces that they need, and no SDK. Each translates its
// errors in one place: into an HTTP status, or into the outcome of a message.
package handlers

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
)

// requireAll returns an error that names a field of a handler's configuration
// which is not set.
func requireAll(cfg any) error {
	v := reflect.ValueOf(cfg)
	for field, value := range v.Fields() {
		if value.IsZero() {
			return fmt.Errorf("handlers: %s.%s is not set", v.Type().Name(), field.Name)
		}
	}
	return nil
}

// milliseconds is a duration as the logs have it.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Describe is what a log line says about a message, in all programs alike. Nothing of it
// can contain other parts of the payload.
func Describe(msg events.Message) []any {
	attrs := []any{"event_id", events.SafeID(msg.ID), "type", safeType(msg.StripeType), "subject", msg.Type}
	if id := subscriptionID(msg); id != "" {
		attrs = append(attrs, "subscription_id", events.SafeID(id))
	}
	return attrs
}

// safeType is Stripe's type, or "unknown" if it has characters that a subject cannot have.
func safeType(stripeType string) string {
	return strings.TrimPrefix(events.StripeSubject(stripeType), "stripe.")
}

// subscriptionID is the subscription that a message is about, or "".
func subscriptionID(msg events.Message) string {
	switch d := msg.Data; {
	case d.Subscription != nil:
		return d.Subscription.ID
	case d.Invoice != nil:
		return d.Invoice.SubscriptionID
	case d.CheckoutSession != nil:
		return d.CheckoutSession.SubscriptionID
	case strings.HasPrefix(msg.StripeType, events.ThinSubscription):
		return msg.Subject
	}
	return ""
}
