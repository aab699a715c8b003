package bridge_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

func provision(t *testing.T, url string, args ...string) string {
	t.Helper()
	env := map[string]string{"NATS_URL": url}
	var cfg config.Bridge
	if err := config.BridgeProvision(&cfg).Load("bridge provision", kit.Flags(args...), func(key string) string { return env[key] }); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := bridge.Provision(t.Context(), cfg, &out, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestProvisionPrintsAndAppliesTheDifference(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t).URL()
	const missing = "+ stream BILLBUS\n+ stream BILLBUS_DLQ\n+ stream KV_BILLBUS_STATE\n"
	if got := provision(t, url, "--dry-run"); got != missing {
		t.Errorf("dry run: got %q", got)
	}
	if got := provision(t, url); got != missing+"applied\n" {
		t.Errorf("got %q", got)
	}
	if got := provision(t, url); !strings.HasPrefix(got, "nothing to do") {
		t.Errorf("again: got %q", got)
	}
	const altered = "~ stream BILLBUS: max_age: 0s -> 960h0m0s\n"
	if got := provision(t, url, "--stream-max-age=40d", "--dry-run"); got != altered {
		t.Errorf("dry run: got %q", got)
	}
	if got := provision(t, url, "--stream-max-age=40d"); got != altered+"applied\n" {
		t.Errorf("got %q", got)
	}
	if got := provision(t, url, "--stream-max-age=40d"); !strings.HasPrefix(got, "nothing to do") {
		t.Errorf("again: got %q", got)
	}
}
