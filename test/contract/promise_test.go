package contract_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

// promise is what readers of one schema version can rely on for one field.
type promise struct {
	Path     string   `json:"path"`
	Type     string   `json:"type"`
	Required bool     `json:"required,omitempty"`
	Values   []string `json:"values,omitempty"`
	Closed   bool     `json:"closed,omitempty"` // no other values will come
}

// promisesFile is the record of a schema version. A new version begins with an empty one.
var promisesFile = fmt.Sprintf("../../events/testdata/contract.v%d.json", events.SchemaVersion)

func promises(path string, g *group) []promise {
	var list []promise
	for _, f := range g.fields {
		list = append(list, promisesOf(strings.TrimPrefix(path+"."+f.name, "."), f.value, f.required)...)
	}
	return list
}

func promisesOf(path string, v value, required bool) []promise {
	p := promise{path, typeName(v), required, v.words, v.closed}
	switch {
	case v.nullable: // its fields are those of the subscription
	case v.group != nil:
		return append([]promise{p}, promises(path, v.group)...)
	case v.kind == "array":
		p.Values = nil
		return append([]promise{p}, promisesOf(path+"[]", *v.elements, false)...)
	}
	return []promise{p}
}

func typeName(v value) string {
	switch {
	case v.group != nil:
		return "object"
	case v.format != "":
		return v.format
	case v.kind == "object" && v.elements != nil:
		return "object of " + v.elements.kind
	}
	return v.kind
}

// broken returns the promises that the contract no longer keeps.
func broken(promised, kept []promise) []string {
	var faults []string
	for _, p := range promised {
		i := slices.IndexFunc(kept, func(k promise) bool { return k.Path == p.Path })
		if i < 0 {
			faults = append(faults, p.Path+": removed")
			continue
		}
		for _, difference := range differences(p, kept[i]) {
			faults = append(faults, p.Path+": "+difference)
		}
	}
	return append(faults, demands(promised, kept)...)
}

func differences(p, k promise) []string {
	var list []string
	if p.Type != k.Type {
		list = append(list, fmt.Sprintf("was %s, is %s", p.Type, k.Type))
	}
	if p.Required != k.Required {
		list = append(list, fmt.Sprintf("required was %v, is %v", p.Required, k.Required))
	}
	return append(list, differentValues(p, k)...)
}

func differentValues(p, k promise) []string {
	var list []string
	for _, value := range p.Values {
		if !slices.Contains(k.Values, value) {
			list = append(list, fmt.Sprintf("the value %q was removed", value))
		}
	}
	if p.Closed && (!k.Closed || len(k.Values) > len(p.Values)) {
		list = append(list, "other values were added")
	}
	return list
}

// demands returns new fields that are required: messages that are already in a stream do
// not have them. Within a new object, fields can be required.
func demands(promised, kept []promise) []string {
	var faults []string
	known := func(path string) bool {
		return path == "" || slices.ContainsFunc(promised, func(p promise) bool { return p.Path == path })
	}
	for _, k := range kept {
		parent := k.Path[:max(0, strings.LastIndex(k.Path, "."))]
		if len(promised) > 0 && k.Required && !known(k.Path) && known(parent) {
			faults = append(faults, k.Path+": new and required")
		}
	}
	return faults
}

// Not parallel, because other tests read what it writes.
func TestPromisesAreKept(t *testing.T) {
	kept, promised := promises("", readModel(t)), readPromises(t)
	for _, fault := range broken(promised, kept) {
		t.Errorf("%s\n\tThis breaks readers: raise SchemaVersion.", fault)
	}
	if *update && !t.Failed() {
		writePromises(t, kept)
		promised = kept
	}
	if diff := cmp.Diff(promised, kept); diff != "" {
		t.Errorf("the record is not complete (go generate ./events; -recorded +promised):\n%s", diff)
	}
}

func readPromises(t *testing.T) []promise {
	t.Helper()
	raw, err := os.ReadFile(promisesFile)
	if errors.Is(err, fs.ErrNotExist) && *update {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	var list []promise
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// writePromises writes one line per field, for readable diffs.
func writePromises(t *testing.T, list []promise) {
	t.Helper()
	var lines []string
	for _, p := range list {
		var line bytes.Buffer
		if err := encoder(&line).Encode(p); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(line.String()))
	}
	text := "[\n" + strings.Join(lines, ",\n") + "\n]\n"
	if err := os.WriteFile(promisesFile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestBrokenPromisesAreNamed(t *testing.T) {
	t.Parallel()
	const status, item = "data.subscription.status", "data.subscription.items[]"
	cases := map[string]struct {
		path  string
		alter func(*group)
		want  string
	}{
		"field removed":                {status, func(g *group) { remove(g, "status") }, ": removed"},
		"field renamed":                {status, func(g *group) { find(g, "status").name = "state" }, ": removed"},
		"type changed":                 {status, func(g *group) { find(g, "status").value = value{kind: "integer"} }, ": was string, is integer"},
		"format changed":               {"data.subscription.cancel_at", func(g *group) { find(g, "cancel_at").value.format = "" }, ": was date-time, is string"},
		"no longer required":           {"data.subscription.id", func(g *group) { find(g, "id").required = false }, ": required was true, is false"},
		"now required":                 {status, func(g *group) { find(g, "status").required = true }, ": required was false, is true"},
		"value removed":                {status, func(g *group) { f := find(g, "status"); f.value.words = f.value.words[1:] }, `: the value "incomplete" was removed`},
		"value of a closed list added": {"data.subscription.access", func(g *group) { f := find(g, "access"); f.value.words = append(f.value.words, "x") }, ": other values were added"},
		"nested field removed":         {item + ".price_id", func(g *group) { remove(find(g, "items").value.elements.group, "price_id") }, ": removed"},
		"required and new":             {"data.subscription.x", func(g *group) { g.fields = append(g.fields, field{name: "x", required: true}) }, ": new and required"},
	}
	for name, tt := range cases {
		before, after := readModel(t), readModel(t)
		tt.alter(find(find(after, "data").value.group, "subscription").value.group)
		got := broken(promises("", before), promises("", after))
		if !slices.Contains(got, tt.path+tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.path+tt.want)
		}
	}
}

func TestNewFieldsAndRewordedCommentsBreakNothing(t *testing.T) {
	t.Parallel()
	before, after := readModel(t), readModel(t)
	data := find(after, "data").value.group
	inside := &group{fields: []field{{name: "id", required: true, value: value{kind: "string"}}}}
	data.fields = append(data.fields, field{name: "later", value: value{group: inside}})
	origin := find(data, "origin")
	origin.value.words = append(origin.value.words, "later")
	origin.meaning = "Reworded."
	if got := broken(promises("", before), promises("", after)); got != nil {
		t.Errorf("got %q, want nothing", got)
	}
}

func find(g *group, name string) *field {
	i := slices.IndexFunc(g.fields, func(f field) bool { return f.name == name })
	return &g.fields[i]
}

func remove(g *group, name string) {
	g.fields = slices.DeleteFunc(g.fields, func(f field) bool { return f.name == name })
}
