package ops_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/test/kit"
)

func TestAdminTokenIsNeededForWhatIsPrivate(t *testing.T) {
	t.Parallel()
	h := ops.NewHealth()
	h.Check("mongodb", func(context.Context) error { return errors.New("no primary at private.example") })
	handler := ops.AdminHandler(h, ops.NewMetrics(), secret.New("the-right-token-0"))
	for _, tt := range []struct {
		path, authorization string
		status              int
		detailed            bool
	}{
		{"/healthz", "", 200, false},
		{"/readyz", "", 503, false}, // orchestrators ask without a token
		{"/readyz", "Bearer the-right-token-0", 503, true},
		{"/readyz", "Bearer the-wrong-token-0", 401, false},
		{"/metrics", "", 401, false},
		{"/metrics", "Bearer the-right-token-0", 200, true},
		{"/metrics", "bearer the-right-token-0", 200, true},
		{"/metrics", "Bearer the-right-token-", 401, false},
		{"/metrics", "Bearer ", 401, false},
		{"/metrics", "Basic the-right-token-0", 401, false},
		{"/metrics", "the-right-token-0", 401, false},
	} {
		w := requestWith(t, handler, tt.path, tt.authorization)
		detailed := strings.Contains(w.Body.String(), "private.example") || strings.Contains(w.Body.String(), "go_goroutines")
		if w.Code != tt.status || detailed != tt.detailed || (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s with %q: got %d and\n%s", tt.path, tt.authorization, w.Code, w.Body)
		}
	}
}

// TestAdminAddressOverTLS asks as the command health does. The certificate names another host.
func TestAdminAddressOverTLS(t *testing.T) {
	t.Parallel()
	dir, authority := t.TempDir(), kit.NewAuthority(t)
	a := ops.Admin{
		Addr: kit.FreeAddr(t), Token: secret.New("the-right-token-0"),
		CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"),
	}
	if _, err := a.Listen(discard()); err == nil || !strings.Contains(err.Error(), "ADMIN_TLS_CERT_FILE") {
		t.Errorf("without a certificate: got %v", err)
	}
	authority.Issue(t, a.CertFile, a.KeyFile, "first")
	ln, err := a.Listen(discard())
	if err != nil {
		t.Fatal(err)
	}
	deps := ops.NewDeps(discard())
	deps.Health.Check("nats", fine)
	err = ops.WithAdmin(t.Context(), ln, a, deps, func(ctx context.Context) error {
		asks(t, a, "✓ nats\nready\n", "")
		old := ops.Admin{Addr: a.Addr, CertFile: filepath.Join(dir, "old.pem"), KeyFile: filepath.Join(dir, "old-key.pem")}
		authority.Issue(t, old.CertFile, old.KeyFile, "another")
		asks(t, old, "", "another certificate")
		asks(t, ops.Admin{Addr: a.Addr}, "", "it serves over TLS (see ADMIN_TLS_CERT_FILE)")
		asks(t, ops.Admin{Addr: admin(t, nil), CertFile: a.CertFile, KeyFile: a.KeyFile}, "", "serves without TLS")
		authority.Issue(t, a.CertFile, a.KeyFile, "second")
		asks(t, a, "✓ nats\nready\n", "")
		replaceWith(t, a.KeyFile, old.KeyFile) // half of a replacement: the certificate is of another key
		resp, err := (&http.Client{Transport: trusting(t, authority)}).Do(get(ctx, t, "https://"+a.Addr+"/healthz"))
		if err != nil {
			t.Fatalf("between two files: %v", err)
		}
		if name := resp.TLS.PeerCertificates[0].Subject.CommonName; name != "second" || resp.Body.Close() != nil {
			t.Errorf("between two files: got %s, want second", name)
		}
		authority.Issue(t, a.CertFile, a.KeyFile, "third")
		a.Token = secret.New("the-wrong-token-0")
		asks(t, a, "", "ADMIN_TOKEN")
		a.Token = secret.Text{}
		asks(t, a, "ready\n", "")
		deps.Health.Shutdown()
		asks(t, a, "", "ADMIN_TOKEN")
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func asks(t *testing.T, a ops.Admin, want, fails string) {
	t.Helper()
	var out bytes.Buffer
	err := ops.PrintHealth(t.Context(), a, false, &out)
	if out.String() != want || (err == nil) != (fails == "") || err != nil && !strings.Contains(err.Error(), fails) {
		t.Errorf("got %q, %v, want %q, %q", out.String(), err, want, fails)
	}
}

func replaceWith(t *testing.T, file, by string) {
	t.Helper()
	data, err := os.ReadFile(by)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(ctx context.Context, t *testing.T, url string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func trusting(t *testing.T, a *kit.Authority) *http.Transport {
	t.Helper()
	pem, err := os.ReadFile(a.File)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}}
}

func requestWith(t *testing.T, h http.Handler, path, authorization string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
