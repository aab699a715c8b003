package config

import (
	"net"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/normalize"
)

func webhook(w *Webhook) Settings {
	return slices.Concat(
		Settings{
			{Env: "LISTEN_ADDR", Default: ":8080", Meaning: "where webhooks are received, host:port", convert: addr(&w.Addr)},
			webhookPath(w),
		},
		signingSecrets(w),
		Settings{
			livemode(w),
			admittedAccounts(w),
			tolerance(w),
			{Env: "WEBHOOK_MAX_BYTES", Default: "1000000", Meaning: "largest body that is accepted", convert: number(&w.MaxBytes, 1, 16<<20)},
			{Env: "WEBHOOK_BODY_BUDGET", Default: "67108864", Meaning: "memory for all bodies in progress, in bytes; webhooks that do not fit are answered 503", convert: number(&w.BodyBudget, 1<<20, 1<<40)},
			{Env: "WEBHOOK_MAX_CONNECTIONS", Default: "2000", Meaning: "connections that are open at the same time; one more replaces the oldest without a verified webhook, or waits", convert: number(&w.MaxConnections, 1, 1_000_000)},
			{Env: "PUBLISH_TIMEOUT", Default: "3s", Meaning: "how long a webhook waits for the stream before it is answered 503", convert: duration(&w.PublishTimeout, positive)},
			userIDKeys(w),
			clientReference(w),
			redactKeys(w),
		},
	)
}

func signingSecrets(w *Webhook) Settings {
	return Settings{
		{
			Env: "STRIPE_WEBHOOK_SECRETS", Required: "the endpoint's signing secret, whsec_…", convert: parseSecrets(&w.Secrets),
			Meaning: "signing secrets, [name[@acct_…]=]whsec_…, separated by commas or newlines",
		},
		{Env: "STRIPE_WEBHOOK_SECRETS_FILE", Value: "FILE", Meaning: "file with the signing secrets; read again when it changes, and on SIGHUP", convert: text(&w.SecretsFile)},
	}
}

func webhookPath(w *Webhook) Setting {
	return Setting{
		Env: "WEBHOOK_PATH", Default: "/webhooks/stripe", Meaning: "path of the webhook endpoint; a query string is ignored", convert: urlPath(&w.Path),
	}
}

func livemode(w *Webhook) Setting {
	return Setting{
		Env: "WEBHOOK_LIVEMODE", Required: "live, test or any", Words: []string{"live", "test", "any"},
		Meaning: "mode whose events are admitted: live, test or any", convert: word(&w.Livemode),
	}
}

func admittedAccounts(w *Webhook) Setting {
	return Setting{
		Env: "WEBHOOK_ACCOUNTS", Default: "platform", Meaning: "accounts whose events are admitted: any, or a list of platform and acct_…; those that a secret names always are",
		convert: accounts(&w.Accounts),
	}
}

func userIDKeys(w *Webhook) Setting {
	return Setting{
		Env: "USER_ID_METADATA_KEYS", Default: "user_id,userId,userid,uid", Meaning: "metadata keys that can hold the application's user id, in order of preference",
		convert: list(&w.UserIDKeys),
	}
}

func clientReference(w *Webhook) Setting {
	return Setting{
		Env: "USER_ID_CLIENT_REFERENCE", Default: "api", Words: []string{"api", "all", "off"}, convert: word(&w.ClientReference),
		Meaning: "use client_reference_id as the user id: of Checkout sessions that the application created (api), of Payment Links too (all), or never (off)",
	}
}

func redactKeys(w *Webhook) Setting {
	return Setting{
		Env: "REDACT_KEYS", Default: "hosted_invoice_url,invoice_pdf,receipt_url", convert: list(&w.RedactKeys), check: w.redactable,
		Meaning: "keys whose values are redacted, in addition to those that always are",
	}
}

// reading returns the bridge's settings that say how an event is read, for commands
// that read it again. They take effect only if WEBHOOK_LIVEMODE is set.
func reading(w *Webhook) Settings {
	return Settings{livemode(w), admittedAccounts(w), userIDKeys(w), clientReference(w)}.
		with("WEBHOOK_LIVEMODE", func(s *Setting) { s.Required = "" }).
		with("WEBHOOK_ACCOUNTS", func(s *Setting) {
			s.Meaning = "accounts whose events are admitted: any, or a list of platform and acct_…; also list those that the bridge's secrets name"
		})
}

