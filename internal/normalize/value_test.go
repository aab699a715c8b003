package normalize

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzValue reads whole documents with parse and with encoding/json.
func FuzzValue(f *testing.F) {
	for _, seed := range []string{
		`null`, `true`, `-0.5e-7`, `""`, `"a\"\\\u0041\ud83d\ude00"`, `[]`, `{}`, `[[],{},"]}",[1,2,[3]]]`,
		`{"a":1,"a":2,"\u0061":3,"":{"]":"}"}}`, ` { "a" : [ 1 , { } ] } `, `{"a":`, `1 2`, "\"\xff\"",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		raw = validUTF8(raw, new(notes))
		v, err := parse(raw)
		if (err == nil) != json.Valid(raw) {
			t.Fatalf("parse: got %v, encoding/json says valid: %t", err, json.Valid(raw))
		}
		if err != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		var want any
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, decode(t, v)); diff != "" {
			t.Fatal(diff)
		}
		checkPlaces(t, raw, v)
	})
}

// checkPlaces compares the document with one that is parsed without whitespace, and a
// document that is made of its parts with one that is parsed.
func checkPlaces(t *testing.T, raw []byte, v value) {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, raw); err != nil {
		t.Fatal(err)
	}
	merged := merge(v, v, true)
	for text, got := range map[string]*document{compact.String(): v.doc, merged.doc.text: merged.doc} {
		want := mustParse(text).doc
		if want.escapes != got.escapes || want.text != got.text || !slices.Equal(want.nodes, got.nodes) {
			t.Fatalf("got %+v, want %+v", *got, *want)
		}
	}
}

func decode(t *testing.T, v value) any {
	t.Helper()
	switch {
	case v.isNull():
		return nil
	case v.isObject():
		return decodeObject(t, v)
	case v.isArray():
		list := []any{}
		for i, each := range v.elements() {
			if i != len(list) {
				t.Fatalf("element %d has index %d", len(list), i)
			}
			list = append(list, decode(t, each))
		}
		return list
	case v.isString():
		s, _ := v.text()
		return s
	case v.isNumber():
		return json.Number(v.raw())
	}
	b, ok := flag(v)
	if !ok {
		t.Fatalf("%s has no type", v.raw())
	}
	return b
}

func decodeObject(t *testing.T, v value) any {
	t.Helper()
	m := make(map[string]any)
	for name, each := range v.members() {
		m[name] = decode(t, each)
	}
	by := lookup(v)
	for name, want := range m {
		for _, got := range []value{v.get(name), by(name)} {
			if diff := cmp.Diff(want, decode(t, got)); diff != "" {
				t.Fatalf("getting %q: %s", name, diff)
			}
		}
	}
	return m
}

func TestLongPathsAreShortened(t *testing.T) {
	t.Parallel()
	doc := mustParse(`{"data":1,"a":1,"":1,"b":1,"n":1}`)
	steps := []step{{member: doc.get("data")}, {member: doc.get("a")}, {index: 3}, {member: doc.get("")}, {member: doc.get("b")}}
	if got, want := pathOf(steps), "data.a[3]..b"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var long []step
	for range 100 {
		long = append(long, step{member: doc.get("n")}, step{index: 1})
	}
	half := "n[1].n[1].n[1].n[1].n[1].n[1].n[1].n[1]"
	if got, want := pathOf(long), half+"…."+half; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
