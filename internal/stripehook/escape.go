package stripehook

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// form is how a kind of character is written in a JSON string.
type form uint8

const (
	plain form = iota
	lower      // \u00e9
	upper      // \u00E9
)

// style is which characters a JSON encoder escapes. Quotes, backslashes and
// controls always are.
type style struct {
	slash      bool // \/
	wide, html form // beyond ASCII; < > & and the line ends U+2028, U+2029
}

// styles are those of usual encoders, the likeliest first.
func styles() []style {
	return []style{
		{},
		{slash: true},
		{wide: lower},
		{wide: upper},
		{slash: true, wide: lower}, // PHP
		{html: lower},              // Go, Rails
		{html: upper},
		{html: lower, wide: lower},
		{html: upper, wide: upper}, // .NET
	}
}

// restyled returns the document, first as it is and then with its strings
// written in each other style, the rest untouched. It must be valid JSON.
func restyled(doc []byte) [][]byte {
	list := [][]byte{doc}
	for _, s := range styles() {
		other := s.apply(doc)
		same := false
		for _, known := range list {
			same = same || bytes.Equal(known, other)
		}
		if !same {
			list = append(list, other)
		}
	}
	return list
}

func (s style) apply(doc []byte) []byte {
	b := make([]byte, 0, len(doc)+len(doc)/8)
	for i := 0; i < len(doc); {
		if doc[i] != '"' {
			b = append(b, doc[i])
			i++
			continue
		}
		end := textEnd(doc, i)
		b = append(b, '"')
		for unit := range units(doc[i+1 : end-1]) {
			b = s.append(b, unit)
		}
		b = append(b, '"')
		i = end
	}
	return b
}

// unit is one character of a JSON string.
type unit struct {
	char    rune
	raw     []byte // as it is written
	escaped bool
}

// units reads what stands between the quotes of a string. What is no character,
// half a surrogate pair or an invalid byte, comes with utf8.RuneError and its
// raw form.
func units(text []byte) func(yield func(unit) bool) {
	return func(yield func(unit) bool) {
		for len(text) > 0 {
			u := next(text)
			if !yield(u) {
				return
			}
			text = text[len(u.raw):]
		}
	}
}

func next(text []byte) unit {
	if text[0] != '\\' {
		char, size := utf8.DecodeRune(text)
		return unit{char: char, raw: text[:size]}
	}
	if text[1] != 'u' {
		return unit{char: shortEscape(text[1]), raw: text[:2], escaped: true}
	}
	char, size := hexRune(text), 6
	if utf16.IsSurrogate(char) {
		pair := utf16.DecodeRune(char, hexRune(text[6:]))
		if pair != utf8.RuneError {
			size = 12
		}
		char = pair
	}
	return unit{char: char, raw: text[:size], escaped: true}
}

// hexRune reads \uXXXX at the start of the text; it returns -1 if there is none.
func hexRune(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

const (
	shortNames  = "bfnrt"
	shortValues = "\b\f\n\r\t"
)

func shortEscape(name byte) rune {
	for i := range len(shortNames) {
		if shortNames[i] == name {
			return rune(shortValues[i])
		}
	}
	return rune(name) // quote, backslash, slash
}

func (s style) append(b []byte, u unit) []byte {
	switch c := u.char; {
	case c == utf8.RuneError:
		return append(b, u.raw...)
	case c == '"' || c == '\\' || c == '/' && s.slash:
		return append(b, '\\', byte(c))
	case c < ' ':
		return appendControl(b, c)
	case isHTML(c) && s.html != plain:
		return appendHex(b, c, s.html)
	case c >= utf8.RuneSelf && s.wide != plain:
		return appendHex(b, c, s.wide)
	default:
		return utf8.AppendRune(b, c)
	}
}

func isHTML(c rune) bool {
	return c == '<' || c == '>' || c == '&' || c == '\u2028' || c == '\u2029'
}

func appendControl(b []byte, c rune) []byte {
	for i := range len(shortValues) {
		if rune(shortValues[i]) == c {
			return append(b, '\\', shortNames[i])
		}
	}
	return appendHex(b, c, lower)
}

func appendHex(b []byte, c rune, f form) []byte {
	verb := `\u%04x`
	if f == upper {
		verb = `\u%04X`
	}
	for _, half := range utf16.AppendRune(nil, c) {
		b = fmt.Appendf(b, verb, half)
	}
	return b
}

// escapes counts the characters of a document that need no escape and have one.
type escapes struct{ slash, html, wide, other int }

func countEscapes(doc []byte) escapes {
	var n escapes
	for i := 0; i < len(doc); {
		if doc[i] != '"' {
			i++
			continue
		}
		end := textEnd(doc, i)
		for u := range units(doc[i+1 : end-1]) {
			n.add(u)
		}
		i = end
	}
	return n
}

func (n *escapes) add(u unit) {
	switch {
	case !u.escaped:
	case u.char == '/' && len(u.raw) == 2:
		n.slash++
	case isHTML(u.char):
		n.html++
	case u.char >= utf8.RuneSelf:
		n.wide++
	case len(u.raw) > 2:
		n.other++
	}
}