// tolerance is at least a second, since signatures have whole seconds.
func tolerance(w *Webhook) Setting {
	return Setting{
		Env: "WEBHOOK_TOLERANCE", Default: "5m", Meaning: "how far a signature's time may be in the past or the future", convert: duration(&w.Tolerance, time.Second),
	}
}

// urlPath refuses what the server would redirect: Stripe counts a redirect as a failure.
func urlPath(field *string) func(value) {
	return func(v value) {
		*field = v.text
		switch {
		case !strings.HasPrefix(v.text, "/"):
			v.fault("must start with /, not be %s", quote(v.text))
		case !matches(`[!-~]+`, v.text) || strings.ContainsAny(v.text, "?#%{}"):
			v.fault("must be plain characters without ?, #, %%, { or }")
		case path.Clean(v.text) != v.text && path.Clean(v.text)+"/" != v.text:
			v.fault("must not contain //, /./ or /../")
		}
	}
}

func accounts(field *[]string) func(value) {
	return func(v value) {
		*field = split(v.text)
		if len(*field) == 0 {
			v.fault("must not be empty")
		}
		if len(*field) > 1 && slices.Contains(*field, "any") {
			v.fault("any cannot be combined with other entries")
		}
		for i, account := range *field {
			if account != "any" && account != "platform" && !isAccount(account) {
				v.fault("entry %d must be any, platform or acct_…, not %s", i+1, quote(account))
			}
		}
	}
}

// redactable refuses keys without which an event cannot be understood.
func (w *Webhook) redactable(r *reader) {
	for _, key := range w.RedactKeys {
		switch {
		case normalize.CannotRedact(key):
			r.fault("REDACT_KEYS", "%s cannot be redacted: events are not understood without it", key)
		case slices.Contains(w.UserIDKeys, key):
			r.fault("REDACT_KEYS", "%s cannot be redacted: it is one of USER_ID_METADATA_KEYS, and all users would be one", key)
		}
	}
}

func stripeAPI(api *StripeAPI, livemode *string) Settings {
	return Settings{
		{
			Env: "STRIPE_API_KEY", Meaning: "secret or restricted key to read from Stripe, with read access to Subscriptions, Events and Entitlements; for import also to Customers, Products and Prices; for endpoint to Webhook Endpoints alone",
			convert: apiKey(&api.Key, livemode), check: api.checkKeys,
		},
		{Env: "STRIPE_API_KEY_FILE", Value: "FILE", Meaning: "file with the key"},
		{
			Env: "STRIPE_API_KEYS", Meaning: "keys of several accounts, acct_…=rk_…, separated by commas or newlines",
			convert: apiKeys(&api.Keys, livemode),
		},
		{Env: "STRIPE_API_KEYS_FILE", Value: "FILE", Meaning: "file with the keys of several accounts"},
		{Env: "STRIPE_API_BASE", Default: "https://api.stripe.com", Meaning: "Stripe's API: https:// and a host, or http:// on this machine", convert: apiBase(&api.Base)},
		{Env: "STRIPE_API_VERSION", Shown: "the account's", Meaning: "API version of Stripe's answers", convert: apiVersion(&api.Version)},
	}
}

// apiBase refuses to send the key over a network unencrypted.
func apiBase(field *string) func(value) {
	return func(v value) {
		*field = strings.TrimRight(v.text, "/")
		u, err := url.Parse(v.text)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
			v.fault("must be https:// and a host and nothing else")
		case u.Scheme == "http" && !loopback(u.Hostname()):
			v.fault("must be https://: http:// would send the key unencrypted (allowed on this machine only)")
		case u.Scheme != "http" && u.Scheme != "https":
			v.fault("must begin with https://")
		}
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func apiVersion(field *string) func(value) {
	return func(v value) {
		if *field = v.text; !matches(`[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[a-z]+)?`, v.text) {
			v.fault("must be a version of Stripe's API, like 2025-09-30.clover, not %s", quote(v.text))
		}
	}
}
