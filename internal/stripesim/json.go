package stripesim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
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
	w := writer{}
	w.encoder = json.NewEncoder(&w.compact)
	w.encoder.SetEscapeHTML(false)
	w.write(o)
	var indented bytes.Buffer
	if err := json.Indent(&indented, w.compact.Bytes(), "", "  "); err != nil {
		panic(fmt.Sprintf("stripesim: rendering invalid JSON: %v", err))
	}
	return indented.Bytes()
}

type writer struct {
	compact bytes.Buffer
	encoder *json.Encoder
}

func (w *writer) write(v any) {
	switch v := v.(type) {
	case object:
		w.compact.WriteByte('{')
		for i, key := range slices.SortedFunc(maps.Keys(v), compareKeys) {
			if i > 0 {
				w.compact.WriteByte(',')
			}
			w.write(key)
			w.compact.WriteByte(':')
			w.write(v[key])
		}
		w.compact.WriteByte('}')
	case list:
		w.compact.WriteByte('[')
		for i, element := range v {
			if i > 0 {
				w.compact.WriteByte(',')
			}
			w.write(element)
		}
		w.compact.WriteByte(']')
	default:
		if err := w.encoder.Encode(v); err != nil {
			panic(fmt.Sprintf("stripesim: rendering a %T: %v", v, err))
		}
	}
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
