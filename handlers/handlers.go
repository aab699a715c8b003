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
	"time"
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
