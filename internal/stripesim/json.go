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
	var indented bytes.Buffer
	encoder := json.NewEncoder(&indented)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(o); err != nil {
		panic(fmt.Sprintf("stripesim: rendering: %v", err))
	}
	return bytes.TrimSuffix(indented.Bytes(), []byte("\n"))
}

// MarshalJSON writes the keys in Stripe's order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, key := range slices.SortedFunc(maps.Keys(o), compareKeys) {
		if i > 0 {
			b.WriteByte(',')
		}
		_ = encoder.Encode(key) // strings always encode
		b.WriteByte(':')
		if err := encoder.Encode(o[key]); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
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
