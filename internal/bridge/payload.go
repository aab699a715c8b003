package bridge

import "sync/atomic"

// warnSmallPayload returns a function that logs a warning after a connect if the NATS
// server takes smaller messages than WEBHOOK_MAX_BYTES admits webhooks. It does so again
// only if the limit of the server changes.
func (b *Bridge) warnSmallPayload() func() {
	var last atomic.Int64
	return func() {
		limit := int64(b.bus.MaxMessage())
		if last.Swap(limit) == limit || limit >= b.cfg.Webhook.MaxBytes {
			return
		}
		b.deps.Log.Warn("max_payload of the NATS server is small: larger webhooks are published without Stripe's event, and change no record if that is not enough",
			"largest_message", limit, "webhook_max_bytes", b.cfg.Webhook.MaxBytes)
	}
}
