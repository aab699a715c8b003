package main

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

const secret = "whsec_main_0123456789"

var binaries string // folder of the built program

func TestMain(m *testing.M) {
	os.Exit(kit.RunWithBinaries(&binaries, m.Run, "github.com/billbus/billbus/cmd/bridge"))
}

// addrs are where a bridge listens.
type addrs struct{ webhooks, admin string }

// startBridge runs the built bridge, and waits until it is ready.
func startBridge(t *testing.T, env ...string) (*kit.Process, addrs) {
	t.Helper()
	at := addrs{kit.FreeAddr(t), kit.FreeAddr(t)}
	p := &kit.Process{
		Name: "bridge", Command: []string{filepath.Join(binaries, "bridge")}, Log: filepath.Join(t.TempDir(), "log"),
		Env: append([]string{
			"LISTEN_ADDR=" + at.webhooks, "ADMIN_ADDR=" + at.admin, "WEBHOOK_LIVEMODE=test", "STRIPE_WEBHOOK_SECRETS=" + secret,
		}, env...),
	}
	p.Start(t)
	kit.Eventually(t, "the bridge is ready", func() bool { return kit.Get("http://"+at.admin+"/readyz").Status == http.StatusOK })
	return p, at
}

// health runs "bridge health", and returns its exit status and what it prints.
func health(t *testing.T, args ...string) (status int, printed string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "bridge"), append([]string{"health"}, args...)...)
	cmd.Env = []string{"HTTP_PROXY=http://127.0.0.1:1"} // which would not answer
	out, err := cmd.CombinedOutput()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestHealthCommand(t *testing.T) {
	t.Parallel()
	srv := natstest.Start(t)
	_, at := startBridge(t, "NATS_URL="+srv.URL())
	for _, tt := range []struct {
		when   string
		do     func()
		args   []string
		status int
		want   string
	}{
		{"ready", func() {}, nil, 0, "✓ nats\n"},
		{"without NATS", func() {
			srv.Close()
			kit.Eventually(t, "not ready", func() bool { return kit.Get("http://"+at.admin+"/readyz").Status != http.StatusOK })
		}, nil, 1, "✗ nats: not connected to NATS"},
		{"without NATS, as JSON", func() {}, []string{"--json"}, 1, `"nats":{"ok":false,"error":"not connected to NATS`},
		{"wrong usage", func() {}, []string{"--jsonl"}, 2, "--jsonl"},
		{"no program", func() {}, []string{"--admin-addr", kit.FreeAddr(t)}, 1, "the program does not run"},
	} {
		tt.do()
		status, printed := health(t, append([]string{"--admin-addr", at.admin}, tt.args...)...)
		if status != tt.status || !strings.Contains(printed, tt.want) {
			t.Errorf("%s: got exit status %d and\n%s\nwant %d and\n%s", tt.when, status, printed, tt.status, tt.want)
		}
	}
}
