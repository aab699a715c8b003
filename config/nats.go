package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nkeys"

	"github.com/billbus/billbus/internal/secret"
)

func nats(n *NATS) Settings {
	var login *url.Userinfo // of the URL
	return Settings{
		{
			Env: "NATS_URL", Default: "nats://127.0.0.1:4222", Meaning: "NATS servers, comma-separated",
			convert: func(v value) { n.URL, login = servers(v) },
			check: func(r *reader) {
				n.oneLogin(r, login != nil)
				n.use(login)
			},
		},
		{Env: "NATS_CREDS_FILE", Value: "FILE", Meaning: "credentials file to log in with", convert: fileWith(&n.CredsFile, credentials)},
		{Env: "NATS_NKEY_SEED_FILE", Value: "FILE", Meaning: "file with an nkey seed to log in with", convert: fileWith(&n.NKeySeedFile, userSeed)},
		{Env: "NATS_USER", Meaning: "user to log in as", convert: text(&n.User)},
		{Env: "NATS_PASSWORD", Meaning: "the user's password", convert: secretText(&n.Password)},
		{Env: "NATS_PASSWORD_FILE", Value: "FILE", Meaning: "file with the password, read again for every connection", convert: text(&n.PasswordFile)},
		{Env: "NATS_TOKEN", Meaning: "token to log in with", convert: secretText(&n.Token)},
		{Env: "NATS_TOKEN_FILE", Value: "FILE", Meaning: "file with the token, read again for every connection", convert: text(&n.TokenFile)},
		{Env: "NATS_CA_FILE", Value: "FILE", Meaning: "certificates to verify those of the servers (PEM)", convert: fileWith(&n.CAFile, certificates)},
		{Env: "NATS_CERT_FILE", Value: "FILE", Meaning: "client certificate (PEM)", convert: readable(&n.CertFile)},
		{Env: "NATS_KEY_FILE", Value: "FILE", Meaning: "key of the client certificate (PEM)", convert: readable(&n.KeyFile)},
		{Env: "NATS_INBOX_PREFIX", Shown: "_INBOX", Meaning: "beginning of the subjects of answers; give each user of the server one of its own", convert: inboxPrefix(&n.InboxPrefix)},
	}
}

func inboxPrefix(field *string) func(value) {
	return func(v value) {
		*field = v.text
		if !matches(`[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*`, v.text) {
			v.fault("must be words of letters, digits, _ and -, with dots in between, not %s", quote(v.text))
		}
	}
}

// oneLogin checks that there is one way to log in at most, and that nothing of it is missing.
func (n *NATS) oneLogin(r *reader, inURL bool) {
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
	checkPair(r, "NATS_CERT_FILE, NATS_KEY_FILE", n.CertFile, n.KeyFile)
}

// checkPair checks that a certificate and its key belong together. names are those of their settings.
func checkPair(r *reader, names, cert, key string) {
	switch {
	case (cert == "") != (key == ""):
		r.fault(names, "must be set together")
	case cert != "" && readableFiles(cert, key):
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			r.fault(names, "are not a certificate and its key (PEM): %v", err)
		}
	}
}

// readableFiles leaves out a file that has a fault of its own.
func readableFiles(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		_, err := os.ReadFile(name)
		return err != nil
	})
}

// credentials checks a file with a user's JWT and seed.
func credentials(contents []byte) error {
	jwt, err := nkeys.ParseDecoratedJWT(contents)
	if err != nil || !matches(`[\w-]+\.[\w-]+\.[\w-]+`, jwt) {
		return errors.New("has no JWT of a user")
	}
	return userSeed(contents)
}

// userSeed checks a file with the seed of a user.
func userSeed(contents []byte) error {
	pair, err := nkeys.ParseDecoratedUserNKey(contents)
	if err != nil {
		return errors.New("has no seed of a user (SU…)")
	}
	pair.Wipe()
	return nil
}

func certificates(contents []byte) error {
	if !x509.NewCertPool().AppendCertsFromPEM(contents) {
		return errors.New("has no certificate in PEM")
	}
	return nil
}

// use takes the login of the URL as NATS does: a user without a password is a token.
func (n *NATS) use(login *url.Userinfo) {
	if login == nil {
		return
	}
	password, ok := login.Password()
	if !ok {
		n.Token = secret.New(login.Username())
		return
	}
	n.User, n.Password = login.Username(), secret.New(password)
}

// servers checks the list of servers, and removes the login from it.
func servers(v value) (list string, login *url.Userinfo) {
	var servers []string
	web := 0
	for i, entry := range split(v.text) {
		u, err := serverURL(entry)
		if err != nil {
			v.fault("entry %d %v", i+1, err)
			continue
		}
		if u.User != nil && login != nil && u.User.String() != login.String() {
			v.fault("entry %d has another login than an earlier one", i+1)
		}
		if u.User != nil {
			login, u.User = u.User, nil
		}
		if strings.HasPrefix(u.Scheme, "ws") {
			web++
		}
		servers = append(servers, u.String())
	}
	if split(v.text) == nil {
		v.fault("must not be empty")
	}
	if web > 0 && web < len(servers) {
		v.fault("ws and wss cannot be mixed with nats and tls")
	}
	return strings.Join(servers, ","), login
}

// serverURL reads the address of one server. Its errors quote nothing: the address can contain a
// password.
func serverURL(entry string) (*url.URL, error) {
	if !strings.Contains(entry, "://") {
		entry = "nats://" + entry
	}
	u, err := url.Parse(entry)
	if err != nil {
		return nil, errors.New("is not a URL")
	}
	if !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
		return nil, errors.New("must begin with nats://, tls://, ws:// or wss://")
	}
	if u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("must be a host and a port and nothing else")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("has no valid port")
		}
	}
	return &url.URL{Scheme: u.Scheme, User: u.User, Host: u.Host}, nil
}
