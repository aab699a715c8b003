package config_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/secret"
)

func accountKeys(pairs ...string) []config.AccountKey {
	var keys []config.AccountKey
	for i := 0; i < len(pairs); i += 2 {
		keys = append(keys, config.AccountKey{Account: pairs[i], Key: secret.New(pairs[i+1])})
	}
	return keys
}

func TestStripeAPI(t *testing.T) {
	t.Parallel()
	file := write(t, "rk_live_hunter2\n")
	several := write(t, "# shops\nacct_1=rk_live_hunter2\n\nacct_2=rk_live_hunter3\n")
	for _, tt := range []struct {
		name string
		env  env
		want config.StripeAPI
	}{
		{"no key", env{}, config.StripeAPI{Base: "https://api.stripe.com"}},
		{"secret key", env{"STRIPE_API_KEY": "sk_live_hunter2"}, config.StripeAPI{Key: secret.New("sk_live_hunter2"), Base: "https://api.stripe.com"}},
		{"key in a file", env{"STRIPE_API_KEY_FILE": file}, config.StripeAPI{Key: secret.New("rk_live_hunter2"), Base: "https://api.stripe.com"}},
		{"key of unknown mode", env{"STRIPE_API_KEY": "sk_hunter2"}, config.StripeAPI{Key: secret.New("sk_hunter2"), Base: "https://api.stripe.com"}},
		{
			"either mode",
			env{"STRIPE_API_KEY": "sk_test_hunter2", "WEBHOOK_LIVEMODE": "any"},
			config.StripeAPI{Key: secret.New("sk_test_hunter2"), Base: "https://api.stripe.com"},
		},
		{
			"local server and version",
			env{"STRIPE_API_BASE": "http://127.0.0.1:12111/", "STRIPE_API_VERSION": "2025-09-30.clover"},
			config.StripeAPI{Base: "http://127.0.0.1:12111", Version: "2025-09-30.clover"},
		},
		{
			"keys of several accounts",
			env{"STRIPE_API_KEYS": "acct_1=rk_live_hunter2, acct_2 = sk_live_hunter3"},
			config.StripeAPI{Keys: accountKeys("acct_1", "rk_live_hunter2", "acct_2", "sk_live_hunter3"), Base: "https://api.stripe.com"},
		},
		{
			"keys in a file, and one of a platform",
			env{"STRIPE_API_KEYS_FILE": several, "STRIPE_API_KEY": "rk_live_hunter1"},
			config.StripeAPI{
				Key: secret.New("rk_live_hunter1"), Keys: accountKeys("acct_1", "rk_live_hunter2", "acct_2", "rk_live_hunter3"), Base: "https://api.stripe.com",
			},
		},
		{
			"key of an organization",
			env{"STRIPE_API_KEY": "sk_org_live_hunter2", "STRIPE_API_VERSION": "2025-09-30.clover"},
			config.StripeAPI{Key: secret.New("sk_org_live_hunter2"), Base: "https://api.stripe.com", Version: "2025-09-30.clover"},
		},
		{"local server on IPv6", env{"STRIPE_API_BASE": "http://[::1]:12111"}, config.StripeAPI{Base: "http://[::1]:12111"}},
		{"local server by name", env{"STRIPE_API_BASE": "http://localhost"}, config.StripeAPI{Base: "http://localhost"}},
		{"old version", env{"STRIPE_API_VERSION": "2017-05-25"}, config.StripeAPI{Base: "https://api.stripe.com", Version: "2017-05-25"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := minimal()
			maps.Copy(e, tt.env)
			b, err := loadBridge(nil, e.get)
			if err != nil {
				t.Fatal(err)
			}
			s, err := loadStandalone(nil, e.get)
			if err != nil {
				t.Fatal(err)
			}
			for _, got := range []config.StripeAPI{b.StripeAPI, s.StripeAPI} {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("settings (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestStripeAPIFaults(t *testing.T) {
	t.Parallel()
	file := write(t, "hunter2")
	for _, tt := range []struct {
		name string
		env  env
		want string
	}{
		{"publishable key", env{"STRIPE_API_KEY": "pk_live_hunter2"}, "STRIPE_API_KEY: must be a secret key, sk_…"},
		{"signing secret", env{"STRIPE_API_KEY": "whsec_hunter2"}, "STRIPE_API_KEY: must be a secret key, sk_…"},
		{"key with a line in it", env{"STRIPE_API_KEY": "sk_live_hunter2\nX: y"}, "STRIPE_API_KEY: must be a secret key, sk_…"},
		{"no key in the file", env{"STRIPE_API_KEY_FILE": file}, "STRIPE_API_KEY_FILE: must be a secret key, sk_…"},
		{"key and file", env{"STRIPE_API_KEY": "sk_live_hunter2", "STRIPE_API_KEY_FILE": file}, "STRIPE_API_KEY: set together with STRIPE_API_KEY_FILE"},
		{"key instead of its file", env{"STRIPE_API_KEY_FILE": "sk_live_hunter2"}, "STRIPE_API_KEY_FILE: cannot be read: no such file"},
		{"keys without accounts", env{"STRIPE_API_KEYS": "rk_live_hunter2"}, "STRIPE_API_KEYS: entry 1: must be acct_…=rk_…"},
		{"name for an account", env{"STRIPE_API_KEYS": "main=rk_live_hunter2"}, "STRIPE_API_KEYS: entry 1: must be acct_…=rk_…"},
		{"account without a key", env{"STRIPE_API_KEYS": "acct_1=rk_live_a,acct_hunter2"}, "STRIPE_API_KEYS: entry 2: must be a secret key"},
		{"signing secret of an account", env{"STRIPE_API_KEYS": "acct_1=whsec_hunter2"}, "STRIPE_API_KEYS: entry 1: must be a secret key"},
		{"account twice", env{"STRIPE_API_KEYS": "acct_1=rk_live_hunter2,acct_1=rk_live_b"}, "STRIPE_API_KEYS: entry 2: its account has a key"},
		{"key twice", env{"STRIPE_API_KEYS": "acct_1=rk_live_hunter2,acct_2=rk_live_hunter2"}, "STRIPE_API_KEYS: entry 2: the same key as an earlier entry"},
		{"no keys", env{"STRIPE_API_KEYS": " , "}, "STRIPE_API_KEYS: contains no key"},
		{"no keys in the file", env{"STRIPE_API_KEYS_FILE": write(t, "# hunter2\n")}, "STRIPE_API_KEYS_FILE: contains no key"},
		{"keys and file", env{"STRIPE_API_KEYS": "acct_1=rk_live_hunter2", "STRIPE_API_KEYS_FILE": file}, "STRIPE_API_KEYS: set together with STRIPE_API_KEYS_FILE"},
		{"test key of an account, live events", env{"STRIPE_API_KEYS": "acct_1=rk_test_hunter2"}, "STRIPE_API_KEYS: entry 1: is of the other mode than WEBHOOK_LIVEMODE, live"},
		{
			"key of an organization among those of accounts",
			env{"STRIPE_API_KEYS": "acct_1=sk_org_live_hunter2", "STRIPE_API_VERSION": "2025-09-30.clover"},
			"STRIPE_API_KEYS: entry 1: the key of an organization is not that of one account",
		},
		{
			"key in both settings",
			env{"STRIPE_API_KEYS": "acct_1=rk_live_a,acct_2=rk_live_hunter2", "STRIPE_API_KEY": "rk_live_hunter2"},
			"STRIPE_API_KEYS: entry 2: the same key as STRIPE_API_KEY",
		},
		{"key of an organization without a version", env{"STRIPE_API_KEY": "sk_org_live_hunter2"}, "STRIPE_API_VERSION: required"},
		{"test key of an organization", env{"STRIPE_API_KEY": "sk_org_test_hunter2", "STRIPE_API_VERSION": "2025-09-30.clover"}, "STRIPE_API_KEY: is of the other mode"},
		{"test key, live events", env{"STRIPE_API_KEY": "rk_test_hunter2"}, "STRIPE_API_KEY: is of the other mode than WEBHOOK_LIVEMODE, live"},
		{"live key, test events", env{"STRIPE_API_KEY": "sk_live_hunter2", "WEBHOOK_LIVEMODE": "test"}, "STRIPE_API_KEY: is of the other mode than WEBHOOK_LIVEMODE, test"},
		{"base without encryption", env{"STRIPE_API_BASE": "http://api.stripe.com"}, "STRIPE_API_BASE: must be https://"},
		{"base that begins like a local address", env{"STRIPE_API_BASE": "http://127.0.0.1.evil.example"}, "STRIPE_API_BASE: must be https://"},
		{"base with a login", env{"STRIPE_API_BASE": "https://bob:hunter2@a"}, "STRIPE_API_BASE: must be https:// and a host"},
		{"base with a path", env{"STRIPE_API_BASE": "https://a/v1"}, "STRIPE_API_BASE: must be https:// and a host"},
		{"base with a query", env{"STRIPE_API_BASE": "https://a?x=hunter2"}, "STRIPE_API_BASE: must be https:// and a host"},
		{"base without a scheme", env{"STRIPE_API_BASE": "api.stripe.com"}, "STRIPE_API_BASE: must be https:// and a host"},
		{"base of another scheme", env{"STRIPE_API_BASE": "ftp://a"}, "STRIPE_API_BASE: must begin with https://"},
		{"base that is not a URL", env{"STRIPE_API_BASE": "https://a:b:c"}, "STRIPE_API_BASE: must be https:// and a host"},
		{"odd version", env{"STRIPE_API_VERSION": "latest"}, `STRIPE_API_VERSION: must be a version of Stripe's API, like 2025-09-30.clover, not "latest"`},
		{"key instead of the version", env{"STRIPE_API_VERSION": "sk_live_hunter2"}, "STRIPE_API_VERSION: must be a version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := minimal()
			maps.Copy(e, tt.env)
			_, err := loadBridge(nil, e.get)
			got := faults(t, err)
			if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Errorf("got %q, want only %q", got, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got a secret in %q", err)
			}
		})
	}
}
