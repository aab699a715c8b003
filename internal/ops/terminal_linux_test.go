package ops_test

import (
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
