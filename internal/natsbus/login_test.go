package natsbus_test

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestRotatedLoginIsReadAgain rotates the secret on the server first and in the file
// second, as usual.
func TestRotatedLoginIsReadAgain(t *testing.T) {
	t.Parallel()
	for setting, tt := range map[string]struct {
		auth   func(url, file string) natsbus.Auth
		server func(secret string) natsserver.Config
	}{
		"NATS_PASSWORD_FILE": {
			func(url, file string) natsbus.Auth {
				return natsbus.Auth{URL: url, User: "billbus", Password: secret.New("first"), PasswordFile: file}
			},
			func(secret string) natsserver.Config { return natsserver.Config{Password: secret} },
		},
		"NATS_TOKEN_FILE": {
			func(url, file string) natsbus.Auth {
				return natsbus.Auth{URL: url, Token: secret.New("first"), TokenFile: file}
			},
			func(secret string) natsserver.Config { return natsserver.Config{Token: secret} },
		},
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			addr, dir, file := kit.FreeAddr(t), t.TempDir(), filepath.Join(t.TempDir(), "secret")
			start := func(secret string) *natsserver.Server {
				cfg := tt.server(secret)
				cfg.Addr, cfg.Dir = addr, dir
				return natstest.StartWith(t, cfg)
			}
			writeFile(t, file, "first\n")
			srv := start("first")
			bus := openAs(t, tt.auth(srv.URL(), file))
			if err := bus.WaitConnected(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			srv.Close()
			srv = start("first")
			if err := bus.WaitConnected(t.Context()); err != nil {
				t.Fatalf("without the file: %v", err)
			}
			srv.Close()
			start("second")
			kit.Eventually(t, "an error that names the setting", func() bool {
				err := bus.Check(t.Context())
				return err != nil && strings.Contains(err.Error(), "refuses the login") && strings.Contains(err.Error(), setting)
			})
			writeFile(t, file, "second\n")
			if err := bus.WaitConnected(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRejectedLoginIsLoggedOnce(t *testing.T) {
	t.Parallel()
	srv := natstest.StartWith(t, natsserver.Config{Addr: "127.0.0.1:0", Dir: t.TempDir(), Password: "right-password"})
	var log kit.Buffer
	bus, err := natsbus.Open(
		natsbus.Auth{URL: srv.URL(), User: "billbus", Password: secret.New("wrong-password")}, t.Name(),
		slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	const text = `msg="cannot connect to NATS; trying again"`
	kit.Eventually(t, "several attempts", func() bool { return strings.Count(log.String(), text) >= 4 })
	if got := strings.Count(log.String(), "level=WARN"); got != 1 {
		t.Errorf("got %d warnings, want 1:\n%s", got, log.String())
	}
	if !strings.Contains(log.String(), "NATS_PASSWORD") || strings.Contains(log.String(), "wrong-password") {
		t.Errorf("got %s, want the setting and no password", log.String())
	}
}

// A connection that is lost and refused has a port of its own in each error.
func TestAnOutageOfNATSIsAFewLines(t *testing.T) {
	t.Parallel()
	addr, dir := kit.FreeAddr(t), t.TempDir()
	srv := natstest.StartAt(t, addr, dir)
	var log kit.Buffer
	bus, err := natsbus.Open(natsbus.Auth{URL: srv.URL()}, t.Name(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	r := &rig{url: srv.URL(), bus: bus, pub: publisher(t, bus)}
	provisioned(t, bus, settings(), natsbus.SubscriberConsumer(consumer))
	r.publish(t, 20)
	before := log.String()
	for range 3 {
		srv.Close()
		kit.Eventually(t, "disconnected", func() bool { return bus.Check(t.Context()) != nil })
		srv = natstest.StartAt(t, addr, dir)
		if err := bus.WaitConnected(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Count(log.String()[len(before):], "level=WARN")
	if lines > 4 {
		t.Errorf("got %d warnings, want a few:\n%s", lines, log.String())
	}
}

// tlsServer says that it requires TLS, as a NATS server does, and has a certificate that
// no one knows.
func tlsServer(t *testing.T) string {
	t.Helper()
	web := httptest.NewTLSServer(nil) // for its certificate
	t.Cleanup(web.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = fmt.Fprint(conn, "INFO {\"server_id\":\"x\",\"max_payload\":1048576,\"tls_required\":true}\r\n")
			_ = tls.Server(conn, web.TLS).Handshake()
			_ = conn.Close()
		}
	}()
	return listener.Addr().String()
}

func TestConnectionErrorsNameTheSetting(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		url, want string
	}{
		"unknown certificate": {"tls://" + tlsServer(t), "NATS_CA_FILE"},
		"TLS not offered":     {"tls://" + strings.TrimPrefix(natstest.Start(t).URL(), "nats://"), "does not offer TLS"},
		"unknown name":        {"nats://nothing.invalid:4222", "NATS_URL"},
		"refused":             {"nats://" + kit.FreeAddr(t), "connection refused"},
	} {
		bus := open(t, tt.url)
		kit.Eventually(t, name, func() bool {
			err := bus.Check(t.Context())
			return err != nil && strings.Contains(err.Error(), tt.want)
		})
	}
}
