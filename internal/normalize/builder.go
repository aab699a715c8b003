package normalize

import "strings"

// builder makes a document of parts of others, which are valid and need not be parsed
// again.
type builder struct {
	text    []byte
	nodes   []node
	opened  []int // the objects and arrays around what is added next, by their nodes
	escapes bool
}

// grow makes room for all of these values.
func (b *builder) grow(values ...value) {
	size, nodes := 0, 0
	for _, v := range values {
		size += len(v.raw())
		nodes += int(v.node().next - v.index)
	}
	b.text, b.nodes = make([]byte, 0, size+64), make([]node, 0, nodes)
	b.opened = make([]int, 0, 16)
}

// value returns the first value that was added.
func (b *builder) value() value {
	return value{doc: &document{text: string(b.text), nodes: b.nodes, escapes: b.escapes}}
}

// add adds a value with everything in it, as a member if the quoted name is not "".
func (b *builder) add(name string, v value) {
	n := b.begin(name)
	from, inside := v.node(), v.doc.nodes[v.index+1:v.node().next]
	moved, index := n.start-from.start, uint32(len(b.nodes))-v.index
	b.text = append(b.text, v.raw()...)
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
	b.text = append(b.text, bracket)
}

func (b *builder) close(bracket byte) {
	b.text = append(b.text, bracket)
	n := &b.nodes[b.opened[len(b.opened)-1]]
	n.end, n.next = uint32(len(b.text)), uint32(len(b.nodes))
	b.opened = b.opened[:len(b.opened)-1]
}

// begin writes what precedes a value, and returns its node up to there.
func (b *builder) begin(name string) node {
	if size := len(b.text); size > 0 && b.text[size-1] != '{' && b.text[size-1] != '[' {
		b.text = append(b.text, ',')
	}
	var n node
	if name != "" {
		n.name = uint32(len(b.text))
		b.text = append(b.text, name...)
		n.nameEnd, n.escaped = uint32(len(b.text)), strings.IndexByte(name, '\\') >= 0
		b.escapes = b.escapes || n.escaped
		b.text = append(b.text, ':')
	}
	n.start = uint32(len(b.text))
	return n
}
