package bridge_test

import (
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/bridge"
	"github.com/billbus/billbus/test/kit"
)

// The last thing that a terminal shows is the oldest subscription.
func TestImportOnATerminalShowsHowFarItIs(t *testing.T) {
	t.Parallel()
	_, base := stripe(t, withExisting)
	env := map[string]string{"WEBHOOK_LIVEMODE": "test", "STRIPE_API_KEY": apiKey, "STRIPE_API_BASE": base}
	var cfg config.Bridge
	if err := config.BridgeImport(&cfg).Load("bridge import", kit.Flags("--dry-run"), func(key string) string { return env[key] }); err != nil {
		t.Fatal(err)
	}
	terminal := kit.NewTerminal(t, 120)
	console := bridge.Console{Stdout: io.Discard, Stderr: terminal.File}
	if err := bridge.Import(t.Context(), cfg, console, time.Now, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	oldest := time.Now()
	for _, truth := range existing().Truth {
		if at := truth.Subscription.Created; !at.IsZero() && at.Before(oldest) {
			oldest = at
		}
	}
	want := "importing subscriptions, newest first, back to " + oldest.UTC().Format(time.DateOnly)
	if got := terminal.Printed(); !strings.Contains(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}
