package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// A command that is killed is started again. The stream has each link once, although the
// file does not say which of them were published.
func TestLinkAfterAKill(t *testing.T) {
	t.Parallel()
	const pairs = 40_000
	srv := natstest.Start(t)
	bridge := filepath.Join(binaries, "bridge")
	env := []string{"NATS_URL=" + srv.URL(), "WEBHOOK_LIVEMODE=live"}
	provision := exec.CommandContext(t.Context(), bridge, "provision")
	provision.Env = env
	if out, err := provision.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	stream := natstest.Stream(t, natstest.JetStream(t, srv.URL()), "BILLBUS")
	stored := func() uint64 {
		info, err := stream.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Msgs
	}
	var rows strings.Builder
	for i := range pairs {
		fmt.Fprintf(&rows, "cus_%d,user-%d\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "users.csv")
	if err := os.WriteFile(file, []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	link := &kit.Process{Name: "bridge link", Command: []string{bridge, "link", "--file", file}, Env: env, Log: filepath.Join(t.TempDir(), "log")}
	for kills := range 3 {
		link.Start(t)
		kit.Eventually(t, "some links are published", func() bool { return stored() > uint64(500*(kills+1)) })
		link.Signal(t, syscall.SIGKILL)
		_ = link.Err(t)
	}
	if n := stored(); n >= pairs {
		t.Fatalf("got all %d links before the last start: the kills came too late", n)
	}
	link.Start(t)
	if err := link.Err(t); err != nil {
		t.Errorf("the last start: %v", err)
	}
	out, err := os.ReadFile(link.Log)
	if want := fmt.Sprintf("published %d of %d pairs", pairs, pairs); err != nil || !strings.Contains(string(out), want) {
		t.Errorf("got %q, want %q", out, want)
	}
	if n := stored(); n != pairs {
		t.Errorf("the stream has %d links, want %d", n, pairs)
	}
}
