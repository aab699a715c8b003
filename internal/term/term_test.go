package term_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/billbus/billbus/internal/term"
)

func TestTableIsPlainTextOffATerminal(t *testing.T) {
	var out bytes.Buffer
	if err := term.Table(&out, []string{"name", "status"}, [][]string{{"sub_1", "active"}, {"sub_long", "past_due"}}); err != nil {
		t.Fatal(err)
	}
	want := " name      status   \n sub_1     active   \n sub_long  past_due \n"
	if got := out.String(); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

func TestProgressIsSilentOffATerminal(t *testing.T) {
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
