package term_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/billbus/billbus/internal/term"
	"github.com/billbus/billbus/test/kit"
)

// printTable is set in the process that a test starts on a terminal.
const printTable = "BILLBUS_TEST_PRINT_TABLE"

func TestMain(m *testing.M) {
	if os.Getenv(printTable) == "" {
		os.Exit(m.Run())
	}
	rows := []term.Row{{Cells: []string{"won", strings.Repeat("x", 100)}, Color: term.Green}}
	if err := term.NewPrinter(os.Stdout).Table([]string{"outcome", "why"}, rows); err != nil {
		panic(err)
	}
}

// onTerminal starts a process that prints a table to a terminal.
func onTerminal(t *testing.T, columns int, env ...string) string {
	t.Helper()
	terminal := kit.NewTerminal(t, columns)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env, cmd.Stdout = append(env, printTable+"=1"), terminal.File
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return terminal.Printed()
}

func TestTableOnATerminal(t *testing.T) {
	t.Parallel()
	plain := func(width int) string {
		return " outcome  why\n won      " + strings.Repeat("x", width-12) + "…\n"
	}
	for name, tt := range map[string]struct {
		columns int
		env     []string
		want    string
	}{
		"its width":                      {60, []string{"TERM=dumb"}, plain(60)},
		"80 columns where it has no own": {0, []string{"TERM=dumb"}, plain(80)},
		"NO_COLOR":                       {80, []string{"TERM=xterm", "NO_COLOR=1"}, plain(80)},
		"colors": {
			80,
			[]string{"TERM=xterm"},
			"\x1b[1m outcome  why\x1b[0m\n\x1b[32m won      " + strings.Repeat("x", 68) + "…\x1b[0m\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := onTerminal(t, tt.columns, tt.env...); got != tt.want {
				t.Errorf("got\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

func TestTheNullDeviceIsNoTerminal(t *testing.T) {
	t.Parallel()
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	if term.IsTerminal(null) || !term.IsTerminal(kit.NewTerminal(t, 80).File) {
		t.Error("want only the terminal to be one")
	}
}

func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	terminal := kit.NewTerminal(t, 80)
	p := term.NewProgress(terminal.File, "sending", 10)
	if err := p.Line(terminal.File, "a line above"); err != nil {
		t.Fatal(err)
	}
	p.Set(10)
	p.Describe("the rest")
	p.Stop()
	got := terminal.Printed()
	for _, want := range []string{"a line above", "the rest", "10"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}
