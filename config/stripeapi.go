package config

import (
	"net"
	"net/url"
	"strings"

	"github.com/billbus/billbus/internal/secret"
)

// StripeAPI says how to read from Stripe. Without a key nothing is read.
type StripeAPI struct {
	Key     secret.Text
	Base    string
	Version string // "" for the account's own
}

func (r *reader) stripeAPI() StripeAPI {
	return StripeAPI{Key: r.apiKey(), Base: r.apiBase(), Version: r.apiVersion()}
}

// apiKey refuses what Stripe would refuse anyway, and a key of the mode whose
// events are not admitted: nothing could ever be read with it.
func (r *reader) apiKey() secret.Text {
	text, source := r.content("STRIPE_API_KEY")
	mode := r.text["WEBHOOK_LIVEMODE"]
	switch {
	case text == "":
	case !matches(`(sk|rk)_[A-Za-z0-9_]+`, text):
		r.fault(source, "must be a secret key, sk_…, or a restricted one, rk_…")
	case mode == "live" && keyOf("test", text), mode == "test" && keyOf("live", text):
		r.fault(source, "is of the other mode than WEBHOOK_LIVEMODE, %s: a key reads objects of its own mode only", mode)
	}
	return secret.New(text)
}

func keyOf(mode, key string) bool { return matches(`[a-z]+_(org_)?`+mode+`_.+`, key) }

// apiBase refuses to send the key over a network in clear.
func (r *reader) apiBase() string {
	const env = "STRIPE_API_BASE"
	u, err := url.Parse(r.text[env])
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		r.fault(env, "must be https:// and a host and no more")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		r.fault(env, "must be https://: with http:// the key could be read on its way (allowed on this machine only)")
	case u.Scheme != "http" && u.Scheme != "https":
		r.fault(env, "must begin with https://")
	}
	return strings.TrimRight(r.text[env], "/")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (r *reader) apiVersion() string {
	const env = "STRIPE_API_VERSION"
	version := r.text[env]
	if version != "" && !matches(`[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[a-z]+)?`, version) {
		r.fault(env, "must be a version of Stripe's API, like 2025-09-30.clover, not %s", quote(version))
	}
	return version
}
