package ops

import (
	"context"
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

// PrintHealth asks the program whose ADMIN_ADDR is addr for its checks, and prints them. It returns nil only if the
// program is ready.
func PrintHealth(ctx context.Context, addr string, asJSON bool, out io.Writer) error {
	report, err := ask(ctx, reachable(addr))
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
	if !report.Ready {
		return ErrNotReady
	}
	return nil
}

// reachable is where a program on this machine that listens on addr can be reached.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("localhost", port)
	}
	return addr
}

func ask(ctx context.Context, addr string) (Readiness, error) {
	var report Readiness
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", http.NoBody)
	if err != nil {
		return report, fmt.Errorf("ADMIN_ADDR: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // and no proxy
	resp, err := client.Do(req)
	if err != nil {
		return report, fmt.Errorf("no answer on %s: the program does not run, or has another ADMIN_ADDR: %w", addr, errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	err = json.NewDecoder(resp.Body).Decode(&report)
	if err != nil || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusServiceUnavailable {
		return report, fmt.Errorf("ADMIN_ADDR: what answers on %s, with status %d, is another program", addr, resp.StatusCode)
	}
	return report, nil
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
