// Package corpus loads webhook events that other projects recorded from Stripe, in
// many API versions, for tests. This project may not publish them, so they are
// outside the repository. A test that needs them is skipped without them.
package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	folderVariable  = "BILLBUS_CORPUS"
	requireVariable = "BILLBUS_REQUIRE_CORPUS"
	defaultFolder   = "../shared/testdata/stripe" // from the repository's root
)

// File is one recorded event.
type File struct {
	// Name is the path inside the folder, with slashes.
	Name string
	Raw  []byte
}

// Load reads every recorded event from the folder BILLBUS_CORPUS or, by default,
// from a folder next to the repository. If there are none, it skips the test, or
// fails it if BILLBUS_REQUIRE_CORPUS is set.
func Load(t testing.TB) []File {
	t.Helper()
	files, err := read(folder(t))
	switch {
	case err == nil && len(files) > 0:
		return files
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		t.Fatalf("reading the recorded events: %v", err)
	case os.Getenv(requireVariable) != "":
		t.Fatalf("%s is set, but there are no recorded events: set %s to their folder", requireVariable, folderVariable)
	}
	t.Skipf("no recorded events: set %s to their folder", folderVariable)
	return nil
}

// Seeds is Load for a fuzz target that has other seeds, too: it returns nothing if there are none.
func Seeds(t testing.TB) []File {
	t.Helper()
	files, err := read(folder(t))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("reading the recorded events: %v", err)
	}
	return files
}

func folder(t testing.TB) string {
	t.Helper()
	if dir := os.Getenv(folderVariable); dir != "" {
		return dir
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatalf("finding the repository: %v", err)
	}
	for !isFile(filepath.Join(dir, "go.mod")) {
		if dir == filepath.Dir(dir) {
			t.Fatal("finding the repository: no go.mod above the test")
		}
		dir = filepath.Dir(dir)
	}
	return filepath.Join(dir, filepath.FromSlash(defaultFolder))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// read skips objects/, which are not events, and event_types*.json, which are
// lists of names.
func read(dir string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "objects":
			return fs.SkipDir
		case entry.IsDir(), filepath.Ext(path) != ".json", strings.HasPrefix(entry.Name(), "event_types"):
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files = append(files, File{filepath.ToSlash(name), raw})
		return err
	})
	return files, err
}

// Fresh replaces the id of an event, and the id of its subscription if it is about
// one, by ids that are unique for each n. Many recorded events share an id and
// would count as duplicates. Nothing else changes. Fresh panics if raw is not an
// event with an id.
func Fresh(raw []byte, n int) []byte {
	event, err := locate(raw)
	if err != nil {
		panic(fmt.Sprintf("corpus: %v", err))
	}
	sub := fmt.Sprintf(`"sub_fresh%08d"`, n)
	id := fmt.Sprintf(`"evt_fresh%08d"`, n)
	switch {
	case !event.subscription:
		return splice(raw, event.id, id)
	case event.objectID == span{}:
		sub = `"id":` + sub
		if !event.emptyObject {
			sub += ","
		}
		event.objectID = span{event.objectStart, event.objectStart}
	}
	// Splice the later id first, because a splice moves what follows.
	if event.id.start > event.objectID.start {
		return splice(splice(raw, event.id, id), event.objectID, sub)
	}
	return splice(splice(raw, event.objectID, sub), event.id, id)
}

type span struct{ start, end int }

func splice(b []byte, at span, text string) []byte {
	return bytes.Join([][]byte{b[:at.start], []byte(text), b[at.end:]}, nil)
}

// location says where the ids of an event are.
type location struct {
	id, objectID span
	objectStart  int // after the opening brace of data.object
	emptyObject  bool
	subscription bool
}

func locate(raw []byte) (location, error) {
	var head struct {
		ID   string
		Type string
		Data struct{ Object struct{ Object any } }
	}
	_ = json.Unmarshal(raw, &head) // data can have any type
	l := location{
		subscription: head.Data.Object.Object == "subscription" || strings.HasPrefix(head.Type, "customer.subscription."),
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := l.members(dec, raw, ""); err != nil {
		return location{}, err
	}
	if l.id == (span{}) {
		return location{}, errors.New("event has no id")
	}
	l.subscription = l.subscription && l.objectStart > 0
	return l, nil
}

// members reads an object of the event, down to data.object.
func (l *location) members(dec *json.Decoder, raw []byte, path string) error {
	if _, err := dec.Token(); err != nil { // the opening brace
		return err
	}
	if path == ".data.object" {
		l.objectStart = int(dec.InputOffset())
		l.emptyObject = !dec.More()
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		if err := l.member(dec, raw, fmt.Sprintf("%s.%v", path, name)); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func (l *location) member(dec *json.Decoder, raw []byte, path string) error {
	start := valueStart(raw, int(dec.InputOffset()))
	if raw[start] == '{' && (path == ".data" || path == ".data.object") {
		return l.members(dec, raw, path)
	}
	var skipped json.RawMessage
	if err := dec.Decode(&skipped); err != nil {
		return err
	}
	at := span{start, int(dec.InputOffset())}
	switch path {
	case ".id":
		l.id = at
	case ".data.object.id":
		l.objectID = at
	}
	return nil
}

func valueStart(raw []byte, i int) int {
	return i + len(raw[i:]) - len(bytes.TrimLeft(raw[i:], ": \t\r\n"))
}
