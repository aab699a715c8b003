package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/billbus/billbus/internal/secret"
)

// AccountKey is an API key of one account.
type AccountKey struct {
	Account string
	Key     secret.Text
}

const organizationPrefix = "sk_org_"

// apiKey accepts the key of one account, or of an organization.
func apiKey(field *secret.Text, livemode *string) func(value) {
	return func(v value) {
		*field = secret.New(v.text)
		if err := checkKey(v.text, *livemode); err != nil {
			v.fault("%v", err)
		}
	}
}

// apiKeys accepts pairs of account and key. Faults name an entry by its position.
func apiKeys(field *[]AccountKey, livemode *string) func(value) {
	return func(v value) {
		for i, entry := range entries(v.text) {
			pair, err := parsePair(entry, *livemode)
			if err == nil {
				err = another(pair, *field)
			}
			if err != nil {
				v.fault("entry %d: %v", i+1, err)
			}
			*field = append(*field, pair)
		}
		if len(*field) == 0 {
			v.fault("contains no key")
		}
	}
}

func parsePair(entry, livemode string) (AccountKey, error) {
	account, key, _ := strings.Cut(entry, "=")
	account, key = strings.TrimSpace(account), strings.TrimSpace(key)
	pair := AccountKey{account, secret.New(key)}
	switch {
	case !isAccount(account):
		return pair, errors.New("must be acct_…=rk_… or acct_…=sk_…")
	case strings.HasPrefix(key, organizationPrefix):
		return pair, errors.New("the key of an organization is not that of one account: set it as STRIPE_API_KEY")
	}
	return pair, checkKey(key, livemode)
}

// another refuses a second key for an account, and one key for two accounts, which would read the
// objects of one as those of the other.
func another(pair AccountKey, others []AccountKey) error {
	for _, other := range others {
		if other.Account == pair.Account {
			return errors.New("its account has a key in an earlier entry")
		}
		if other.Key.Equal(pair.Key) {
			return errors.New("the same key as an earlier entry: each account has its own")
		}
	}
	return nil
}

// checkKey refuses what Stripe would refuse, and a key of the mode whose events are not admitted:
// nothing could be read with it.
func checkKey(key, livemode string) error {
	ofMode := func(mode string) bool { return matches(`[a-z]+_(org_)?`+mode+`_.+`, key) }
	switch {
	case !matches(`(sk|rk)_[A-Za-z0-9_]+`, key):
		return errors.New("must be a secret key, sk_…, or a restricted one, rk_…")
	case livemode == "live" && ofMode("test"), livemode == "test" && ofMode("live"):
		return fmt.Errorf("is of the other mode than WEBHOOK_LIVEMODE, %s: a key reads objects of its own mode only", livemode)
	}
	return nil
}

// checkKeys refuses keys that contradict each other, and an organization's key without a version:
// Stripe requires one.
func (a *StripeAPI) checkKeys(r *reader) {
	if strings.HasPrefix(a.Key.Reveal(), organizationPrefix) && a.Version == "" {
		r.fault("STRIPE_API_VERSION", "required: Stripe refuses requests with the key of an organization, sk_org_…, that name no version")
	}
	for i, pair := range a.Keys {
		if a.Key.IsSet() && pair.Key.Equal(a.Key) {
			r.fault("STRIPE_API_KEYS", "entry %d: the same key as STRIPE_API_KEY: set it in one of the two", i+1)
		}
	}
}
