package config_test

import (
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nkeys"

	"github.com/billbus/billbus/config"
)

// TestValues checks which values are accepted, and how they are read.
func TestValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		args []string
		env  env
		got  func(c config.Bridge) any
		want any
	}{
		{"flag wins over environment", []string{"--log-level=debug"}, env{"LOG_LEVEL": "error"}, func(c config.Bridge) any { return c.Log.Level }, slog.LevelDebug},
		{"flag with one dash", []string{"-shutdown-timeout", "5s"}, nil, func(c config.Bridge) any { return c.ShutdownTimeout }, 5 * time.Second},
		{"flag before the command", []string{"--log-level", "warn", "serve"}, nil, func(c config.Bridge) any { return c.Log.Level }, slog.LevelWarn},
		{"empty variable is unset", nil, env{"STREAM_NAME": ""}, func(c config.Bridge) any { return c.Stream.Name }, "BILLBUS"},
		{"empty flag empties a list", []string{"--redact-keys="}, nil, func(c config.Bridge) any { return len(c.Webhook.RedactKeys) }, 0},
		{"empty flag overrides the environment", []string{"--nats-token="}, env{"NATS_TOKEN": hidden}, func(c config.Bridge) any { return c.NATS.Token.IsSet() }, false},
		{"negative value in an argument of its own", []string{"--stream-max-bytes", "-1"}, nil, func(c config.Bridge) any { return c.Stream.MaxBytes }, int64(-1)},
		{"days", nil, env{"STREAM_MAX_AGE": "34d"}, func(c config.Bridge) any { return c.Stream.MaxAge }, 34 * 24 * time.Hour},
		{"days and hours", nil, env{"STREAM_MAX_AGE": "40d12h"}, func(c config.Bridge) any { return c.Stream.MaxAge }, (40*24 + 12) * time.Hour},
		{"window follows a lesser age", nil, env{"STREAM_MAX_AGE": "24h"}, func(c config.Bridge) any { return c.Stream.DuplicateWindow }, 24 * time.Hour},
		{"window stays below a greater age", nil, env{"STREAM_MAX_AGE": "60d"}, func(c config.Bridge) any { return c.Stream.DuplicateWindow }, 72 * time.Hour},
		{"window as long as the age", nil, env{"STREAM_MAX_AGE": "1h", "STREAM_DUPLICATE_WINDOW": "60m"}, func(c config.Bridge) any { return c.Stream.DuplicateWindow }, time.Hour},
		{"window without an age", nil, env{"STREAM_DUPLICATE_WINDOW": "90d"}, func(c config.Bridge) any { return c.Stream.DuplicateWindow }, 90 * 24 * time.Hour},
		{"check only", nil, env{"PROVISION": "check"}, func(c config.Bridge) any { return c.Provision }, "check"},
		{"several accounts", nil, env{"WEBHOOK_ACCOUNTS": "platform, acct_1"}, func(c config.Bridge) any { return c.Webhook.Accounts }, []string{"platform", "acct_1"}},
		{"path with a slash at its end", nil, env{"WEBHOOK_PATH": "/hooks/"}, func(c config.Bridge) any { return c.Webhook.Path }, "/hooks/"},
		{"root path", nil, env{"WEBHOOK_PATH": "/"}, func(c config.Bridge) any { return c.Webhook.Path }, "/"},
		{"text log", nil, env{"LOG_FORMAT": "text"}, func(c config.Bridge) any { return c.Log.Format }, "text"},
		{"IPv6 address", nil, env{"LISTEN_ADDR": "[::1]:0"}, func(c config.Bridge) any { return c.Webhook.Addr }, "[::1]:0"},
		{"list of servers", nil, env{"NATS_URL": "a, tls://b:4333 ,nats://[::1]:4222/"}, func(c config.Bridge) any { return c.NATS.URL }, "nats://a,tls://b:4333,nats://[::1]:4222"},
		{"web sockets", nil, env{"NATS_URL": "wss://a,ws://b"}, func(c config.Bridge) any { return c.NATS.URL }, "wss://a,ws://b"},
		{"credentials in the URL", nil, env{"NATS_URL": "nats://bob:p%40ss@a,nats://bob:p%40ss@b"}, func(c config.Bridge) any {
			return []string{c.NATS.URL, c.NATS.User, c.NATS.Password.Reveal()}
		}, []string{"nats://a,nats://b", "bob", "p@ss"}},
		{"token in the URL", nil, env{"NATS_URL": "nats://t0ken@a,b"}, func(c config.Bridge) any {
			return []string{c.NATS.URL, c.NATS.User, c.NATS.Token.Reveal()}
		}, []string{"nats://a,nats://b", "", "t0ken"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := minimal()
			maps.Copy(e, tt.env)
			c, err := loadBridge(tt.args, e.get)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.got(c)); diff != "" {
				t.Errorf("value (-want +got):\n%s", diff)
			}
		})
	}
}

