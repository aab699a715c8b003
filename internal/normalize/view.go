package normalize

import (
	"encoding/json"
	"iter"
	"strings"
)

// document is a JSON text and where each of its values stands: in the order of
// the text, so that what is inside of a value follows it. Text that is read out
// shares the document's memory.
//
// This exists beside encoding/json because that one matches keys without
// regard to case, cannot edit bytes, and allocates for everything it reads.
type document struct {
	text  string
	nodes []node
}

// node is where one value stands. 32 bits are enough for any body that a server
// accepts.
type node struct {
	name, nameEnd uint32 // the quoted name of a member; equal for what has none
	start, end    uint32 // the value
	next          uint32 // the first node that is not inside of this one
	escaped       bool   // the name has a backslash
}

// value is one value in a document. The zero value is one that is not there.
type value struct {
	doc  *document
	node uint32
}

func (v value) exists() bool { return v.doc != nil }

func (v value) place() node { return v.doc.nodes[v.node] }

// raw is the value as it is written; "" where there is none.
func (v value) raw() string {
	if !v.exists() {
		return ""
	}
	p := v.place()
	return v.doc.text[p.start:p.end]
}

// first is the first byte, which says of what type the value is.
func (v value) first() byte {
	if !v.exists() {
		return 'n'
	}
	return v.doc.text[v.place().start]
}

func (v value) isNull() bool   { return v.first() == 'n' }
func (v value) isObject() bool { return v.first() == '{' }
func (v value) isArray() bool  { return v.first() == '[' }
func (v value) isString() bool { return v.first() == '"' }
func (v value) isNumber() bool { return v.first() == '-' || '0' <= v.first() && v.first() <= '9' }

// isEmpty reports whether v is an object or array with nothing in it.
func (v value) isEmpty() bool {
	return (v.isObject() || v.isArray()) && v.place().next == v.node+1
}

// inside goes through what is directly inside of a value.
func (v value) inside() iter.Seq[value] {
	return func(yield func(value) bool) {
		if !v.exists() {
			return
		}
		for i := v.node + 1; i < v.place().next; i = v.doc.nodes[i].next {
			if !yield(value{v.doc, i}) {
				return
			}
		}
	}
}

// members goes through an object, duplicates included; through nothing if v is
// no object.
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

// elements goes through an array; through nothing if v is no array.
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

// quotedName is the name of a member as it is written; "" of what has none.
func (v value) quotedName() string {
	p := v.place()
	return v.doc.text[p.name:p.nameEnd]
}

// name is the name of a member; "" of what has none.
func (v value) name() string {
	if v.place().nameEnd == 0 {
		return ""
	}
	return v.doc.name(v.node)
}

func (d *document) name(i uint32) string {
	n := &d.nodes[i]
	if n.escaped {
		return unquote(d.text[n.name:n.nameEnd])
	}
	return d.text[n.name+1 : n.nameEnd-1]
}

// get returns the value of a key, the last one if the key occurs repeatedly.
func (v value) get(name string) value {
	var found value
	if !v.isObject() {
		return found
	}
	nodes := v.doc.nodes
	for i, stop := v.node+1, nodes[v.node].next; i < stop; i = nodes[i].next {
		n := &nodes[i]
		if (n.escaped || int(n.nameEnd-n.name) == len(name)+2) && v.doc.name(i) == name {
			found = value{v.doc, i}
		}
	}
	return found
}

// text is the unescaped content of a string.
func (v value) text() (string, bool) {
	if !v.isString() {
		return "", false
	}
	return unquote(v.raw()), true
}

// unquote returns the content of a JSON string: a part of it where there is
// nothing to unescape.
func unquote(quoted string) string {
	if strings.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	if err := json.Unmarshal([]byte(quoted), &s); err != nil {
		panic("normalize: unquote of something that is no JSON string")
	}
	return s
}
