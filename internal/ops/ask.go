package ops

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/billbus/billbus/internal/term"
)

// askTimeout is longer than the program needs for its checks.
const askTimeout = checkTimeout + 2*time.Second

// ErrNotReady is what PrintHealth returns after it has printed which checks failed.
var ErrNotReady = errors.New("not ready")

// PrintHealth asks the program with that admin address for its checks, and prints them. It returns nil only if the
// program is ready.
func PrintHealth(ctx context.Context, admin Admin, asJSON bool, out io.Writer) error {
	report, err := admin.ask(ctx)
	if err != nil {
		return err
	}
	if asJSON {
		err = term.JSONLines(out)(report)
	} else {
		err = term.NewPrinter(out).Table(nil, report.rows())
	}
	if err != nil {
		return fmt.Errorf("printing the checks: %w", err)
	}
	switch {
	case report.Ready:
		return nil
	case len(report.Checks) == 0:
		return fmt.Errorf("%w; it says why to those who have its ADMIN_TOKEN", ErrNotReady)
	}
	return ErrNotReady
}

// reachable is where a program on this machine that listens on addr can be reached.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}

func (a Admin) ask(ctx context.Context) (Readiness, error) {
	var report Readiness
	addr := reachable(a.Addr)
	transport, scheme, err := a.transport()
	if err != nil {
		return report, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+addr+"/readyz", http.NoBody)
	if err != nil {
		return report, fmt.Errorf("ADMIN_ADDR: %w", err)
	}
	if a.Token.IsSet() {
		req.Header.Set("Authorization", "Bearer "+a.Token.Reveal())
	}
	client := &http.Client{Transport: transport}
	resp, err := client.Do(req)
	if errors.Is(err, http.ErrSchemeMismatch) {
		return report, fmt.Errorf("ADMIN_TLS_CERT_FILE: the program on %s has none, and serves without TLS", addr)
	}
	if err != nil {
		return report, fmt.Errorf("no answer on %s: the program does not run, or has another ADMIN_ADDR: %w", addr, errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusUnauthorized {
		return report, fmt.Errorf("ADMIN_TOKEN: the program on %s has another one", addr)
	}
	err = json.NewDecoder(resp.Body).Decode(&report)
	if err != nil || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		return report, fmt.Errorf("ADMIN_ADDR: what answers on %s, with status %d, is another program, or it serves over TLS (see ADMIN_TLS_CERT_FILE)", addr, resp.StatusCode)
	}
	return report, nil
}

// transport uses no proxy. The certificate need not name this machine: it must be the one
// in the file.
func (a Admin) transport() (transport *http.Transport, scheme string, err error) {
	transport = &http.Transport{DisableKeepAlives: true}
	if a.CertFile == "" {
		return transport, "http", nil
	}
	pair, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
	if err != nil {
		return nil, "", fmt.Errorf("ADMIN_TLS_CERT_FILE, ADMIN_TLS_KEY_FILE: %w", err)
	}
	transport.TLSClientConfig = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection does
		VerifyConnection: func(state tls.ConnectionState) error {
			if !state.PeerCertificates[0].Equal(pair.Leaf) {
				return errors.New("it has another certificate than the one in ADMIN_TLS_CERT_FILE")
			}
			return nil
		},
	}
	return transport, "https", nil
}

// rows are the checks by name, and the result.
func (r Readiness) rows() []term.Row {
	var rows []term.Row
	for _, name := range slices.Sorted(maps.Keys(r.Checks)) {
		if check := r.Checks[name]; check.OK {
			rows = append(rows, term.Row{Prefix: "✓ ", Text: name, Color: term.Green})
		} else {
			rows = append(rows, term.Row{Prefix: "✗ ", Text: name + ": " + check.Error, Color: term.Red})
		}
	}
	if r.Ready {
		return append(rows, term.Row{Text: "ready"})
	}
	return rows
}
