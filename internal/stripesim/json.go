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
	"strings"
)

// object is a JSON object. Its values are nil, bool, int64, number, string,
// object and list.
type object map[string]any

// list is a JSON array.
type list []any

// number is written as it is.
type number string

// merge adds the members of more.
func (o object) merge(more object) object {
	maps.Copy(o, more)
	return o
}

// render writes o as Stripe does: two spaces deep, id and object first, the
// other keys in alphabetical order.
func render(o object) []byte {
	var b bytes.Buffer
	write(&b, o, "\n")
	return b.Bytes()
}

// write takes the line break that the value's own closing bracket stands after.
func write(b *bytes.Buffer, v any, lineBreak string) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case number:
		b.WriteString(string(v))
	case string:
		writeString(b, v)
	case object:
		keys := slices.SortedFunc(maps.Keys(v), compareKeys)
		writeAll(b, "{", "}", len(keys), lineBreak, func(i int, inner string) {
			writeString(b, keys[i])
			b.WriteString(": ")
			write(b, v[keys[i]], inner)
		})
	case list:
		writeAll(b, "[", "]", len(v), lineBreak, func(i int, inner string) { write(b, v[i], inner) })
	default:
		panic(fmt.Sprintf("stripesim: rendering a %T", v))
	}
}

func writeAll(b *bytes.Buffer, opening, closing string, n int, lineBreak string, each func(i int, inner string)) {
	b.WriteString(opening)
	inner := lineBreak + "  "
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(inner)
		each(i, inner)
	}
	if n > 0 {
		b.WriteString(lineBreak)
	}
	b.WriteString(closing)
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

func writeString(b *bytes.Buffer, s string) {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) < 0 {
		b.WriteByte('"')
		b.WriteString(s)
		b.WriteByte('"')
		return
	}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(fmt.Sprintf("stripesim: rendering a string: %v", err))
	}
	b.Truncate(b.Len() - 1) // the encoder's line break
}

// previous are the previous_attributes of a change: what the members that
// differ were before, null where a member was not there. Objects list their
// changed members only, arrays are whole; or, in renderings before 2017-05-25,
// list their changed elements only, and of these the changed members.
func previous(before, after object, elementwise bool) object {
	changed := object{}
	for key := range union(before, after) {
		b, a := before[key], after[key]
		if reflect.DeepEqual(b, a) {
			continue
		}
		changed[key] = previousValue(b, a, elementwise)
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

func union(a, b object) map[string]bool {
	keys := make(map[string]bool, len(a))
	for _, o := range []object{a, b} {
		for key := range o {
			keys[key] = true
		}
	}
	return keys
}
