// Package corpus gives tests the webhook events that other projects recorded
// from Stripe, in many API versions. They are not this project's to publish, so
// they stand outside of the repository, and tests that need them say so when
// they are not there.
//
// It is for tests only.
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

// Load reads every recorded event: from the folder that BILLBUS_CORPUS names, or
// from beside the repository. Without one it skips the test, or fails it if
// BILLBUS_REQUIRE_CORPUS is set.
func Load(t testing.TB) []File {
	t.Helper()
	files, err := read(folder(t))
	switch {
	case err == nil && len(files) > 0:
		return files
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		t.Fatalf("reading the recorded events: %v", err)
	case os.Getenv(requireVariable) != "":
		t.Fatalf("no recorded events, and %s is set: set %s to a folder of them", requireVariable, folderVariable)
	}
	t.Skipf("no recorded events: set %s to a folder of them", folderVariable)
	return nil
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

// read goes through the folder, whose objects/ holds no events and whose
// event_types*.json are lists of names.
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

// Fresh gives an event an id of its own for every n and, if it tells of a
// subscription, gives that one of its own, too: many recorded events share
// theirs, and would count as repetitions of each other. Nothing else changes.
// It panics if raw is no event with an id.
func Fresh(raw []byte, n int) []byte {
	event, err := find(raw)
	if err != nil {
		panic(fmt.Sprintf("corpus: %v", err))
	}
	sub := fmt.Sprintf(`"sub_fresh%08d"`, n)
	out := bytes.Clone(raw)
	switch { // from the back to the front, because edits move what follows
	case !event.subscription:
		return splice(out, event.id, fmt.Sprintf(`"evt_fresh%08d"`, n))
	case event.objectID == span{}:
		sub = `"id":` + sub
		if !event.emptyObject {
			sub += ","
		}
		event.objectID = span{event.objectStart, event.objectStart}
	}
	id := fmt.Sprintf(`"evt_fresh%08d"`, n)
	if event.id.start > event.objectID.start {
		return splice(splice(out, event.id, id), event.objectID, sub)
	}
	return splice(splice(out, event.objectID, sub), event.id, id)
}

type span struct{ start, end int }

func splice(b []byte, at span, text string) []byte {
	return bytes.Join([][]byte{b[:at.start], []byte(text), b[at.end:]}, nil)
}

// places are where the ids of an event stand.
type places struct {
	id, objectID span
	objectStart  int // after the brace of data.object
	emptyObject  bool
	subscription bool
}

func find(raw []byte) (places, error) {
	var head struct {
		ID   string
		Type string
		Data struct{ Object struct{ Object any } }
	}
	_ = json.Unmarshal(raw, &head) // data may be anything
	p := places{
		subscription: head.Data.Object.Object == "subscription" || strings.HasPrefix(head.Type, "customer.subscription."),
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if err := p.members(dec, raw, ""); err != nil {
		return places{}, err
	}
	if p.id == (span{}) {
		return places{}, errors.New("an event without id")
	}
	p.subscription = p.subscription && p.objectStart > 0
	return p, nil
}

// members goes through an object of the event down to data.object.
func (p *places) members(dec *json.Decoder, raw []byte, path string) error {
	if _, err := dec.Token(); err != nil { // the brace
		return err
	}
	if path == ".data.object" {
		p.objectStart = int(dec.InputOffset())
		p.emptyObject = !dec.More()
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		if err := p.member(dec, raw, fmt.Sprintf("%s.%v", path, name)); err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}

func (p *places) member(dec *json.Decoder, raw []byte, path string) error {
	start := valueStart(raw, int(dec.InputOffset()))
	if raw[start] == '{' && (path == ".data" || path == ".data.object") {
		return p.members(dec, raw, path)
	}
	var skipped json.RawMessage
	if err := dec.Decode(&skipped); err != nil {
		return err
	}
	at := span{start, int(dec.InputOffset())}
	switch path {
	case ".id":
		p.id = at
	case ".data.object.id":
		p.objectID = at
	}
	return nil
}

func valueStart(raw []byte, i int) int {
	return i + len(raw[i:]) - len(bytes.TrimLeft(raw[i:], ": \t\r\n"))
}
