package ops_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/test/kit"
)

func TestLoggerChoosesTextForATerminal(t *testing.T) {
	t.Parallel()
	terminal := kit.NewTerminal(t, 80)
	ops.NewLogger(terminal.File, slog.LevelInfo, "").Info("hello")
	if got := terminal.Printed(); !strings.Contains(got, "level=INFO msg=hello") {
		t.Errorf("got %q, want text", got)
	}
}

func TestHealthOnATerminalHasColors(t *testing.T) {
	t.Parallel()
	terminal := kit.NewTerminal(t, 30)
	err := ops.PrintHealth(t.Context(), ops.Admin{Addr: admin(t, errors.New("stream BILLBUS is missing: run bridge provision"))}, false, terminal.File)
	got := terminal.Printed()
	if !errors.Is(err, ops.ErrNotReady) || !strings.Contains(got, "✗ streams: stream BILLBUS") || !strings.Contains(got, "\x1b[31m") {
		t.Errorf("got %v and %q, want the failure in red", err, got)
	}
}
