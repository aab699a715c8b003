// Package ops has what operators see of the programs: logs, metrics, health, and
// servers that report a taken port at start and drain at the end. Of webhooks and
// messages it knows only the names that are counted.
package ops

import (
	"io"
	"log/slog"

	"github.com/billbus/billbus/internal/term"
)

// NewLogger returns a logger in the format "json" or "text". If format is "", a
// terminal gets text and everything else JSON. Times are in UTC, so that the lines of
// several machines can be sorted. It logs the warnings about the settings first.
func NewLogger(w io.Writer, level slog.Level, format string, warnings ...string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: utc}
	log := slog.New(slog.NewJSONHandler(w, options))
	if format == "text" || format == "" && term.IsTerminal(w) {
		log = slog.New(slog.NewTextHandler(w, options))
	}
	for _, warning := range warnings {
		log.Warn("settings", "warning", warning)
	}
	return log
}

// utc converts the time of the line and all times among its attributes.
func utc(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
