package stripehook

import (
	"bytes"
	"encoding/json"
	"iter"
	"slices"
	"strings"
)

// Kind is a way in which bodies are changed between Stripe and their receiver.
type Kind string

// The kinds.
const (
	KindReencoded       Kind = "json_reencoded" // parsed and written anew
	KindNewlineAdded    Kind = "newline_added"
	KindNewlineRemoved  Kind = "newline_removed"
	KindWhitespace      Kind = "whitespace" // added at an end
	KindCRLF            Kind = "lf_to_crlf"
	KindLF              Kind = "crlf_to_lf"
	KindNewlinesRemoved Kind = "newlines_removed" // all of them
	KindBOM             Kind = "bom_added"
	KindCharset         Kind = "charset"
	KindGzip            Kind = "gzip"
	KindDeflate         Kind = "deflate"
	KindBase64          Kind = "base64"
	KindURLEncoded      Kind = "url_encoded"
	KindForm            Kind = "form_field"
	KindJSONString      Kind = "json_string"
	KindEnvelope        Kind = "json_envelope" // a member of another JSON document
	KindChunked         Kind = "chunked"       // with the sizes of HTTP's chunks in it
)

// Change is what was done to a body on its way. The text follows upon "the body
// was"; it holds nothing of the body.
type Change struct {
	Kind Kind
	Text string
}

// attempt is a body that may have been the original one, and what made the
// present one of it, in this order.
type attempt struct {
	body    []byte
	changes []Change
}

// mostHashed bounds the bytes that a search hashes: some seconds.
const mostHashed = 1 << 29

// search is for the body that one of the keys signed.
type search struct {
	header string
	keys   []Key
	hashed int
	gaveUp bool
}

// undo tries to undo what is known to happen to bodies: first wrappings, alone or
// in one another, then what stands around the text, then how the JSON is written.
func (s *search) undo(body []byte) (original attempt, key string, ok bool) {
	for _, wrapped := range unwrapAll(body) {
		for doc := range originals(wrapped.body) {
			if key, ok := match(s.keys, doc, s.header); ok {
				changes := slices.Concat(describe(doc, wrapped.body), wrapped.changes)
				return attempt{doc, changes}, key, true
			}
			if s.hashed += (len(doc) + len(s.header)) * len(s.keys); s.hashed > mostHashed {
				s.gaveUp = true
				return attempt{}, "", false
			}
		}
	}
	return attempt{}, "", false
}

// originals yields what the body may have been before it was written anew.
func originals(body []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if !each(edges(body), yield) || !json.Valid(body) {
			return
		}
		for doc := range rewritten(body) {
			if !yield(doc) {
				return
			}
		}
		for doc := range rewritten(body) { // made twice: together they may be a hundred times the body
			if !each(edges(doc), yield) {
				return
			}
		}
	}
}

func each(list [][]byte, yield func([]byte) bool) bool {
	for _, doc := range list {
		if !yield(doc) {
			return false
		}
	}
	return true
}

// edges are the body with other line ends, and with nothing or a line end after
// it. The body itself is among them.
func edges(body []byte) [][]byte {
	core := bytes.Trim(body, jsonSpace)
	lf := bytes.ReplaceAll(core, []byte("\r\n"), []byte("\n"))
	forms := [][]byte{core, lf, bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))}
	list := [][]byte{body}
	for i, form := range forms {
		if i > 0 && bytes.Equal(form, core) {
			continue
		}
		for _, end := range []string{"", "\n", "\r\n"} {
			list = append(list, append(slices.Clip(form), end...))
		}
	}
	return list
}

// rewritten yields a JSON document as other encoders would write it, Stripe's
// way first.
func rewritten(doc []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, styled := range restyled(doc) {
			tree := parse(styled)
			trees := []*node{tree}
			if tree.sorted() {
				trees = append(trees, tree.stripeOrder())
			}
			if !yield(styled) {
				return
			}
			for _, l := range layouts(tree) {
				for _, t := range trees {
					if !yield(l.render(t)) {
						return
					}
				}
			}
		}
	}
}

