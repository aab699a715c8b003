package e2e_test

import (
	"bytes"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/billbus/billbus/test/kit"
)

// execute runs a program until it exits.
func execute(t *testing.T, name string, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), filepath.Join(binaries, name), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestAllConfigurationFaultsAreReported(t *testing.T) {
	t.Parallel()
	const private = "hunter2private"
	addr := kit.FreeAddr(t)
	code, _, stderr := execute(t, "bridge", []string{
		"LISTEN_ADDR=" + addr, "STRIPE_WEBHOOK_SECRETS=" + private, "WEBHOOK_TOLERANCE=soon", "STREAM_NAME=a.b",
		"NATS_URL=nats://user:" + private + "@h o s t",
	}, "--no-such-flag=1")
	if code != 2 {
		t.Errorf("got exit status %d, want 2", code)
	}
	for _, want := range []string{"STRIPE_WEBHOOK_SECRETS", "WEBHOOK_LIVEMODE", "WEBHOOK_TOLERANCE", "STREAM_NAME", "NATS_URL", "no-such-flag"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the message does not name %s:\n%s", want, stderr)
		}
	}
	if strings.Contains(stderr, private) {
		t.Errorf("the message shows a secret:\n%s", stderr)
	}
	code, _, stderr = execute(t, "subscriber", []string{"MONGODB_URI=postgres://u:" + private + "@h/", "MAX_IN_FLIGHT=many"})
	if code != 2 || !strings.Contains(stderr, "MONGODB_URI") || !strings.Contains(stderr, "MAX_IN_FLIGHT") || strings.Contains(stderr, private) {
		t.Errorf("got %d:\n%s", code, stderr)
	}
}

func TestPortInUseNamesTheSetting(t *testing.T) {
	t.Parallel()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	code, _, stderr := execute(t, "subscriber", []string{"ADMIN_ADDR=" + ln.Addr().String()})
	if code != 1 || !strings.Contains(stderr, "ADMIN_ADDR") {
		t.Errorf("got %d:\n%s", code, stderr)
	}
}

func TestHelpAndVersion(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"bridge", "subscriber"} {
		code, stdout, _ := execute(t, name, nil, "--help")
		if code != 0 || !strings.Contains(stdout, "NATS_URL") || !strings.Contains(stdout, "--nats-url") {
			t.Errorf("%s --help: got %d:\n%s", name, code, stdout)
		}
		code, stdout, _ = execute(t, name, nil, "--version")
		if code != 0 || !strings.HasPrefix(stdout, name+" ") || !strings.Contains(stdout, "go1.") {
			t.Errorf("%s --version: got %d: %s", name, code, stdout)
		}
	}
}

func TestHelpOfACommandHasItsOwnSettings(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := execute(t, "subscriber", nil, "audit", "--help")
	if code != 0 || stderr != "" || !strings.Contains(stdout, "\n  --wide\n") || strings.Contains(stdout, "NATS_URL") {
		t.Errorf("got %d, %q and\n%s", code, stderr, stdout)
	}
}

func TestMisspeltCommandsAndFlagsGetASuggestion(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		`unknown command "servee": did you mean serve?`:       {"servee"},
		"--log-leve: unknown flag, did you mean --log-level?": {"--log-leve", "x"},
		`unknown command "bahs": did you mean bash?`:          {"completion", "bahs"},
	} {
		code, stdout, stderr := execute(t, "bridge", nil, args...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, "\n  "+want+"\n") {
			t.Errorf("%q: got %d, %q and\n%s", args, code, stdout, stderr)
		}
	}
}
