package normalize

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	// maxDepth is lower than encoding/json's limit of 10,000 levels, because the
	// event becomes a part of a message.
	maxDepth = 9_990
	// maxPooled bounds the nodes that are kept of a document.
	maxPooled = 4096
	// deeper is how many levels mustParse accepts in addition.
	deeper = 8
)

var (
	errSyntax = errors.New("invalid JSON")
	errDepth  = errors.New("nested too deeply")
)

const invalidUTF8 = "body: invalid UTF-8, replaced by U+FFFD"

// validUTF8 replaces invalid UTF-8, which neither JSON nor MongoDB accepts.
func validUTF8(raw []byte, warnings *notes) []byte {
	if utf8.Valid(raw) {
		return raw
	}
	warnings.add(invalidUTF8)
	return bytes.ToValidUTF8(raw, []byte("\uFFFD"))
}

// parse checks that raw, which must be valid UTF-8, is one JSON value, and
// records where every value in it begins and ends. The document is without the
// whitespace between tokens, with which Stripe writes a third more.
// See https://www.rfc-editor.org/rfc/rfc8259
//
// The caller may release the document.
func parse(raw []byte) (value, error) { return parseInto(emptyNodes(), raw, maxDepth) }

func parseInto(nodes []node, text []byte, depth int) (value, error) {
	p := parser{text: text, depth: depth, nodes: slices.Grow(nodes, len(text)/20+8)}
	p.skip()
	if !p.value(node{}) || p.skip() != 0 || p.at < len(text) {
		if p.deep {
			return value{}, errDepth
		}
		return value{}, errSyntax
	}
	return value{doc: &document{text: p.compact(), nodes: p.nodes, escapes: p.escapes}}, nil
}

// nodePool has the nodes of documents that nobody reads any more. They are as large as the
// text.
var nodePool sync.Pool

func emptyNodes() []node {
	if nodes, ok := nodePool.Get().(*[]node); ok {
		return (*nodes)[:0]
	}
	return nil
}

// release ends the use of a document. What was read from it stays: strings share its text.
func (d *document) release() {
	nodes := d.nodes
	d.nodes = nil
	if cap(nodes) <= maxPooled {
		nodePool.Put(&nodes)
	}
}

// mustParse parses a text that was built from parsed values, which may be a few
// levels deeper in it.
func mustParse(text string) value {
	v, err := parseInto(nil, []byte(text), maxDepth+deeper)
	if err != nil {
		panic("normalize: mustParse of invalid JSON")
	}
	return v
}

// parser scans a text once. Each method starts at the first character of what it
// reads, stops after the last one, and reports whether it was valid.
type parser struct {
	text  []byte
	nodes []node
	at    int
	level int
	depth int  // the maximum level
	deep  bool // the text has more levels

	escapes bool // of any name

	tokens  strings.Builder // the text without whitespace, up to done
	done    int
	skipped int // the whitespace before done
}

// place returns where the current character is in the text without whitespace.
func (p *parser) place() uint32 { return uint32(p.at - p.skipped) }

// compact returns the text without whitespace.
func (p *parser) compact() string {
	if p.skipped == 0 {
		return string(p.text)
	}
	p.tokens.Write(p.text[p.done:])
	return p.tokens.String()
}

// peek returns the current character, or 0 at the end.
func (p *parser) peek() byte {
	if p.at < len(p.text) {
		return p.text[p.at]
	}
	return 0
}

// skip moves to the next character that is not whitespace, and returns it.
func (p *parser) skip() byte {
	start := p.at
	for p.at < len(p.text) && isSpace(p.text[p.at]) {
		p.at++
	}
	if p.at == start {
		return p.peek()
	}
	if p.skipped == 0 {
		p.tokens.Grow(len(p.text))
	}
	p.tokens.Write(p.text[p.done:start])
	p.done, p.skipped = p.at, p.skipped+p.at-start
	return p.peek()
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func (p *parser) value(n node) bool {
	if p.level >= p.depth {
		p.deep = true
		return false
	}
	i := len(p.nodes)
	n.start = p.place()
	p.nodes = append(p.nodes, n)
	ok := p.content()
	p.nodes[i].end, p.nodes[i].next = p.place(), uint32(len(p.nodes))
	return ok
}

func (p *parser) content() bool {
	switch p.peek() {
	case '{':
		return p.list('}', p.member)
	case '[':
		return p.list(']', func() bool { return p.value(node{}) })
	case '"':
		_, ok := p.quoted()
		return ok
	case 't':
		return p.word("true")
	case 'f':
		return p.word("false")
	case 'n':
		return p.word("null")
	}
	return p.number()
}

// list reads an object or an array.
func (p *parser) list(closing byte, element func() bool) bool {
	p.at++
	p.level++
	defer func() { p.level-- }()
	if p.skip() == closing {
		p.at++
		return true
	}
	for element() {
		switch p.skip() {
		case ',':
			p.at++
			p.skip()
		case closing:
			p.at++
			return true
		default:
			return false
		}
	}
	return false
}

func (p *parser) member() bool {
	n := node{name: p.place()}
	if p.peek() != '"' {
		return false
	}
	escaped, ok := p.quoted()
	n.nameEnd, n.escaped = p.place(), escaped
	p.escapes = p.escapes || escaped
	if !ok || p.skip() != ':' {
		return false
	}
	p.at++
	p.skip()
	return p.value(n)
}

func (p *parser) quoted() (escaped, ok bool) {
	text := p.text
	for i := p.at + 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			p.at = i + 1
			return escaped, true
		case c < ' ':
			return escaped, false
		case c == '\\':
			escaped = true
			n := escape(text[i+1:])
			if n == 0 {
				return escaped, false
			}
			i += n
		}
	}
	return escaped, false
}

// escape returns the number of characters after a backslash that belong to the
// escape, or 0 if it is invalid.
func escape(text []byte) int {
	switch {
	case len(text) == 0:
		return 0
	case strings.IndexByte(`"\/bfnrt`, text[0]) >= 0:
		return 1
	case text[0] != 'u' || len(text) < 5 || len(bytes.Trim(text[1:5], "0123456789abcdefABCDEF")) > 0:
		return 0
	}
	return 5
}

func (p *parser) word(w string) bool {
	if rest := p.text[p.at:]; len(rest) < len(w) || string(rest[:len(w)]) != w {
		return false
	}
	p.at += len(w)
	return true
}

func (p *parser) number() bool {
	p.any("-")
	if !p.any("0") && !p.digits() {
		return false
	}
	if p.any(".") && !p.digits() {
		return false
	}
	if p.any("eE") {
		p.any("+-")
		return p.digits()
	}
	return true
}

// any reads one character, if it is one of chars.
func (p *parser) any(chars string) bool {
	if c := p.peek(); c == 0 || strings.IndexByte(chars, c) < 0 {
		return false
	}
	p.at++
	return true
}

func (p *parser) digits() bool {
	start := p.at
	for '0' <= p.peek() && p.peek() <= '9' {
		p.at++
	}
	return p.at > start
}
