package ops_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/ops"
)

func TestLoggerWritesJSONInUTC(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := ops.NewLogger(&out, slog.LevelInfo, "")
	east := time.FixedZone("east", 3*3600)
	log.Debug("below the level")
	log.Info("stored", "event_created", time.Date(2026, 1, 1, 3, 0, 0, 0, east))

	var line struct {
		Time    string `json:"time"`
		Msg     string `json:"msg"`
		Created string `json:"event_created"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("got %q, want one JSON line: %v", out.String(), err)
	}
	if line.Msg != "stored" || line.Created != "2026-01-01T00:00:00Z" || !strings.HasSuffix(line.Time, "Z") {
		t.Errorf("got %+v, want the line with times in UTC", line)
	}
}

func TestLoggerWritesText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	ops.NewLogger(&out, slog.LevelDebug, "text").Debug("hello", "event_id", "evt_1")
	if got := out.String(); !strings.Contains(got, "level=DEBUG msg=hello event_id=evt_1") {
		t.Errorf("got %q, want text", got)
	}
}

func TestLoggerChoosesJSONForAFile(t *testing.T) {
	t.Parallel()
	file, err := os.Create(t.TempDir() + "/log")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	ops.NewLogger(file, slog.LevelInfo, "").Info("hello")
	got, err := os.ReadFile(file.Name())
	if err != nil || !json.Valid(got) {
		t.Errorf("got %q, %v, want JSON", got, err)
	}
}

// Who sends a webhook chooses its ids, and must not be able to write lines of the log or to
// control the terminal that shows it.
func TestHostileValuesStayOnTheirLine(t *testing.T) {
	t.Parallel()
	const hostile = "evt_1\r\nlevel=ERROR msg=forged \x1b[2J \x00"
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		ops.NewLogger(&out, slog.LevelInfo, format).Info("stored "+hostile, hostile, hostile)
		if got := out.String(); strings.Count(got, "\n") != 1 || strings.ContainsAny(got, "\r\x1b\x00") {
			t.Errorf("%s: got %q, want one line without control characters", format, got)
		}
	}
}
