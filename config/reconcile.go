package config

import "slices"

// BridgeReconcile returns the settings of "bridge reconcile", bound to c. Subscriptions are
// admitted and read as events are by "bridge serve".
func BridgeReconcile(c *Bridge) Settings {
	r := &c.Reconcile
	return slices.Concat(
		selection(&r.Selection),
		Settings{
			{Flag: "publish", NoValue: "true", Meaning: "publish a snapshot of each subscription that differs", convert: onOff(&r.Publish)},
			{Flag: "show-text", NoValue: "true", Meaning: "also print values of metadata, descriptions and comments, which may be personal data", convert: onOff(&r.ShowText)},
			{Flag: "settle", Value: "DURATION", Default: "10s", Meaning: "how long to wait before the second look at what differs: webhooks may be on their way", convert: duration(&r.Settle, 0)},
			{Flag: "json", NoValue: "true", Meaning: "print each difference, and the summary last, as a line of JSON", convert: onOff(&r.JSON)},
		},
		stripeReader(c), Settings{stateView(&c.Stream)}.with("STATE_VIEW", func(s *Setting) {
			s.check = func(r *reader) {
				if !c.Stream.StateView {
					r.fault("STATE_VIEW", "is off, so there is nothing to compare with: set it to on for bridge and subscriber, and run bridge provision")
				}
			}
		}),
	)
}

// selection returns the options that say which objects to read from Stripe's API.
func selection(s *Selection) Settings {
	statuses := []string{"all", "active", "trialing", "past_due", "unpaid", "paused", "incomplete", "incomplete_expired", "canceled", "ended"}
	return Settings{
		{Flag: "created-since", Value: "TIME", Meaning: "only subscriptions created since then: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago, like 48h or 7d", convert: moment(&s.CreatedSince)},
		{Flag: "status", Value: "STATUS", Default: "all", Words: statuses, Meaning: "only subscriptions of this status", convert: word(&s.Status)},
		{Flag: "account", Value: "ID", Default: "all", Meaning: "only objects of this account, acct_… or platform; all is every admitted account with a key", convert: oneAccount(&s.Account)},
		{Flag: "rate", Value: "N", Default: "20", Meaning: "calls of Stripe's API a second at most", convert: number(&s.Rate, 1, 100)},
	}
}
