// Package ops has what operators see of the programs: logs, metrics, health, and
// servers that report a taken port at start and drain at the end. Of webhooks and
// messages it knows only the names that are counted.
package ops

import (
	"io"
	"log/slog"
	"os"

	"golang.org/x/term"
)

// NewLogger returns a logger in the format "json" or "text". If format is "", a
// terminal gets text and everything else JSON. Times are in UTC, so that the lines of
// several machines can be sorted.
func NewLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: utc}
	file, ok := w.(*os.File)
	if format == "text" || format == "" && ok && term.IsTerminal(int(file.Fd())) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// utc converts the time of the line and all times among its attributes.
func utc(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
