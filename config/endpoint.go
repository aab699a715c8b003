package config

import (
	"net"
	"net/url"
	"slices"
)

// EndpointCheck returns the settings of "bridge endpoint check", bound to c.
func EndpointCheck(c *Bridge) Settings {
	e := &c.Endpoint
	return slices.Concat(Settings{
		{Flag: "url", Value: "URL", Meaning: "the address of your bridge, as Stripe sees it (default: every endpoint whose path is WEBHOOK_PATH)", convert: publicURL(&e.URL)},
		{Flag: "account", Value: "ID", Default: "all", Meaning: "only the endpoints of this account, acct_… or platform; all is every account with a key of its own", convert: oneAccount(&e.Account)},
		{Flag: "json", NoValue: "true", Meaning: "print each endpoint, each finding, and the summary last, as a line of JSON", convert: onOff(&e.JSON)},
	}, endpointReader(c))
}

// EndpointCreate returns the settings of "bridge endpoint create", bound to c.
func EndpointCreate(c *Bridge) Settings {
	e := &c.Endpoint
	return slices.Concat(Settings{
		{Flag: "url", Value: "URL", Required: "the address of your bridge, as Stripe sees it", Meaning: "the address of your bridge, as Stripe sees it: https://your.host/webhooks/stripe", convert: publicURL(&e.URL), check: e.fitsPath(&c.Webhook)},
		{Flag: "secret-file", Value: "FILE", Required: "the new file that gets the signing secret", Meaning: "the new file that gets the signing secret, for STRIPE_WEBHOOK_SECRETS_FILE", convert: text(&e.SecretFile)},
		{Flag: "account", Value: "ID", Default: "platform", Meaning: "create it in this account, acct_…, not in that of STRIPE_API_KEY", convert: oneAccount(&e.Account), check: func(r *reader) {
			if e.Account == "all" {
				r.fault("--account", "must be platform or acct_…: an endpoint belongs to one account")
			}
		}},
		{Flag: "connect", NoValue: "true", Meaning: "for events of connected accounts, instead of the account's own", convert: onOff(&e.Connect)},
		{Flag: "api-version", Value: "VERSION", Shown: "the account's", Meaning: "API version of the events, like 2025-09-30.clover", convert: apiVersion(&e.Version)},
		{Flag: "events", Value: "TYPES", Shown: "what Billbus can use", Meaning: "types of events to select, comma-separated", convert: list(&e.Events)},
	}, endpointReader(c))
}

func endpointReader(c *Bridge) Settings {
	mode := livemode(&c.Webhook)
	mode.Required, mode.Default, mode.Meaning = "", "any", "mode of the bridge's events: live, test, or any"
	return append(Settings{mode, webhookPath(&c.Webhook)}, stripeAPI(&c.StripeAPI, &c.Webhook.Livemode).
		with("STRIPE_API_VERSION", func(s *Setting) {
			s.check = func(r *reader) { c.needsKey(r, "STRIPE_API_KEY") }
		})...)
}

// publicURL accepts what Stripe can reach.
func publicURL(field *string) func(value) {
	return func(v value) {
		*field = v.text
		u, err := url.Parse(v.text)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http":
			v.fault("must be like https://your.host/webhooks/stripe, without a login and without #")
		case local(u.Hostname()):
			v.fault("is on this machine or in a private network, where Stripe cannot reach it: give the public address")
		}
	}
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return loopback(host) || ip != nil && (ip.IsPrivate() || ip.IsUnspecified() || ip.IsLinkLocalUnicast())
}

// fitsPath refuses an address where the bridge would answer 404.
func (e *Endpoint) fitsPath(w *Webhook) func(*reader) {
	return func(r *reader) {
		if u, err := url.Parse(e.URL); e.URL != "" && err == nil && u.Path != w.Path {
			r.fault("--url", "its path must be %s: the bridge answers 404 elsewhere; if a proxy changes the path, give WEBHOOK_PATH as Stripe sees it", quote(w.Path))
		}
	}
}
