package normalize

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"unicode/utf8"
)

// value is one JSON value without insignificant whitespace; "" is a value that
// is not there. It is a string, so that what is read from it shares its memory. Values come from [parse], or are cut out of one that did, and
// the functions of this file rely on that: they check no syntax.
//
// This exists beside encoding/json because that one matches keys without
// regard to case, cannot edit bytes, and allocates for everything it reads.
type value string

// object is an object whose members were listed, so that many of them can be
// looked up without going through the bytes again.
type object struct {
	src     value
	members []member
}

// member says where a key and its value stand. Offsets instead of slices keep
// the list free of pointers, which the garbage collector would have to follow;
// 32 bits are enough for any body that a server accepts.
type member struct {
	name, colon, end uint32
	escaped          bool
}

// parse checks that raw is one JSON value, nested at most 10,000 levels, and
// removes the whitespace around its tokens.
func parse(raw []byte) (value, error) {
	var buf bytes.Buffer
	if err := json.Compact(&buf, raw); err != nil {
		return "", errors.New("invalid JSON")
	}
	return value(buf.String()), nil
}

// repair makes raw valid UTF-8, since neither JSON nor MongoDB takes anything
// else.
func repair(raw []byte, warn *notes) []byte {
	if utf8.Valid(raw) {
		return raw
	}
	warn.fault("body", "invalid UTF-8, replaced by U+FFFD")
	return bytes.ToValidUTF8(raw, []byte("\uFFFD"))
}

func (v value) isNull() bool   { return len(v) == 0 || v[0] == 'n' }
func (v value) isObject() bool { return len(v) > 0 && v[0] == '{' }
func (v value) isArray() bool  { return len(v) > 0 && v[0] == '[' }
func (v value) isString() bool { return len(v) > 0 && v[0] == '"' }

// isEmpty reports whether v is an object or array with nothing in it.
func (v value) isEmpty() bool { return len(v) == 2 && (v[0] == '{' || v[0] == '[') }

// members goes through an object, duplicates included; through nothing if v is
// no object.
func (v value) members() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		if !v.isObject() {
			return
		}
		for i := 1; v[i] != '}'; {
			colon := stringEnd(v, i)
			stop := end(v, colon+1)
			if !yield(unquote(v[i:colon]), v[colon+1:stop]) {
				return
			}
			i = next(v, stop)
		}
	}
}

// elements goes through an array; through nothing if v is no array.
func (v value) elements() iter.Seq2[int, value] {
	return func(yield func(int, value) bool) {
		if !v.isArray() {
			return
		}
		for i, n := 1, 0; v[i] != ']'; n++ {
			stop := end(v, i)
			if !yield(n, v[i:stop]) {
				return
			}
			i = next(v, stop)
		}
	}
}

// object lists the members of v at the end of a slab that many objects share;
// none if v is no object.
func (v value) object(slab *[]member) object {
	if !v.isObject() {
		return object{}
	}
	first := len(*slab)
	for i := 1; v[i] != '}'; {
		colon := stringEnd(v, i)
		stop := end(v, colon+1)
		escaped := strings.IndexByte(string(v[i:colon]), '\\') >= 0
		*slab = append(*slab, member{uint32(i), uint32(colon), uint32(stop), escaped})
		i = next(v, stop)
	}
	return object{src: v, members: (*slab)[first:len(*slab):len(*slab)]}
}

// key is the name of a member.
func (o object) key(m member) string {
	if m.escaped {
		return unquote(o.src[m.name:m.colon])
	}
	return string(o.src[m.name+1 : m.colon-1])
}

// manyMembers is from where on an index is quicker than looking through.
const manyMembers = 128

// index is for looking up many members of what may be a large object.
func (o object) index() index {
	if len(o.members) < manyMembers {
		return index{object: o}
	}
	x := index{byName: make(map[string]value, len(o.members))}
	for _, m := range o.members {
		x.byName[o.key(m)] = o.src[m.colon+1 : m.end]
	}
	return x
}

type index struct {
	object object
	byName map[string]value
}

func (x index) get(name string) value {
	if x.byName != nil {
		return x.byName[name]
	}
	return x.object.get(name)
}

// get returns the value of a key, the last one if the key occurs repeatedly.
func (o object) get(name string) value {
	for i := len(o.members) - 1; i >= 0; i-- {
		if m := o.members[i]; o.named(m, name) {
			return o.src[m.colon+1 : m.end]
		}
	}
	return ""
}

func (o object) named(m member, name string) bool { return o.key(m) == name }

// get is for a single look-up in an object.
func (v value) get(name string) value {
	var found value
	for key, val := range v.members() {
		if key == name {
			found = val
		}
	}
	return found
}

// text is the unescaped content of a string.
func (v value) text() (string, bool) {
	if !v.isString() {
		return "", false
	}
	return unquote(v), true
}

// unquote returns the content of a JSON string: a part of it where there is
// nothing to unescape.
func unquote(v value) string {
	if strings.IndexByte(string(v), '\\') < 0 {
		return string(v[1 : len(v)-1])
	}
	var s string
	if err := json.Unmarshal([]byte(v), &s); err != nil {
		panic("normalize: unquote of something that is no JSON string")
	}
	return s
}

// end returns the index after the value that starts at b[i].
func end(b value, i int) int {
	switch b[i] {
	case '"':
		return stringEnd(b, i)
	case '{', '[':
		return nestedEnd(b, i)
	}
	for i < len(b) && b[i] != ',' && b[i] != '}' && b[i] != ']' {
		i++
	}
	return i
}

func stringEnd(b value, i int) int {
	for i++; b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func nestedEnd(b value, i int) int {
	for depth := 0; ; i++ {
		switch b[i] {
		case '"':
			i = stringEnd(b, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}

// next returns where the next member or element starts, given where one ended.
func next(b value, i int) int {
	if b[i] == ',' {
		return i + 1
	}
	return i
}
