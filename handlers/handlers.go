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

// identify returns the attributes with which each log line of a message begins. They
// cannot contain other parts of the payload: a type that is not a subject is unknown.
func identify(msg events.Message) []any {
	stripeType := msg.Type
	if msg.StripeType != "" {
		stripeType = strings.TrimPrefix(events.StripeSubject(msg.StripeType), "stripe.")
	}
	attrs := []any{"event_id", events.SafeID(msg.ID), "type", stripeType, "subject", msg.Type}
	if id := subscriptionID(msg); id != "" {
		attrs = append(attrs, "subscription_id", events.SafeID(id))
	}
	return attrs
}

func subscriptionID(msg events.Message) string {
	switch data := msg.Data; {
	case data.Subscription != nil:
		return data.Subscription.ID
	case data.Invoice != nil:
		return data.Invoice.SubscriptionID
	case data.CheckoutSession != nil:
		return data.CheckoutSession.SubscriptionID
	case strings.HasPrefix(msg.StripeType, events.ThinSubscription):
		return msg.Subject
	}
	return ""
}

// milliseconds is a duration as the logs have it.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