// TestValueFaults checks each rule alone. The fault names the setting.
func TestValueFaults(t *testing.T) {
	t.Parallel()
	file := write(t, "x")
	userSeed, accountSeed := newSeed(t, nkeys.PrefixByteUser), newSeed(t, nkeys.PrefixByteAccount)
	jwt := "-----BEGIN NATS USER JWT-----\ne30.e30.c2ln\n------END NATS USER JWT------\n"
	credentials := jwt + "-----BEGIN USER NKEY SEED-----\n" + userSeed + "\n------END USER NKEY SEED------\n"
	for _, tt := range []struct {
		name string
		env  env
		want string
	}{
		{"no secrets", env{"STRIPE_WEBHOOK_SECRETS": ""}, "STRIPE_WEBHOOK_SECRETS: required"},
		{"bad secret", env{"STRIPE_WEBHOOK_SECRETS": "main=hunter2"}, "STRIPE_WEBHOOK_SECRETS: entry 1: its value"},
		{"secrets and file", env{"STRIPE_WEBHOOK_SECRETS_FILE": file}, "STRIPE_WEBHOOK_SECRETS: set together with STRIPE_WEBHOOK_SECRETS_FILE"},
		{"secret instead of its file", env{"STRIPE_WEBHOOK_SECRETS": "", "STRIPE_WEBHOOK_SECRETS_FILE": "whsec_hunter2"}, "STRIPE_WEBHOOK_SECRETS_FILE: cannot be read: no such file"},
		{"no livemode", env{"WEBHOOK_LIVEMODE": ""}, "WEBHOOK_LIVEMODE: required"},
		{"odd livemode", env{"WEBHOOK_LIVEMODE": "true"}, `WEBHOOK_LIVEMODE: must be live or test or any, not "true"`},
		{"odd account", env{"WEBHOOK_ACCOUNTS": "platform,acct-1"}, "WEBHOOK_ACCOUNTS: entry 2 must be"},
		{"any among others", env{"WEBHOOK_ACCOUNTS": "any,platform"}, "WEBHOOK_ACCOUNTS: any cannot be combined"},
		{"no account", env{"WEBHOOK_ACCOUNTS": " , "}, "WEBHOOK_ACCOUNTS: must not be empty"},
		{"relative path", env{"WEBHOOK_PATH": "hooks"}, "WEBHOOK_PATH: must start with /"},
		{"path with a query", env{"WEBHOOK_PATH": "/hooks?x=1"}, "WEBHOOK_PATH: must be plain characters"},
		{"path with a fragment", env{"WEBHOOK_PATH": "/hooks#x"}, "WEBHOOK_PATH: must be plain characters"},
		{"path with a space", env{"WEBHOOK_PATH": "/hooks x"}, "WEBHOOK_PATH: must be plain characters"},
		{"path that would be redirected", env{"WEBHOOK_PATH": "/a//b"}, "WEBHOOK_PATH: must not contain //"},
		{"not a duration", env{"WEBHOOK_TOLERANCE": "5"}, "WEBHOOK_TOLERANCE: must be a duration"},
		{"half days", env{"WEBHOOK_TOLERANCE": "1.5d"}, "WEBHOOK_TOLERANCE: must be a duration"},
		{"negative rest of a day", env{"WEBHOOK_TOLERANCE": "1d-1h"}, "WEBHOOK_TOLERANCE: must be a duration"},
		{"duration too long", env{"WEBHOOK_TOLERANCE": "65535d2540400h"}, "WEBHOOK_TOLERANCE: must be a duration"},
		{"no tolerance", env{"WEBHOOK_TOLERANCE": "0"}, "WEBHOOK_TOLERANCE: must be at least 1s"},
		{"no body", env{"WEBHOOK_MAX_BYTES": "0"}, "WEBHOOK_MAX_BYTES: must be a whole number from 1"},
		{"huge body", env{"WEBHOOK_MAX_BYTES": "16777217"}, "WEBHOOK_MAX_BYTES: must be a whole number from 1 to 16777216"},
		{"no memory for bodies", env{"WEBHOOK_BODY_BUDGET": "1048575"}, "WEBHOOK_BODY_BUDGET: must be a whole number from 1048576"},
		{"no connections", env{"WEBHOOK_MAX_CONNECTIONS": "0"}, "WEBHOOK_MAX_CONNECTIONS: must be a whole number from 1 to 1000000"},
		{"no time to publish", env{"PUBLISH_TIMEOUT": "0s"}, "PUBLISH_TIMEOUT: must be positive"},
		{"no time to shut down", env{"SHUTDOWN_TIMEOUT": "-1s"}, "SHUTDOWN_TIMEOUT: must be positive"},
		{"user id key redacted", env{"REDACT_KEYS": "uid"}, "REDACT_KEYS: uid cannot be redacted"},
		{"key of old accounts redacted", env{"REDACT_KEYS": "user_id"}, "REDACT_KEYS: user_id cannot be redacted"},
		{"structural key redacted", env{"REDACT_KEYS": "email,status"}, "REDACT_KEYS: status cannot be redacted"},
		{"address without a port", env{"LISTEN_ADDR": "localhost"}, "LISTEN_ADDR: must be host:port"},
		{"port too great", env{"ADMIN_ADDR": ":65536"}, "ADMIN_ADDR: must be host:port"},
		{"stream name with a dot", env{"STREAM_NAME": "a.b"}, "STREAM_NAME: must be 1 to 255"},
		{"stream name with a wildcard", env{"STREAM_NAME": "*"}, "STREAM_NAME: must be 1 to 255"},
		{"inboxes with a wildcard", env{"NATS_INBOX_PREFIX": "_INBOX.*"}, "NATS_INBOX_PREFIX: must be words"},
		{"inboxes with a dot at the end", env{"NATS_INBOX_PREFIX": "_INBOX."}, "NATS_INBOX_PREFIX: must be words"},
		{"admin token too short", env{"ADMIN_TOKEN": "hunter2"}, "ADMIN_TOKEN: must be at least 16 letters"},
		{"admin token with a space", env{"ADMIN_TOKEN": "hunter2 hunter2 hunter2"}, "ADMIN_TOKEN: must be at least 16 letters"},
		{"admin token and its file", env{"ADMIN_TOKEN": "hunter2hunter2hunter2", "ADMIN_TOKEN_FILE": file}, "ADMIN_TOKEN: set together with ADMIN_TOKEN_FILE"},
		{"admin token in an empty file", env{"ADMIN_TOKEN_FILE": write(t, "")}, "ADMIN_TOKEN_FILE: the file is empty"},
		{"admin certificate without its key", env{"ADMIN_TLS_CERT_FILE": file}, "ADMIN_TLS_CERT_FILE, ADMIN_TLS_KEY_FILE: must be set together"},
		{"admin certificate that is none", env{"ADMIN_TLS_CERT_FILE": file, "ADMIN_TLS_KEY_FILE": file}, "ADMIN_TLS_CERT_FILE, ADMIN_TLS_KEY_FILE: are not a certificate and its key"},
		{"stream name too long", env{"STREAM_NAME": strings.Repeat("a", 256)}, "STREAM_NAME: must be 1 to 255"},
		{"no replicas", env{"STREAM_REPLICAS": "0"}, "STREAM_REPLICAS: must be a whole number from 1 to 5"},
		{"six replicas", env{"STREAM_REPLICAS": "6"}, "STREAM_REPLICAS: must be a whole number from 1 to 5"},
		{"negative age", env{"STREAM_MAX_AGE": "-1h"}, "STREAM_MAX_AGE: must be at least 0s"},
		{"age too small for the server", env{"STREAM_MAX_AGE": "1ms"}, "STREAM_MAX_AGE: must be 0 or at least 100ms"},
		{"no bytes", env{"STREAM_MAX_BYTES": "0"}, "STREAM_MAX_BYTES: must be -1 (no limit) or at least 1"},
		{"window above the age", env{"STREAM_MAX_AGE": "35d", "STREAM_DUPLICATE_WINDOW": "36d"}, "STREAM_DUPLICATE_WINDOW: must not be longer than STREAM_MAX_AGE"},
		{"no window", env{"STREAM_DUPLICATE_WINDOW": "0"}, "STREAM_DUPLICATE_WINDOW: must be at least 100ms"},
		{"odd provision", env{"PROVISION": "yes"}, "PROVISION: must be create or check"},
		{"odd log level", env{"LOG_LEVEL": "INFO+1"}, "LOG_LEVEL: must be debug or info or warn or error"},
		{"odd log format", env{"LOG_FORMAT": "xml"}, "LOG_FORMAT: must be json or text"},
		{"http server", env{"NATS_URL": "nats://a,http://b"}, "NATS_URL: entry 2 must begin with nats://"},
		{"server without a host", env{"NATS_URL": "nats://:4222"}, "NATS_URL: entry 1 must be a host and a port"},
		{"server with a path", env{"NATS_URL": "nats://a/b"}, "NATS_URL: entry 1 must be a host and a port"},
		{"server with a bad port", env{"NATS_URL": "nats://bob:hunter2@a:70000"}, "NATS_URL: entry 1 has no valid port"},
		{"server that is not a URL", env{"NATS_URL": "nats://bob:hunter2@a:b:c"}, "NATS_URL: entry 1 is not a URL"},
		{"mixed servers", env{"NATS_URL": "nats://a,wss://b"}, "NATS_URL: ws and wss cannot be mixed"},
		{"no server", env{"NATS_URL": ","}, "NATS_URL: must not be empty"},
		{"servers of several users", env{"NATS_URL": "nats://bob:hunter2@a,nats://eve:hunter2@b"}, "NATS_URL: entry 2 has another login"},
		{"user and token", env{"NATS_USER": "bob", "NATS_TOKEN": hidden}, "NATS_USER, NATS_TOKEN: more than one way"},
		{"user in the URL and credentials", env{"NATS_URL": "nats://bob:hunter2@a", "NATS_CREDS_FILE": write(t, credentials)}, "NATS_URL, NATS_CREDS_FILE: more than one way"},
		{"nkey and token", env{"NATS_NKEY_SEED_FILE": write(t, userSeed), "NATS_TOKEN_FILE": file}, "NATS_NKEY_SEED_FILE, NATS_TOKEN: more than one way"},
		{"password without a user", env{"NATS_PASSWORD": hidden}, "NATS_PASSWORD: set without NATS_USER"},
		{"password and its file", env{"NATS_USER": "bob", "NATS_PASSWORD": hidden, "NATS_PASSWORD_FILE": file}, "NATS_PASSWORD: set together with NATS_PASSWORD_FILE"},
		{"certificate without its key", env{"NATS_CERT_FILE": file}, "NATS_CERT_FILE, NATS_KEY_FILE: must be set together"},
		{"key without its certificate", env{"NATS_KEY_FILE": file}, "NATS_CERT_FILE, NATS_KEY_FILE: must be set together"},
		{"seed instead of its file", env{"NATS_NKEY_SEED_FILE": "SUhunter2"}, "NATS_NKEY_SEED_FILE: cannot be read: no such file"},
		{"folder instead of a file", env{"NATS_CA_FILE": os.TempDir()}, "NATS_CA_FILE: cannot be read: is a directory"},
		{"CA that is no certificate", env{"NATS_CA_FILE": write(t, "hunter2")}, "NATS_CA_FILE: the file has no certificate in PEM"},
		{"CA that is cut off", env{"NATS_CA_FILE": write(t, "-----BEGIN CERTIFICATE-----\nhunter2")}, "NATS_CA_FILE: the file has no certificate in PEM"},
		{"certificate that is none", env{"NATS_CERT_FILE": file, "NATS_KEY_FILE": write(t, "hunter2")}, "NATS_CERT_FILE, NATS_KEY_FILE: are not a certificate and its key"},
		{"certificate and no such key", env{"NATS_CERT_FILE": file, "NATS_KEY_FILE": "/hunter2"}, "NATS_KEY_FILE: cannot be read: no such file"},
		{"seed that is none", env{"NATS_NKEY_SEED_FILE": write(t, "SUhunter2")}, "NATS_NKEY_SEED_FILE: the file has no seed of a user"},
		{"seed of an account", env{"NATS_NKEY_SEED_FILE": write(t, accountSeed)}, "NATS_NKEY_SEED_FILE: the file has no seed of a user"},
		{"credentials that are none", env{"NATS_CREDS_FILE": write(t, "hunter2")}, "NATS_CREDS_FILE: the file has no JWT of a user"},
		{"credentials without a seed", env{"NATS_CREDS_FILE": write(t, jwt)}, "NATS_CREDS_FILE: the file has no seed of a user"},
		{"port 0", env{"NATS_URL": "nats://a:0"}, "NATS_URL: entry 1 has no valid port"},
		{"empty file", env{"NATS_TOKEN_FILE": write(t, "\n")}, "NATS_TOKEN_FILE: the file is empty"},
		{"secret in the wrong setting", env{"STREAM_NAME": "whsec_hunter2+"}, "STREAM_NAME: must be 1 to 255"},
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

func newSeed(t *testing.T, kind nkeys.PrefixByte) string {
	t.Helper()
	pair, err := nkeys.CreatePair(kind)
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return string(seed)
}

func TestSubscriberValueFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		env  env
		want string
	}{
		{"odd URI", env{"MONGODB_URI": "http://bob:hunter2@a"}, "MONGODB_URI: must begin with mongodb://"},
		{"odd URI in a file", env{"MONGODB_URI_FILE": write(t, "hunter2")}, "MONGODB_URI_FILE: must begin with mongodb://"},
		{"URI and its file", env{"MONGODB_URI": "mongodb://bob:hunter2@a", "MONGODB_URI_FILE": write(t, "x")}, "MONGODB_URI: set together with MONGODB_URI_FILE"},
		{"URI of another database", env{"MONGODB_URI": "mongodb://bob:hunter2@a,b/other?w=1"}, "MONGODB_URI: has another database than MONGODB_DATABASE (\"billbus\")"},
		{"URI of the database for the login", env{"MONGODB_URI": "mongodb://bob:hunter2@a/admin"}, "MONGODB_URI: has another database than MONGODB_DATABASE"},
		{"URI with an unescaped password", env{"MONGODB_URI": "mongodb://bob:x/hunter2"}, "MONGODB_URI: has another database"},
		{"database with a dot", env{"MONGODB_DATABASE": "a.b"}, "MONGODB_DATABASE: must be 1 to 63"},
		{"MongoDB's own database", env{"MONGODB_DATABASE": "admin"}, "MONGODB_DATABASE: must not be one of MongoDB's own"},
		{"consumer name with a space", env{"CONSUMER_NAME": "a b"}, "CONSUMER_NAME: must be 1 to 255"},
		{"one in flight", env{"MAX_IN_FLIGHT": "1"}, "MAX_IN_FLIGHT: must be a whole number from 2 to 10000"},
		{"few bytes in flight", env{"MAX_IN_FLIGHT_BYTES": "1048575"}, "MAX_IN_FLIGHT_BYTES: must be a whole number from 1048576"},
		{"too many in flight", env{"MAX_IN_FLIGHT": "10001"}, "MAX_IN_FLIGHT: must be a whole number from 2 to 10000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := loadSubscriber(nil, tt.env.get)
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

func TestValuesFromFiles(t *testing.T) {
	t.Parallel()
	secrets := write(t, "main=whsec_a\n# old\nold=whsec_b\n")
	b, err := loadBridge(nil, env{
		"WEBHOOK_LIVEMODE": "test", "STRIPE_WEBHOOK_SECRETS_FILE": secrets,
		"NATS_USER": "bob", "NATS_PASSWORD_FILE": write(t, " pass word \r\n"),
	}.get)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(named("main", "whsec_a", "old", "whsec_b"), b.Webhook.Secrets); diff != "" || b.Webhook.SecretsFile != secrets {
		t.Errorf("got file %q, secrets (-want +got):\n%s", b.Webhook.SecretsFile, diff)
	}
	if got := b.NATS.Password.Reveal(); got != " pass word " {
		t.Errorf("got password %q, want it without the line end", got)
	}
	if _, err := loadSubscriber(nil, env{"MONGODB_URI": "mongodb://bob:x%2F@a/billing?w=1", "MONGODB_DATABASE": "billing"}.get); err != nil {
		t.Errorf("a URI with the same database: %v", err)
	}
	s, err := loadSubscriber(nil, env{"MONGODB_URI_FILE": write(t, "mongodb+srv://a/\n")}.get)
	if err != nil || s.Mongo.URI.Reveal() != "mongodb+srv://a/" {
		t.Errorf("got %q, %v, want the URI of the file", s.Mongo.URI.Reveal(), err)
	}
}

func TestShortMaxAgeGivesAWarning(t *testing.T) {
	t.Parallel()
	for age, want := range map[string]int{"0": 0, "33d23h": 1, "34d": 0} {
		c, err := loadSubscriber(nil, env{"STREAM_MAX_AGE": age}.get)
		if err != nil || len(c.Warnings) != want {
			t.Errorf("%s: got warnings %q, %v, want %d", age, c.Warnings, err, want)
		}
	}
}

func TestOpenAdminAddressGivesAWarning(t *testing.T) {
	t.Parallel()
	const token = "hunter2hunter2hunter2"
	for _, tt := range []struct {
		addr, token string
		want        int
	}{
		{"", "", 0},
		{"127.0.0.2:9090", "", 0},
		{"[::1]:9090", "", 0},
		{"localhost:9090", "", 0},
		{":9090", "", 1},
		{"0.0.0.0:9090", "", 1},
		{"[::]:9090", "", 1},
		{"10.0.0.1:9090", "", 1},
		{"admin.example:9090", "", 1},
		{"0.0.0.0:9090", token, 0},
	} {
		c, err := loadSubscriber(nil, env{"ADMIN_ADDR": tt.addr, "ADMIN_TOKEN": tt.token}.get)
		if err != nil || len(c.Warnings) != tt.want {
			t.Errorf("%s with token %q: got warnings %q, %v, want %d", tt.addr, tt.token, c.Warnings, err, tt.want)
		}
	}
}
