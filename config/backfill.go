package config

import (
	"slices"
	"time"
)

// minBackfillInterval leaves time for Stripe to deliver what has just happened.
const minBackfillInterval = 10 * time.Second

// BridgeBackfill returns the settings of "bridge backfill", bound to c. Events are read and
// admitted as by "bridge serve".
func BridgeBackfill(c *Bridge) Settings {
	b := &c.Backfill
	return slices.Concat(
		Settings{
			{Flag: "since", Value: "TIME", Default: "30d", Meaning: "events created since then, at most 30 days ago: 2026-01-31, 2026-01-31T12:00:00Z, or how long ago, like 48h or 7d", convert: moment(&b.Since)},
			{Flag: "types", Value: "TYPES", Meaning: "only events of these types, comma-separated, at most 20, like customer.subscription.*", convert: eventTypes(&b.Types)},
			{Flag: "undelivered-only", NoValue: "true", Meaning: "only events that Stripe could not deliver to all of the account's endpoints", convert: onOff(&b.UndeliveredOnly)},
			{Flag: "gaps", NoValue: "true", Meaning: "only subscription events from the time of a gap that a subscriber has reported, and say what came of each gap", convert: onOff(&b.Gaps)},
			{Flag: "account", Value: "ID", Default: "all", Meaning: "only events of this account, acct_… or platform; all is every admitted account with a key", convert: oneAccount(&b.Account)},
		},
		stripeReader(c), Settings{
			{Flag: "dry-run", NoValue: "true", Meaning: "only count what would be published", convert: onOff(&c.DryRun)},
			{Flag: "json", NoValue: "true", Meaning: "print the counts of each account, and the summary last, as a line of JSON", convert: onOff(&b.JSON)},
		},
	)
}

// BridgeImport returns the settings of "bridge import", bound to c. Objects are admitted as
// events are by "bridge serve".
func BridgeImport(c *Bridge) Settings {
	i := &c.Import
	return slices.Concat(
		selection(&i.Selection), Settings{
			{Flag: "from-file", Value: "FILE", Meaning: "read the objects from a file, as stripe subscriptions list prints them, or JSON Lines, and ask Stripe for nothing; - is standard input", convert: text(&i.FromFile)},
		},
		stripeReader(c).with("STRIPE_API_VERSION", func(s *Setting) {
			needsKey := s.check
			s.check = func(r *reader) {
				if i.FromFile == "" {
					needsKey(r)
				}
			}
		}), Settings{
			{Flag: "dry-run", NoValue: "true", Meaning: "publish nothing: count by status, and how often each key of metadata occurs", convert: onOff(&c.DryRun)},
			{Flag: "json", NoValue: "true", Meaning: "print each count as a line of JSON", convert: onOff(&i.JSON)},
		},
	)
}

// stripeReader returns the settings of a command that reads from Stripe's API, and publishes
// as "bridge serve" would. The signing secrets only say to which account events belong.
func stripeReader(c *Bridge) Settings {
	return slices.Concat(
		signingSecrets(&c.Webhook).with("STRIPE_WEBHOOK_SECRETS", func(s *Setting) { s.Required = "" }),
		Settings{livemode(&c.Webhook), admittedAccounts(&c.Webhook), userIDKeys(&c.Webhook), clientReference(&c.Webhook), redactKeys(&c.Webhook)},
		stripeAPI(&c.StripeAPI, &c.Webhook.Livemode).with("STRIPE_API_VERSION", func(s *Setting) {
			s.check = func(r *reader) { c.needsKey(r, "STRIPE_API_KEY") }
		}),
		nats(&c.NATS), Settings{streamName(&c.Stream)}, logging(&c.Log),
	)
}

func (c *Bridge) needsKey(r *reader, name string) {
	if r.text["STRIPE_API_KEY"]+r.text["STRIPE_API_KEY_FILE"]+r.text["STRIPE_API_KEYS"]+r.text["STRIPE_API_KEYS_FILE"] == "" {
		r.fault(name, "required: a secret or restricted key of Stripe's API, in STRIPE_API_KEY or STRIPE_API_KEYS")
	}
}

func backfillInterval(c *Bridge) Setting {
	return Setting{
		Env: "BACKFILL_INTERVAL", Default: "0", Meaning: "how often to ask Stripe for events that did not arrive, and publish them; needs an API key; 0 for never",
		convert: func(v value) {
			if duration(&c.BackfillInterval, 0)(v); c.BackfillInterval != 0 && c.BackfillInterval < minBackfillInterval {
				v.fault("must be 0, for never, or at least %s", minBackfillInterval)
			}
		},
		check: func(r *reader) {
			if c.BackfillInterval != 0 {
				c.needsKey(r, "BACKFILL_INTERVAL")
			}
		},
	}
}

// eventTypes accepts what Stripe accepts.
func eventTypes(field *[]string) func(value) {
	return func(v value) {
		*field = split(v.text)
		if n := len(*field); n == 0 || n > 20 {
			v.fault("must be 1 to 20 types, not %d", n)
		}
		for i, kind := range *field {
			if !matches(`[a-z0-9_.]+(\.\*)?`, kind) {
				v.fault("entry %d must be a type like invoice.paid or invoice.*, not %s", i+1, quote(kind))
			}
		}
	}
}

func oneAccount(field *string) func(value) {
	return func(v value) {
		if *field = v.text; v.text != "all" && v.text != "platform" && !isAccount(v.text) {
			v.fault("must be all, platform or acct_…, not %s", quote(v.text))
		}
	}
}
