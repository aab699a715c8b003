package stripeapi

import (
	"strings"

	"github.com/stripe/stripe-go/v76"
)

// Keys are the keys that a client has.
type Keys struct {
	// Main is the key of an account, which may be the platform of connected
	// accounts, or of an organization; "" if there is none.
	Main string
	// Own is the account of the main key, if it is known.
	Own string
	// Accounts are keys of accounts, by their id.
	Accounts map[string]string
}

// Has reports whether there is a key with which to read an account's objects; "" is
// the account of the main key.
func (k Keys) Has(account string) bool { return k.of(account) != "" }

// Reads reports whether the key for an account can read objects of a mode. A key of an unknown
// form may be of either.
func (k Keys) Reads(account string, livemode bool) bool {
	live, known := mode(k.of(account))
	return !known || live == livemode
}

// of returns the key for an account. An organization has no objects of its own.
func (k Keys) of(account string) string {
	if key := k.Accounts[account]; key != "" {
		return key
	}
	if account == "" && k.organization() {
		return ""
	}
	return k.Main
}

// organization reports whether the main key is that of an organization.
// See https://docs.stripe.com/keys/organization-api-keys
func (k Keys) organization() bool { return strings.HasPrefix(k.Main, "sk_org_") }

// address says in the headers of a request whose object is meant. The account of the
// key itself needs none.
func (k Keys) address(params *stripe.Params, of Owner) {
	switch {
	case k.Accounts[of.Account] != "":
	case k.organization():
		params.Headers = map[string][]string{"Stripe-Context": {of.context()}}
	case of.Account != "" && of.Account != k.Own:
		params.SetStripeAccount(of.Account)
	}
}

// context returns what Stripe-Context must be: the path to the account as the event
// gives it, for a connected account of a member of the organization, or else the
// account. The path comes from a payload, so it has to look like one of Stripe's.
// See https://docs.stripe.com/context
func (o Owner) context() string {
	parts := strings.Split(o.Context, "/")
	if parts[len(parts)-1] != o.Account {
		return o.Account
	}
	for _, part := range parts {
		if !isID("acct_", part) && !isID("org_", part) {
			return o.Account
		}
	}
	return o.Context
}