// describe says what made the body of the original one.
func describe(original, body []byte) []Change {
	if bytes.Equal(original, body) {
		return nil
	}
	var changes []Change
	before, after := bytes.Trim(original, jsonSpace), bytes.Trim(body, jsonSpace)
	if bytes.Equal(stripLines(original), body) && bytes.Contains(before, []byte("\n")) {
		return []Change{{KindNewlinesRemoved, "stripped of all its line ends"}}
	}
	crlf := func(b []byte) bool { return bytes.Contains(b, []byte("\r\n")) }
	lf := func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }
	if !bytes.Equal(lf(before), lf(after)) {
		changes = append(changes, describeJSON(lf(before), lf(after)))
	}
	if bytes.Contains(before, []byte("\n")) && bytes.Contains(after, []byte("\n")) && crlf(before) != crlf(after) {
		changes = append(changes, lineEnds(crlf(after)))
	}
	return append(changes, describeEnds(original, body)...)
}

func stripLines(body []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\n"), nil), []byte("\r"), nil)
}

func lineEnds(crlf bool) Change {
	if crlf {
		return Change{KindCRLF, "given Windows line ends (CRLF instead of LF)"}
	}
	return Change{KindLF, "given Unix line ends (LF instead of CRLF)"}
}

// describeEnds compares what stands before and after the text.
func describeEnds(original, body []byte) []Change {
	lead := func(b []byte) string { return string(b[:len(b)-len(bytes.TrimLeft(b, jsonSpace))]) }
	trail := func(b []byte) string { return string(b[len(bytes.TrimRight(b, jsonSpace)):]) }
	var changes []Change
	if lead(original) != lead(body) {
		changes = append(changes, Change{KindWhitespace, "given other white space at its start"})
	}
	before, after := trail(original), strings.ReplaceAll(trail(body), "\r\n", "\n")
	switch before = strings.ReplaceAll(before, "\r\n", "\n"); {
	case before == after:
	case after == before+"\n":
		changes = append(changes, Change{KindNewlineAdded, "given a line end after it"})
	case after == "":
		changes = append(changes, Change{KindNewlineRemoved, "stripped of the line end after it"})
	default:
		changes = append(changes, Change{KindWhitespace, "given other white space at its end"})
	}
	return changes
}

// describeJSON compares two ways to write the same document.
func describeJSON(original, body []byte) Change {
	text := "re-encoded as JSON"
	var details []string
	layout := layoutOf(body)
	if layout != layoutOf(original) {
		text = "re-encoded as " + layout.String()
	}
	if reordered(original, body) {
		details = append(details, "with its keys sorted")
	}
	details = append(details, compareEscapes(countEscapes(original), countEscapes(body))...)
	if len(details) == 0 && text == "re-encoded as JSON" {
		details = []string{"with empty objects and lists or white space written differently"}
	}
	return Change{KindReencoded, strings.Join(append([]string{text}, details...), ", ")}
}

func reordered(original, body []byte) bool {
	flat := func(doc []byte) []byte {
		return layout{comma: ",", colon: ":"}.render(parse(style{}.apply(doc)))
	}
	return !bytes.Equal(flat(original), flat(body))
}

func compareEscapes(before, after escapes) []string {
	var details []string
	for _, c := range []struct {
		before, after int
		more, fewer   string
	}{
		{before.slash, after.slash, `with slashes escaped (\/)`, `with escaped slashes (\/) unescaped`},
		{before.wide, after.wide, `with characters beyond ASCII escaped (\u00e9)`, `with escaped characters (\u00e9) written out as UTF-8`},
		{before.html, after.html, `with HTML characters escaped (\u003c)`, `with escaped HTML characters (\u003c) written out`},
		{before.other, after.other, `with other characters escaped (\u0027)`, `with other escaped characters (\u0027) written out`},
	} {
		switch {
		case c.after > c.before:
			details = append(details, c.more)
		case c.after < c.before:
			details = append(details, c.fewer)
		}
	}
	return details
}
