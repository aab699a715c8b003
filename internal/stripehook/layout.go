package stripehook

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// Layout is how a body is written.
type Layout string

// The layouts. Stripe indents by two spaces, but for thin events.
const (
	LayoutStripe    Layout = "indent_2"
	LayoutCompact   Layout = "compact"
	LayoutSpaced    Layout = "spaced" // one line, a space after each colon and comma
	LayoutIndent1   Layout = "indent_1"
	LayoutIndent3   Layout = "indent_3"
	LayoutIndent4   Layout = "indent_4"
	LayoutIndentTab Layout = "indent_tab"
	LayoutOther     Layout = "other_json"
	LayoutTruncated Layout = "truncated_json"
	LayoutNotJSON   Layout = "not_json"
	LayoutEmpty     Layout = "empty"
)

// String describes it.
func (l Layout) String() string {
	return map[Layout]string{
		LayoutStripe:    "JSON indented by two spaces",
		LayoutCompact:   "compact JSON",
		LayoutSpaced:    "JSON in one line with spaces",
		LayoutIndent1:   "JSON indented by one space",
		LayoutIndent3:   "JSON indented by three spaces",
		LayoutIndent4:   "JSON indented by four spaces",
		LayoutIndentTab: "JSON indented by tabs",
		LayoutOther:     "JSON in a layout of its own",
		LayoutTruncated: "JSON that is cut off",
		LayoutNotJSON:   "not JSON",
		LayoutEmpty:     "empty",
	}[l]
}

const jsonSpace = " \t\r\n"

// node is a JSON value, and how it and its keys are written.
type node struct {
	open byte // '{', '[', or 0
	raw  []byte
	keys [][]byte
	kids []*node
}

// parse reads what json.Valid has found to be valid.
func parse(doc []byte) *node {
	p := parser{doc: doc}
	return p.value()
}

type parser struct {
	doc []byte
	pos int
}

func (p *parser) value() *node {
	p.space()
	switch open := p.doc[p.pos]; open {
	case '{', '[':
		return p.container(open)
	case '"':
		return &node{raw: p.text()}
	default:
		start := p.pos
		for p.pos < len(p.doc) && !strings.ContainsRune(jsonSpace+",]}", rune(p.doc[p.pos])) {
			p.pos++
		}
		return &node{raw: p.doc[start:p.pos]}
	}
}

func (p *parser) container(open byte) *node {
	n, start := &node{open: open}, p.pos
	p.pos++
	for p.space(); p.doc[p.pos] != '}' && p.doc[p.pos] != ']'; p.space() {
		if p.doc[p.pos] == ',' {
			p.pos++
			p.space()
		}
		if open == '{' {
			n.keys = append(n.keys, p.text())
			p.space()
			p.pos++ // the colon
		}
		n.kids = append(n.kids, p.value())
	}
	p.pos++
	n.raw = p.doc[start:p.pos]
	return n
}

func (p *parser) text() []byte {
	start := p.pos
	p.pos = textEnd(p.doc, p.pos)
	return p.doc[start:p.pos]
}

// textEnd returns where the string that starts at pos ends.
func textEnd(doc []byte, pos int) int {
	for pos++; doc[pos] != '"'; pos++ {
		if doc[pos] == '\\' {
			pos++
		}
	}
	return pos + 1
}

func (p *parser) space() {
	for p.pos < len(p.doc) && strings.IndexByte(jsonSpace, p.doc[p.pos]) >= 0 {
		p.pos++
	}
}

// layout is a way to write JSON.
type layout struct {
	name         Layout
	indent       string
	lines        bool // every member on a line of its own
	comma, colon string
	emptyObject  int // line ends within an empty one: some encoders write them
	emptyList    int
}

// layouts are those that are known, the likeliest first. Those that differ in
// nothing that the document has are left out.
func layouts(n *node) []layout {
	indented := func(name Layout, indent string) layout {
		return layout{name: name, indent: indent, lines: true, comma: ",", colon: ": "}
	}
	stripe := indented(LayoutStripe, "  ")
	list := []layout{stripe, {name: LayoutCompact, comma: ",", colon: ":"}, {name: LayoutSpaced, comma: ", ", colon: ": "}}
	emptyObjects, emptyLists := n.empties()
	for object := range 2 {
		for ends := range 3 {
			if object+ends > 0 && (object == 0 || emptyObjects) && (ends == 0 || emptyLists) {
				l := stripe
				l.emptyObject, l.emptyList = object, ends
				list = append(list, l)
			}
		}
	}
	return append(list, indented(LayoutIndent4, "    "), indented(LayoutIndentTab, "\t"),
		indented(LayoutIndent1, " "), indented(LayoutIndent3, "   "))
}

func (n *node) empties() (objects, lists bool) {
	objects = n.open == '{' && len(n.kids) == 0
	lists = n.open == '[' && len(n.kids) == 0
	for _, kid := range n.kids {
		o, l := kid.empties()
		objects, lists = objects || o, lists || l
	}
	return objects, lists
}

func (l layout) render(n *node) []byte { return l.append(nil, n, 0) }

func (l layout) append(b []byte, n *node, depth int) []byte {
	if n.open == 0 {
		return append(b, n.raw...)
	}
	b = append(b, n.open)
	for i, kid := range n.kids {
		if i > 0 {
			b = append(b, l.comma...)
		}
		b = l.newline(b, depth+1)
		if n.open == '{' {
			b = append(append(b, n.keys[i]...), l.colon...)
		}
		b = l.append(b, kid, depth+1)
	}
	if len(n.kids) > 0 {
		b = l.newline(b, depth)
	} else {
		b = l.empty(b, n.open, depth)
	}
	return append(b, n.open+2) // the closing bracket: two further on in ASCII, for both kinds
}

func (l layout) newline(b []byte, depth int) []byte {
	if !l.lines {
		return b
	}
	b = append(b, '\n')
	for range depth {
		b = append(b, l.indent...)
	}
	return b
}

func (l layout) empty(b []byte, open byte, depth int) []byte {
	ends := l.emptyList
	if open == '{' {
		ends = l.emptyObject
	}
	if ends == 0 {
		return b
	}
	return l.newline(append(b, bytes.Repeat([]byte("\n"), ends-1)...), depth)
}

// sortedThrough says whether every object of a document has its keys sorted,
// and the document enough of them for that to be no accident.
func sortedThrough(body []byte) bool {
	if !json.Valid(body) {
		return false
	}
	tree := parse(body)
	return len(tree.keys) > 2 && tree.open == '{' && tree.sorted()
}

func (n *node) sorted() bool {
	return slices.IsSortedFunc(n.keys, bytes.Compare) && !slices.ContainsFunc(n.kids, func(kid *node) bool { return !kid.sorted() })
}

// stripeOrder puts sorted keys back into the order in which Stripe writes them.
func (n *node) stripeOrder() *node {
	ordered := &node{open: n.open, raw: n.raw}
	if n.open == '[' {
		for _, kid := range n.kids {
			ordered.kids = append(ordered.kids, kid.stripeOrder())
		}
		return ordered
	}
	for rank := range 3 {
		for i, key := range n.keys {
			if keyRank(key) == rank {
				ordered.keys = append(ordered.keys, key)
				ordered.kids = append(ordered.kids, n.kids[i].stripeOrder())
			}
		}
	}
	return ordered
}

func keyRank(key []byte) int {
	switch string(key) {
	case `"id"`:
		return 0
	case `"object"`:
		return 1
	}
	return 2
}
