package stripesim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// object is a JSON object. Its values are nil, bool, int64, string, json.Number, object
// and list.
type object map[string]any

// list is a JSON array.
type list []any

// merge adds the members of more.
func (o object) merge(more object) object {
	maps.Copy(o, more)
	return o
}

// render writes o as Stripe does: indented by two spaces, with id and object first and
// the other keys in alphabetical order.
func render(o object) []byte {
	var indented bytes.Buffer
	if err := json.Indent(&indented, appendJSON(nil, o), "", "  "); err != nil {
		panic(fmt.Sprintf("stripesim: rendering: %v", err))
	}
	return indented.Bytes()
}

// appendJSON is several times as fast as methods MarshalJSON, whose output is checked and
// copied at each level.
func appendJSON(b []byte, value any) []byte {
	switch v := value.(type) {
	case object:
		b = append(b, '{')
		for i, key := range slices.SortedFunc(maps.Keys(v), compareKeys) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendJSON(b, key), ':')
			b = appendJSON(b, v[key])
		}
		return append(b, '}')
	case list:
		b = append(b, '[')
		for i, element := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, element)
		}
		return append(b, ']')
	}
	return appendScalar(b, value)
}

func appendScalar(b []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(b, "null"...)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case string:
		if isPlain(v) {
			return append(append(append(b, '"'), v...), '"')
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(fmt.Sprintf("stripesim: rendering: %v", err))
	}
	return append(b, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}

// isPlain reports whether JSON has the text as it is.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func compareKeys(a, b string) int {
	return cmp.Or(cmp.Compare(keyRank(a), keyRank(b)), cmp.Compare(a, b))
}

func keyRank(key string) int {
	switch key {
	case "id":
		return 0
	case "object":
		return 1
	}
	return 2
}

// previous returns the previous_attributes of a change: the previous values of the
// members that differ, null for a member that was absent. Objects list only their changed
// members. Arrays are complete; but before 2017-05-25 they list only their changed
// elements, and these only their changed members.
func previous(before, after object, elementwise bool) object {
	changed := object{}
	for key := range maps.Clone(after).merge(before) {
		if b, a := before[key], after[key]; !reflect.DeepEqual(b, a) {
			changed[key] = previousValue(b, a, elementwise)
		}
	}
	return changed
}

func previousValue(before, after any, elementwise bool) any {
	switch b := before.(type) {
	case object:
		if a, ok := after.(object); ok {
			return previous(b, a, elementwise)
		}
	case list:
		if a, ok := after.(list); ok && elementwise && len(a) == len(b) {
			return previousElements(b, a)
		}
	}
	return before
}

func previousElements(before, after list) list {
	changed := list{}
	for i := range before {
		if !reflect.DeepEqual(before[i], after[i]) {
			changed = append(changed, previousValue(before[i], after[i], true))
		}
	}
	return changed
}
