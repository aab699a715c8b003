package normalize

import (
	"encoding/json"
	"iter"
	"strings"
)

// document is a JSON text and the place of each value in it. The nodes are in
// the order of the text, so the contents of a value follow it. Strings that are
// read share the document's memory.
//
// encoding/json would not do: it ignores the case of keys, cannot edit bytes, and
// allocates for everything that it reads.
type document struct {
	text  string
	nodes []node
	// escapes is true if a name has a backslash, which is rare.
	escapes bool
}

// node says where one value is in the text. 32 bits are enough for any body that
// a server accepts.
type node struct {
	name, nameEnd uint32 // the quoted name of a member; equal if it has none
	start, end    uint32 // the value
	next          uint32 // the first node that is not inside this one
	escaped       bool   // the name has a backslash
}

// value is one value in a document. The zero value does not exist.
type value struct {
	doc   *document
	index uint32 // of its node
}

func (v value) exists() bool { return v.doc != nil }

func (v value) node() node { return v.doc.nodes[v.index] }

// raw returns the value as it is written, or "" if it does not exist.
func (v value) raw() string {
	if !v.exists() {
		return ""
	}
	p := v.node()
	return v.doc.text[p.start:p.end]
}

// first returns the first byte, which tells the type of the value.
func (v value) first() byte {
	if !v.exists() {
		return 'n'
	}
	return v.doc.text[v.node().start]
}

func (v value) isNull() bool   { return v.first() == 'n' }
func (v value) isObject() bool { return v.first() == '{' }
func (v value) isArray() bool  { return v.first() == '[' }
func (v value) isString() bool { return v.first() == '"' }
func (v value) isNumber() bool { return v.first() == '-' || '0' <= v.first() && v.first() <= '9' }

// isEmpty reports whether v is an object or array with nothing in it.
func (v value) isEmpty() bool {
	return (v.isObject() || v.isArray()) && v.node().next == v.index+1
}

// inside iterates over the values directly inside v.
func (v value) inside() iter.Seq[value] {
	return func(yield func(value) bool) {
		if !v.exists() {
			return
		}
		for i := v.index + 1; i < v.node().next; i = v.doc.nodes[i].next {
			if !yield(value{v.doc, i}) {
				return
			}
		}
	}
}

// members iterates over the members of an object, including repeated keys.
func (v value) members() iter.Seq2[string, value] {
	return func(yield func(string, value) bool) {
		if !v.isObject() {
			return
		}
		for each := range v.inside() {
			if !yield(each.name(), each) {
				return
			}
		}
	}
}

// elements iterates over the elements of an array.
func (v value) elements() iter.Seq2[int, value] {
	return func(yield func(int, value) bool) {
		if !v.isArray() {
			return
		}
		n := 0
		for each := range v.inside() {
			if !yield(n, each) {
				return
			}
			n++
		}
	}
}

// quotedName returns the name of a member as it is written, or "" if v is not a
// member.
func (v value) quotedName() string {
	p := v.node()
	return v.doc.text[p.name:p.nameEnd]
}

// name returns the name of a member, or "" if v is not a member.
func (v value) name() string {
	if v.node().nameEnd == 0 {
		return ""
	}
	return v.doc.name(v.index)
}

func (d *document) name(i uint32) string {
	n := &d.nodes[i]
	if n.escaped {
		return unquote(d.text[n.name:n.nameEnd])
	}
	return d.text[n.name+1 : n.nameEnd-1]
}

// get returns the value of a key. If the key is repeated, the last one counts.
func (v value) get(name string) value {
	var found value
	if !v.isObject() {
		return found
	}
	if v.doc.escapes || name == "" {
		return v.getSlowly(name)
	}
	nodes, text, quoted, first := v.doc.nodes[:v.node().next], v.doc.text, uint32(len(name))+2, name[0]
	for i := v.index + 1; int(i) < len(nodes); {
		n := &nodes[i]
		// Most names differ in length or in the first character.
		if n.nameEnd-n.name == quoted && text[n.name+1] == first && text[n.name+1:n.nameEnd-1] == name {
			found = value{v.doc, i}
		}
		i = n.next
	}
	return found
}

// getSlowly is get for names that are not what they look like.
func (v value) getSlowly(name string) value {
	var found value
	for member, each := range v.members() {
		if member == name {
			found = each
		}
	}
	return found
}

// text returns the unescaped content of a string.
func (v value) text() (string, bool) {
	if !v.isString() {
		return "", false
	}
	return unquote(v.raw()), true
}

// unquote returns the content of a JSON string. It does not copy the string if
// there is nothing to unescape.
func unquote(quoted string) string {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	if err := json.Unmarshal([]byte(quoted), &s); err != nil {
		panic("normalize: unquote of an invalid JSON string")
	}
	return s
}
