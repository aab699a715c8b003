package natsbus_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// configured starts a server with a configuration file.
func configured(t *testing.T, addr, text string) *server.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats.conf")
	writeFile(t, file, fmt.Sprintf("listen: %q\n%s", addr, text))
	opts, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return natstest.Serve(t, opts)
}

func newKey(t *testing.T, create func() (nkeys.KeyPair, error)) (pair nkeys.KeyPair, public string, seed []byte) {
	t.Helper()
	pair, err1 := create()
	if err1 != nil {
		t.Fatal(err1)
	}
	public, err1 = pair.PublicKey()
	seed, err2 := pair.Seed()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return pair, public, seed
}

// mutualTLS makes an authority, and certificates for the server and the client.
func mutualTLS(t *testing.T, dir string) string {
	t.Helper()
	authority := kit.NewAuthority(t)
	file := func(name string) string { return filepath.Join(dir, name) }
	authority.Issue(t, file("client.pem"), file("client-key.pem"), "billbus")
	authority.Issue(t, file("server.pem"), file("server-key.pem"), "server")
	ca, err := os.ReadFile(authority.File)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, file("ca.pem"), string(ca))
	return fmt.Sprintf(`tls { cert_file: %q, key_file: %q, ca_file: %q, verify_and_map: true }
		authorization { users: [ {user: "CN=billbus"} ] }`, file("server.pem"), file("server-key.pem"), file("ca.pem"))
}

// operatorMode makes an operator, an account and a user, whose credentials it writes.
func operatorMode(t *testing.T, dir string) string {
	t.Helper()
	operator, operatorKey, _ := newKey(t, nkeys.CreateOperator)
	account, accountKey, _ := newKey(t, nkeys.CreateAccount)
	_, userKey, seed := newKey(t, nkeys.CreateUser)
	operatorJWT, err1 := jwt.NewOperatorClaims(operatorKey).Encode(operator)
	accountJWT, err2 := jwt.NewAccountClaims(accountKey).Encode(operator)
	userJWT, err3 := jwt.NewUserClaims(userKey).Encode(account)
	credentials, err4 := jwt.FormatUserConfig(userJWT, seed)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(dir, "user.creds"), string(credentials))
	return fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload: { %s: %s }", operatorJWT, accountKey, accountJWT)
}

func nkeyLogin(t *testing.T, dir string) string {
	t.Helper()
	_, public, seed := newKey(t, nkeys.CreateUser)
	writeFile(t, filepath.Join(dir, "user.nk"), string(seed))
	return fmt.Sprintf("authorization { users: [ {nkey: %s} ] }", public)
}

// TestLoginsAreRotatedWithoutARestart replaces everything that the server and the program have,
// and the connection comes back.
func TestLoginsAreRotatedWithoutARestart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		makeSecrets func(*testing.T, string) string
		auth        func(file func(string) string) natsbus.Auth
		fixed       bool // needs a restart
	}{
		"mutual TLS": {mutualTLS, func(file func(string) string) natsbus.Auth {
			return natsbus.Auth{CAFile: file("ca.pem"), CertFile: file("client.pem"), KeyFile: file("client-key.pem")}
		}, false},
		"credentials of operator mode": {operatorMode, func(file func(string) string) natsbus.Auth {
			return natsbus.Auth{CredsFile: file("user.creds")}
		}, false},
		"nkey": {nkeyLogin, func(file func(string) string) natsbus.Auth {
			return natsbus.Auth{NKeySeedFile: file("user.nk")}
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, dir := kit.FreeAddr(t), t.TempDir()
			auth := tt.auth(func(name string) string { return filepath.Join(dir, name) })
			auth.URL = "nats://" + addr
			srv := configured(t, addr, tt.makeSecrets(t, dir))
			bus := openAs(t, auth)
			if err := bus.WaitConnected(t.Context()); err != nil {
				t.Fatal(err)
			}
			srv.Shutdown()
			srv.WaitForShutdown()
			kit.Eventually(t, "disconnected", func() bool { return bus.Check(t.Context()) != nil })
			configured(t, addr, tt.makeSecrets(t, dir))
			if tt.fixed {
				bus = openAs(t, auth)
			}
			if err := bus.WaitConnected(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestServersRefuseWhoHasNoSecret connects without a secret, and with one of another authority.
func TestServersRefuseWhoHasNoSecret(t *testing.T) {
	t.Parallel()
	own, other := t.TempDir(), t.TempDir()
	file := func(dir, name string) string { return filepath.Join(dir, name) }
	tls, operator, nkey := kit.FreeAddr(t), kit.FreeAddr(t), kit.FreeAddr(t)
	configured(t, tls, mutualTLS(t, own))
	configured(t, operator, operatorMode(t, own))
	configured(t, nkey, nkeyLogin(t, own))
	mutualTLS(t, other)
	operatorMode(t, other)
	nkeyLogin(t, other)
	for name, tt := range map[string]struct {
		auth natsbus.Auth
		want string
	}{
		"no client certificate":      {natsbus.Auth{URL: tls, CAFile: file(own, "ca.pem")}, "NATS_CERT_FILE"},
		"another client certificate": {natsbus.Auth{URL: tls, CAFile: file(own, "ca.pem"), CertFile: file(other, "client.pem"), KeyFile: file(other, "client-key.pem")}, "NATS_CERT_FILE"},
		"another server certificate": {natsbus.Auth{URL: tls, CAFile: file(other, "ca.pem"), CertFile: file(own, "client.pem"), KeyFile: file(own, "client-key.pem")}, "NATS_CA_FILE"},
		"no credentials":             {natsbus.Auth{URL: operator}, "NATS_CREDS_FILE"},
		"credentials of another":     {natsbus.Auth{URL: operator, CredsFile: file(other, "user.creds")}, "NATS_CREDS_FILE"},
		"another nkey":               {natsbus.Auth{URL: nkey, NKeySeedFile: file(other, "user.nk")}, "NATS_NKEY_SEED_FILE"},
		"a password for an nkey":     {natsbus.Auth{URL: nkey, User: "billbus", Password: secret.New("x")}, "NATS_USER"},
	} {
		bus := openAs(t, tt.auth)
		kit.Eventually(t, name+" is refused, and the error names "+tt.want, func() bool {
			err := bus.Check(t.Context())
			return err != nil && strings.Contains(err.Error(), tt.want)
		})
	}
}
