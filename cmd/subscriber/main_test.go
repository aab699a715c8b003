package main

import (
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/internal/secret"
	"github.com/billbus/billbus/test/kit"
)

var binaries string // folder of the built program

func TestMain(m *testing.M) {
	os.Exit(kit.RunWithBinaries(&binaries, m.Run, "github.com/billbus/billbus/cmd/subscriber"))
}

func TestHealthCommand(t *testing.T) {
	t.Parallel()
	health := ops.NewHealth()
	ready := httptest.NewServer(ops.AdminHandler(health, ops.NewMetrics(), secret.Text{}))
	t.Cleanup(ready.Close)
	stopping := ops.NewHealth()
	stopping.Shutdown()
	notReady := httptest.NewServer(ops.AdminHandler(stopping, ops.NewMetrics(), secret.Text{}))
	t.Cleanup(notReady.Close)
	for name, tt := range map[string]struct {
		url    string
		args   []string
		status int
		want   string
	}{
		"ready":       {ready.URL, nil, 0, "ready\n"},
		"not ready":   {notReady.URL, nil, 1, "✗ shutdown: shutting down\nnot ready\n"},
		"JSON":        {notReady.URL, []string{"--json"}, 1, `{"ready":false,"checks":{"shutdown":{"ok":false,"error":"shutting down"}}}`},
		"no program":  {"http://" + kit.FreeAddr(t), nil, 1, "the program does not run"},
		"wrong usage": {ready.URL, []string{"--mongodb-uri=x"}, 2, "MONGODB_URI: not taken"},
	} {
		args := append([]string{"health"}, tt.args...)
		cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, "subscriber"), args...)
		cmd.Env = []string{"ADMIN_ADDR=" + strings.TrimPrefix(tt.url, "http://")}
		out, err := cmd.CombinedOutput()
		if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
			t.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != tt.status || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: got exit status %d and\n%s\nwant %d and\n%s", name, got, out, tt.status, tt.want)
		}
	}
}
