package events_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

// The examples are published messages, except for their line breaks.
func TestExamplesComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/examples/*.json")
	if err != nil || len(paths) < 10 {
		t.Fatalf("found %d examples: %v", len(paths), err)
	}
	for _, path := range paths {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		got := reencode(t, path, want)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
			want = got
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (rewrite it with -update; -file +encoded):\n%s", path, diff)
		}
	}
}

func reencode(t *testing.T, path string, payload []byte) []byte {
	t.Helper()
	var compact, indented bytes.Buffer
	if err := json.Compact(&compact, payload); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	m, err := events.Decode(compact.Bytes())
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	encoded, err := events.Encode(m)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	if err := json.Indent(&indented, append(encoded, '\n'), "", "  "); err != nil {
		t.Fatal(err)
	}
	return indented.Bytes()
}
