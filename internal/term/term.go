// Package term prints what commands report: tables and text that fit the terminal,
// JSON Lines, and progress. To anything but a terminal it prints complete, plain
// text, and no progress.
package term

import (
	"cmp"
	"encoding/json"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// defaultWidth is for terminals that do not know their width.
const defaultWidth = 80

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// JSONLines returns a function that prints a value as one line of JSON.
func JSONLines(out io.Writer) func(v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode
}

// Color is how a terminal shows a line. The zero Color is the terminal's own.
type Color text.Color

// Colors of lines.
const (
	Bold   = Color(text.Bold)
	Red    = Color(text.FgRed)
	Green  = Color(text.FgGreen)
	Yellow = Color(text.FgYellow)
)

// Printer prints text and tables.
type Printer struct {
	Out io.Writer
	// Width is how many columns a line may have. 0 means no limit: nothing is
	// shortened or wrapped.
	Width int
	// Color says whether to use colors. NO_COLOR in the environment overrides it.
	Color bool
}

// NewPrinter returns a printer with the width of the terminal, and with colors, if
// out is a terminal.
func NewPrinter(out io.Writer) Printer {
	if !IsTerminal(out) {
		return Printer{Out: out}
	}
	width, _, err := term.GetSize(int(out.(*os.File).Fd()))
	if err != nil {
		width = 0
	}
	return Printer{Out: out, Width: cmp.Or(width, defaultWidth), Color: true}
}

// Text prints text, wrapped between words.
func (p Printer) Text(s string) error {
	return p.Table(nil, []Row{{Text: s}})
}

// lines returns the lines of a row's text, each with a line end.
func (p Printer) lines(row Row) string {
	s, prefix := printable(row.Text), row.Prefix
	if p.Width > 0 {
		prefix = prefix[:min(len(prefix), p.Width/2)]
		// WrapSoft can exceed its width by half of a wide character.
		s = text.WrapSoft(s, p.Width-len(prefix)-1)
	}
	var b strings.Builder
	for line := range strings.SplitSeq(s, "\n") {
		b.WriteString(p.paint(prefix+line, row.Color))
		prefix = strings.Repeat(" ", len(prefix))
	}
	return b.String()
}

func (p Printer) paint(line string, color Color) string {
	line = strings.TrimRight(line, " ")
	if p.Color && color != 0 {
		line = text.Color(color).Sprint(line)
	}
	return line + "\n"
}

// printable replaces control characters. Others wrote what is printed, and must
// not be able to control the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}
