package normalize

import "strings"

// builder makes a document of parts of others, which are valid and need not be parsed
// again.
type builder struct {
	text    strings.Builder
	nodes   []node
	opened  []int // the objects and arrays around what is added next, by their nodes
	escapes bool
	// first is true if what is added next is the first in an object or array, or in all.
	first bool
}

// grow makes room for all of these values.
func (b *builder) grow(values ...value) {
	size, nodes := 0, 0
	for _, v := range values {
		size += len(v.raw())
		nodes += int(v.node().next - v.index)
	}
	b.text.Grow(size + 64)
	b.nodes, b.opened, b.first = make([]node, 0, nodes), make([]int, 0, 16), true
}

// value returns the first value that was added.
func (b *builder) value() value {
	return value{doc: &document{text: b.text.String(), nodes: b.nodes, escapes: b.escapes}}
}

// add adds a value with everything in it, as a member if the quoted name is not "".
func (b *builder) add(name string, v value) {
	n := b.begin(name)
	from, inside := v.node(), v.doc.nodes[v.index+1:v.node().next]
	moved, index := n.start-from.start, uint32(len(b.nodes))-v.index
	b.text.WriteString(v.raw())
	n.end, n.next = from.end+moved, from.next+index
	b.nodes = append(b.nodes, n)
	for _, each := range inside {
		if each.nameEnd > 0 {
			each.name, each.nameEnd = each.name+moved, each.nameEnd+moved
		}
		each.start, each.end, each.next = each.start+moved, each.end+moved, each.next+index
		b.nodes = append(b.nodes, each)
	}
	b.escapes = b.escapes || v.doc.escapes
}

// open begins an object or array. What is added until close is inside it.
func (b *builder) open(name string, bracket byte) {
	n := b.begin(name)
	b.opened = append(b.opened, len(b.nodes))
	b.nodes = append(b.nodes, n)
	b.text.WriteByte(bracket)
	b.first = true
}

func (b *builder) close(bracket byte) {
	b.text.WriteByte(bracket)
	b.first = false
	n := &b.nodes[b.opened[len(b.opened)-1]]
	n.end, n.next = b.place(), uint32(len(b.nodes))
	b.opened = b.opened[:len(b.opened)-1]
}

// begin writes what precedes a value, and returns its node up to there.
func (b *builder) begin(name string) node {
	if !b.first {
		b.text.WriteByte(',')
	}
	b.first = false
	var n node
	if name != "" {
		n.name = b.place()
		b.text.WriteString(name)
		n.nameEnd, n.escaped = b.place(), strings.IndexByte(name, '\\') >= 0
		b.escapes = b.escapes || n.escaped
		b.text.WriteByte(':')
	}
	n.start = b.place()
	return n
}

func (b *builder) place() uint32 { return uint32(b.text.Len()) }
