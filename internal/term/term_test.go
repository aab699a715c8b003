package term_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/billbus/billbus/internal/term"
)

func TestTableOffATerminalIsCompletePlainText(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	long := strings.Repeat("long ", 40) + "end"
	if err := term.NewPrinter(&out).Table([]string{"name", "status"}, []term.Row{{Cells: []string{"sub_1", "active"}}, {Cells: []string{"sub_long", long}}}); err != nil {
		t.Fatal(err)
	}
	want := " name      status\n sub_1     active\n sub_long  " + long + "\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

func TestTableFitsTheWidth(t *testing.T) {
	t.Parallel()
	id := "evt_1MowQVLkdIwHu7ixeraBm864"
	for name, cells := range map[string][]string{
		"short":              {"a", "b", "c"},
		"long id":            {id, id, id},
		"long word":          {"a", strings.Repeat("x", 300), "c"},
		"wide characters":    {"a", strings.Repeat("生命", 60), strings.Repeat("🙂", 60)},
		"combining":          {"a", strings.Repeat("e\u0301", 200), "c"},
		"control characters": {"a", "\x1b[31mred\x1b[0m\r\n\tnext\u202e" + strings.Repeat("x", 90), "c"},
		"invalid UTF-8":      {"a", strings.Repeat("\xff", 100), "c"},
		"empty":              {"", "", ""},
	} {
		for _, width := range []int{20, 40, 80} {
			var out bytes.Buffer
			p := term.Printer{Out: &out, Width: width}
			rows := []term.Row{
				{Text: "2026-01-31"}, {Cells: cells}, {Text: strings.Join(cells, " and "), Prefix: strings.Repeat(" ", 11)}, {Cells: cells},
			}
			if err := p.Table([]string{"first", "second", "third"}, rows); err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(out.String()) {
				line = strings.TrimSuffix(line, "\n")
				if got := text.StringWidthWithoutEscSequences(line); got > width {
					t.Errorf("%s: got %d columns, want at most %d: %q", name, got, width, line)
				}
				if strings.ContainsAny(line, "\x1b\r\t") {
					t.Errorf("%s: got a control character in %q", name, line)
				}
			}
		}
	}
}

func TestTableWithoutRowsIsEmpty(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := (term.Printer{Out: &out, Width: 80}).Table(nil, nil); err != nil || out.Len() > 0 {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestTableShortensItsWidestColumn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := term.Printer{Out: &out, Width: 24}
	header := []string{"time", "event"}
	rows := []term.Row{
		{Text: "2026-01-31"},
		{Cells: []string{"12:00:00", "customer.subscription.updated"}},
		{Text: "because it is later", Prefix: strings.Repeat(" ", 11)},
	}
	if p.Fits(header, rows) || !p.Fits(header, rows[:1]) {
		t.Error("want only the table without the event to fit")
	}
	if err := p.Table(header, rows); err != nil {
		t.Fatal(err)
	}
	want := ` time      event
2026-01-31
 12:00:00  customer.su…
           because it
           is later
`
	if got := out.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestJSONLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	line := term.JSONLines(&out)
	for _, v := range []any{map[string]string{"a": "<b>\n"}, 1} {
		if err := line(v); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := out.String(), "{\"a\":\"<b>\\n\"}\n1\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProgressIsSilentOffATerminal(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	p := term.NewProgress(file, "sending", 10)
	p.Set(5)
	p.Stop()
	info, err := file.Stat()
	if err != nil || info.Size() != 0 || term.IsTerminal(file) {
		t.Errorf("got %d bytes, %v", info.Size(), err)
	}
}
