package mongostore_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/mongostore"
	"github.com/billbus/billbus/test/kit"
)

// behindTLS returns the address of a server that demands a certificate of the authority, and
// passes on to the embedded database.
func behindTLS(t *testing.T, authority *kit.Authority) string {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	authority.Issue(t, certFile, keyFile, "mongodb")
	cert, err1 := tls.LoadX509KeyPair(certFile, keyFile)
	ca, err2 := os.ReadFile(authority.File)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(ca)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert,
	})
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); work.Wait() })
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { passOn(conn, strings.TrimSuffix(strings.TrimPrefix(embedded, "mongodb://"), "/")) })
		}
	})
	return listener.Addr().String()
}

// passOn ends when either side does.
func passOn(client net.Conn, addr string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", addr) //nolint:noctx // closed with the client's
	if err != nil {
		return
	}
	var work sync.WaitGroup
	work.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	_, _ = io.Copy(client, server)
	_ = client.Close()
	work.Wait()
}

// combined writes a certificate and its key into one file, as the driver wants it.
func combined(t *testing.T, authority *kit.Authority) string {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile, both := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "both.pem")
	authority.Issue(t, certFile, keyFile, "billbus")
	cert, err1 := os.ReadFile(certFile)
	key, err2 := os.ReadFile(keyFile)
	err3 := os.WriteFile(both, append(cert, key...), 0o600)
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	return both
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	own, other := kit.NewAuthority(t), kit.NewAuthority(t)
	uri := "mongodb://" + behindTLS(t, own) + "/?directConnection=true"
	tests := map[string]func(*testing.T){}
	for name, tt := range map[string]struct {
		options string
		reason  fault.Reason // "" if it connects
	}{
		"both certificates":             {"&tls=true&tlsCAFile=" + own.File + "&tlsCertificateKeyFile=" + combined(t, own), ""},
		"no client certificate":         {"&tls=true&tlsCAFile=" + own.File, fault.DatabaseTLS},
		"a client of another authority": {"&tls=true&tlsCAFile=" + own.File + "&tlsCertificateKeyFile=" + combined(t, other), fault.DatabaseTLS},
		"a server of another authority": {"&tls=true&tlsCAFile=" + other.File + "&tlsCertificateKeyFile=" + combined(t, own), fault.DatabaseTLS},
		"no TLS":                        {"", fault.DatabaseUnreachable},
	} {
		tests[name] = func(t *testing.T) {
			s := openStore(t, mongostore.Config{URI: uri + tt.options, Database: "billbus_tls", MaxBatch: 1, Now: now, Log: slog.New(discard)})
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err := s.Heads(ctx, []string{"x"})
			if (err == nil) != (tt.reason == "") || err != nil && fault.ReasonOf(err) != tt.reason {
				t.Errorf("got %v (%s), want reason %q", err, fault.ReasonOf(err), tt.reason)
			}
		}
	}
	atOnce(t, tests)
}
