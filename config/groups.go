package config

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billbus/billbus/internal/secret"
)

// stripeHorizon is how long Stripe may send an event again: 30 days by hand and 3 more of retries.
// A stream that forgets sooner cannot fill a gap any more.
const stripeHorizon = 34 * 24 * time.Hour

// shortest is the least that JetStream takes for a stream's age and duplicate window.
const shortest = 100 * time.Millisecond

func (r *reader) log() Log {
	l := Log{}
	level := r.oneOf("LOG_LEVEL", "debug", "info", "warn", "error")
	_ = l.Level.UnmarshalText([]byte(level)) // checked above
	if r.text["LOG_FORMAT"] != "" {
		l.Format = r.oneOf("LOG_FORMAT", "json", "text")
	}
	return l
}

func (r *reader) stream() Stream {
	s := Stream{Name: r.name("STREAM_NAME"), Replicas: 1}
	s.MaxAge = r.maxAge()
	s.MaxBytes = r.maxBytes()
	s.DuplicateWindow = r.duplicateWindow(s.MaxAge)
	if _, ok := r.text["STREAM_REPLICAS"]; ok {
		s.Replicas = int(r.integer("STREAM_REPLICAS", 1, 5))
	}
	return s
}

func (r *reader) provision() string {
	if _, ok := r.text["PROVISION"]; !ok {
		return "create"
	}
	return r.oneOf("PROVISION", "create", "check")
}

func (r *reader) maxAge() time.Duration {
	const env = "STREAM_MAX_AGE"
	age := r.duration(env, 0)
	switch {
	case age > 0 && age < shortest:
		r.fault(env, "must be 0 or at least %s", shortest)
	case age > 0 && age < stripeHorizon:
		r.warnings = append(r.warnings, env+": below 34d: Stripe may send an event again for 30 days and "+
			"retry it for 3, so the stream forgets what may still come twice or be asked for")
	}
	return age
}

func (r *reader) maxBytes() int64 {
	const env = "STREAM_MAX_BYTES"
	size := r.integer(env, -1, math.MaxInt64)
	if size == 0 {
		r.fault(env, "must be -1 (no limit) or at least 1")
	}
	return size
}

// duplicateWindow follows the stream's age where only that is set: the server refuses a stream whose
// window is longer.
func (r *reader) duplicateWindow(age time.Duration) time.Duration {
	const env = "STREAM_DUPLICATE_WINDOW"
	window := r.duration(env, shortest)
	if age <= 0 || window <= age {
		return window
	}
	if r.given[env] {
		r.fault(env, "must not be longer than STREAM_MAX_AGE")
	}
	return age
}

func (r *reader) mongo() Mongo {
	uri, source := r.content("MONGODB_URI")
	// Where the text is missing altogether, that was complained about already, or it is empty.
	if uri == "" && source == "MONGODB_URI" {
		r.fault(source, "must not be empty")
	} else if uri != "" && !strings.HasPrefix(uri, "mongodb://") && !strings.HasPrefix(uri, "mongodb+srv://") {
		r.fault(source, "must begin with mongodb:// or mongodb+srv://")
	}
	return Mongo{URI: secret.New(uri), Database: r.database()}
}

// auditRetention refuses to forget what Stripe may still send again: it would be taken for new.
func (r *reader) auditRetention() time.Duration {
	const env = "AUDIT_RETENTION"
	retention := r.duration(env, 0)
	if retention > 0 && retention < stripeHorizon {
		r.fault(env, "must be 0 (keep) or at least 34d: Stripe may send an event again for 30 days and retry it for 3")
	}
	return retention
}

func (r *reader) database() string {
	const env = "MONGODB_DATABASE"
	name := r.text[env]
	if !matches(`[A-Za-z0-9_-]{1,63}`, name) {
		r.fault(env, "must be 1 to 63 letters, digits, _ or -, not %s", quote(name))
	} else if slices.Contains([]string{"admin", "config", "local"}, name) {
		r.fault(env, "must not be one of MongoDB's own databases (%s)", name)
	}
	return name
}

func (r *reader) webhook() Webhook {
	return Webhook{
		Addr:            r.addr("LISTEN_ADDR"),
		Path:            r.path(),
		Tolerance:       r.duration("WEBHOOK_TOLERANCE", time.Second), // signatures carry whole seconds
		MaxBytes:        r.integer("WEBHOOK_MAX_BYTES", 1, 16<<20),
		Livemode:        r.livemode(),
		Accounts:        r.accounts(),
		RedactKeys:      r.redactKeys(),
		UserIDKeys:      r.list("USER_ID_METADATA_KEYS"),
		ClientReference: r.oneOf("USER_ID_CLIENT_REFERENCE", "api", "all", "off"),
		PublishTimeout:  r.duration("PUBLISH_TIMEOUT", positive),
	}
}

// path refuses what the server would redirect to another path: Stripe counts a redirect as a failure.
func (r *reader) path() string {
	const env = "WEBHOOK_PATH"
	value := r.text[env]
	switch {
	case !strings.HasPrefix(value, "/"):
		r.fault(env, "must start with /, not be %s", quote(value))
	case !matches(`[!-~]+`, value) || strings.ContainsAny(value, "?#%{}"):
		r.fault(env, "must be plain characters without ?, #, %%, { or }")
	case path.Clean(value) != value && path.Clean(value)+"/" != value:
		r.fault(env, "must not hold //, /./ or /../")
	}
	return value
}

func (r *reader) livemode() string {
	const env = "WEBHOOK_LIVEMODE"
	if r.text[env] == "" {
		r.fault(env, "required: live, test or any")
		return ""
	}
	return r.oneOf(env, "live", "test", "any")
}

