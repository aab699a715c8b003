// Package ops is what whoever runs the programs sees of them: log lines, metrics, health, and servers
// that start loudly and stop quietly. It knows nothing of webhooks or messages beyond the names that
// are counted.
package ops

import (
	"io"
	"log/slog"
	"os"
)

// NewLogger returns a logger that writes to w in that format, "json" or "text". Where the format is
// "", a person at a terminal gets text and everything else JSON. Times are UTC, so that lines of
// several machines sort.
func NewLogger(w io.Writer, level slog.Level, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: utc}
	if format == "text" || format == "" && isTerminal(w) {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}

// utc converts every time, the line's own and those among its attributes.
func utc(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