func (r *reader) accounts() []string {
	const env = "WEBHOOK_ACCOUNTS"
	accounts := r.list(env)
	if len(accounts) == 0 {
		r.fault(env, "must not be empty")
	}
	if len(accounts) > 1 && slices.Contains(accounts, "any") {
		r.fault(env, "any stands alone")
	}
	for i, account := range accounts {
		if !matches(`any|platform|acct_[A-Za-z0-9_]{1,250}`, account) {
			r.fault(env, "entry %d must be any, platform or acct_…, not %s", i+1, quote(account))
		}
	}
	return accounts
}

// redactKeys refuses the keys without which an event cannot be understood.
func (r *reader) redactKeys() []string {
	const env = "REDACT_KEYS"
	structural := []string{
		"id", "object", "type", "created", "data", "livemode", "account", "context", "user_id", "related_object",
		"api_version", "status", "items", "customer", "subscription", "previous_attributes", "client_reference_id",
	}
	keys, userKeys := r.list(env), r.list("USER_ID_METADATA_KEYS")
	for _, key := range keys {
		switch {
		case slices.Contains(structural, key):
			r.fault(env, "%s cannot be redacted: events are not understood without it", key)
		case slices.Contains(userKeys, key):
			r.fault(env, "%s cannot be redacted: USER_ID_METADATA_KEYS has it, and all users would be one", key)
		}
	}
	return keys
}

// webhookSecrets reads the signing secrets and remembers which file they came from.
func (r *reader) webhookSecrets(w *Webhook, required bool) {
	const env = "STRIPE_WEBHOOK_SECRETS"
	w.SecretsFile = r.text[env+"_FILE"]
	text, source := r.content(env)
	switch {
	case text == "" && source == env && required:
		r.fault(env, "required: the endpoint's signing secret, whsec_…")
		return
	case text == "":
		return
	}
	secrets, err := ParseWebhookSecrets(text)
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			r.fault(source, "%s", strings.TrimSpace(line))
		}
	}
	w.Secrets = secrets
}

func (r *reader) nats() NATS {
	n := NATS{
		CredsFile:    r.file("NATS_CREDS_FILE"),
		NKeySeedFile: r.file("NATS_NKEY_SEED_FILE"),
		User:         r.text["NATS_USER"],
		Password:     r.secret("NATS_PASSWORD"),
		Token:        r.secret("NATS_TOKEN"),
		CAFile:       r.file("NATS_CA_FILE"),
		CertFile:     r.file("NATS_CERT_FILE"),
		KeyFile:      r.file("NATS_KEY_FILE"),
	}
	list, login := r.servers()
	n.URL = list
	r.exclusive(n, login != nil)
	if login != nil {
		n.login(login)
	}
	return n
}

// exclusive checks that what is set is one way to log in, and whole.
func (r *reader) exclusive(n NATS, inURL bool) {
	var ways []string
	for _, way := range []struct {
		env string
		set bool
	}{
		{"NATS_URL", inURL},
		{"NATS_CREDS_FILE", n.CredsFile != ""},
		{"NATS_NKEY_SEED_FILE", n.NKeySeedFile != ""},
		{"NATS_USER", n.User != ""},
		{"NATS_TOKEN", n.Token.IsSet()},
	} {
		if way.set {
			ways = append(ways, way.env)
		}
	}
	if len(ways) > 1 {
		r.fault(strings.Join(ways, ", "), "more than one way to log in: keep one")
	}
	if n.Password.IsSet() && n.User == "" {
		r.fault("NATS_PASSWORD", "set without NATS_USER")
	}
	if (n.CertFile == "") != (n.KeyFile == "") {
		r.fault("NATS_CERT_FILE, NATS_KEY_FILE", "must be set together")
	}
}

// login takes over what stood in the URL, as NATS reads it: a user alone is a token.
func (n *NATS) login(u *url.Userinfo) {
	password, ok := u.Password()
	if !ok {
		n.Token = secret.New(u.Username())
		return
	}
	n.User, n.Password = u.Username(), secret.New(password)
}

// servers checks the list of servers and takes the credentials out of it.
func (r *reader) servers() (list string, login *url.Userinfo) {
	const env = "NATS_URL"
	var servers []string
	web := 0
	for i, entry := range r.list(env) {
		u, err := serverURL(entry)
		if err != nil {
			r.fault(env, "entry %d %v", i+1, err)
			continue
		}
		if u.User != nil && login != nil && u.User.String() != login.String() {
			r.fault(env, "entry %d logs in differently than an earlier one", i+1)
		}
		if u.User != nil {
			login, u.User = u.User, nil
		}
		if strings.HasPrefix(u.Scheme, "ws") {
			web++
		}
		servers = append(servers, u.String())
	}
	if len(r.list(env)) == 0 {
		r.fault(env, "must not be empty")
	}
	if web > 0 && web < len(servers) {
		r.fault(env, "ws and wss cannot be mixed with nats and tls")
	}
	return strings.Join(servers, ","), login
}

// serverURL reads the address of one server. Its errors quote nothing: there may be a password in it.
func serverURL(entry string) (*url.URL, error) {
	if !strings.Contains(entry, "://") {
		entry = "nats://" + entry
	}
	u, err := url.Parse(entry)
	if err != nil {
		return nil, errors.New("is no URL")
	}
	if !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
		return nil, errors.New("must begin with nats://, tls://, ws:// or wss://")
	}
	if u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("must be a host and a port and no more")
	}
	if port := u.Port(); port != "" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return nil, fmt.Errorf("has no valid port")
		}
	}
	return &url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}, nil
}
