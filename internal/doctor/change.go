package doctor

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// maxSearched is the size of the largest body for which changes are undone: larger than any event, and
// small enough for an answer within seconds.
const maxSearched = 4 << 20

const jsonSpace = " \t\r\n"

// Change is something that was done to a body on its way. Text completes the sentence "the body was …" and
// quotes nothing.
type Change struct {
	Kind   string `json:"kind"`
	Text   string `json:"text"`
	advice string // who does this, and how to prevent it
}

// source is a body from which another one may have been made, by the changes.
type source struct {
	body    []byte
	changes []Change
}

// rawBody is what prevents most changes.
const rawBody = " Forward the bytes as they came: read the raw body before any parser does (in Express: express.raw before express.json; " +
	"in other frameworks: the raw body or stream of the request, never its parsed form)."

// layers are the changes that unpack undoes.
var layers = []struct {
	Change
	undo func([]byte) ([]byte, bool)
}{
	{Change{"bom_added", "given a byte order mark (BOM)", "Windows editors and PowerShell add a byte order mark. Capture in binary mode, and forward bytes instead of text."}, cutBOM},
	{Change{"gzip", "compressed (gzip)", "A proxy compresses request bodies: turn that off, because Stripe does not compress them. Or the capture was taken before the body was decompressed."}, gunzip},
	{Change{"base64", "encoded as base64", "API gateways give binary bodies to functions as base64 (isBase64Encoded): decode the body before you forward it, or remove application/json from the binary media types."}, unbase64},
	{charset("converted from UTF-8 to Windows-1252"), fromCharset(charmap.Windows1252)},
	{charset("converted from UTF-8 to Latin-1"), fromCharset(charmap.ISO8859_1)},
	{charset("read as Windows-1252 and written as UTF-8"), toCharset(charmap.Windows1252)},
	{charset("read as Latin-1 and written as UTF-8"), toCharset(charmap.ISO8859_1)},
}

func charset(text string) Change {
	return Change{"charset", text, "Something read the body in a character set other than UTF-8." + rawBody}
}

// unpack returns the body, and what it holds in up to two layers of compression, encodings and character
// sets.
func unpack(body []byte) []source {
	all := []source{{body: body}}
	for i := 0; i < len(all); i++ {
		outer := all[i]
		if len(outer.changes) == 2 || len(body) > maxSearched {
			break
		}
		for _, layer := range layers {
			if inner, ok := layer.undo(outer.body); ok && len(inner) <= maxSearched {
				// The change that was made last is undone first.
				all = append(all, source{inner, append([]Change{layer.Change}, outer.changes...)})
			}
		}
	}
	return all
}

func cutBOM(body []byte) ([]byte, bool) { return bytes.CutPrefix(body, []byte("\ufeff")) }

func gunzip(body []byte) ([]byte, bool) {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, false
	}
	data, err := io.ReadAll(io.LimitReader(r, maxSearched+1))
	return data, err == nil
}

func unbase64(body []byte) ([]byte, bool) {
	data, err := base64.StdEncoding.DecodeString(string(body))
	return data, err == nil && len(data) > 0
}

func fromCharset(charset *charmap.Charmap) func([]byte) ([]byte, bool) {
	return func(body []byte) ([]byte, bool) {
		data, err := charset.NewDecoder().Bytes(body)
		return data, err == nil && !utf8.Valid(body)
	}
}

func toCharset(charset *charmap.Charmap) func([]byte) ([]byte, bool) {
	return func(body []byte) ([]byte, bool) {
		data, err := charset.NewEncoder().Bytes(body)
		return data, err == nil && utf8.Valid(data) && !bytes.Equal(data, body)
	}
}

// originals returns what a body may have been before it was re-encoded or its last newline was added or
// removed. The body itself comes first.
func originals(body []byte) [][]byte {
	list := [][]byte{body}
	if len(body) > maxSearched {
		return list
	}
	trimmed := bytes.Trim(body, jsonSpace)
	forms := [][]byte{trimmed}
	if json.Valid(trimmed) {
		for _, doc := range [][]byte{trimmed, minimalEscapes(trimmed), remarshal(trimmed)} {
			forms = append(forms, indent(doc), compact(doc))
		}
	}
	for _, form := range forms {
		list = append(list, form, append(slices.Clip(form), '\n'))
	}
	return list
}

// indent writes valid JSON as Stripe writes events. Thin events are compact.
func indent(doc []byte) []byte {
	var b bytes.Buffer
	_ = json.Indent(&b, doc, "", "  ")
	return bytes.TrimRight(b.Bytes(), jsonSpace)
}

func compact(doc []byte) []byte {
	var b bytes.Buffer
	_ = json.Compact(&b, doc)
	return b.Bytes()
}

var jsonString = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// minimalEscapes encodes the strings in valid JSON again, and nothing else.
func minimalEscapes(doc []byte) []byte {
	return jsonString.ReplaceAllFunc(doc, func(quoted []byte) []byte {
		var text string
		if json.Unmarshal(quoted, &text) != nil {
			return quoted
		}
		return []byte(encode(text))
	})
}

// remarshal undoes an encoder that sorts keys. Stripe sorts them too, but writes id and object first:
// marks in front of these two make encoding/json do the same.
func remarshal(doc []byte) []byte {
	const idMark, objectMark = `\u0000`, `\u0001`
	marked := strings.NewReplacer(`"id":`, `"`+idMark+`id":`, `"object":`, `"`+objectMark+`object":`).Replace(string(compact(doc)))
	decoder := json.NewDecoder(strings.NewReader(marked))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return doc
	}
	return []byte(strings.NewReplacer(idMark, "", objectMark, "").Replace(encode(value)))
}

// encode writes JSON with as few escapes as possible, as Stripe does.
func encode(value any) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value)
	return strings.TrimSpace(b.String())
}

// compare returns the changes that turn the original into a different body.
func compare(original, body []byte) []Change {
	const ends = "Editors, echo, jq and $(…) add or remove newlines while a body is captured. If the request itself was like this, a proxy forwards text instead of bytes."
	before, after := bytes.Trim(original, jsonSpace), bytes.Trim(body, jsonSpace)
	had, has := bytes.HasSuffix(original, []byte("\n")), bytes.HasSuffix(body, []byte("\n"))
	var changes []Change
	switch {
	case bytes.Equal(original, body):
		return nil
	case bytes.Contains(before, []byte("\n")) && bytes.Equal(stripNewlines(original), body):
		return []Change{{
			"newlines_removed", "stripped of all its newlines",
			"curl -d and --data do this to files: use --data-binary @file. Logs that join lines do it too: capture the body again.",
		}}
	case !bytes.Equal(before, after):
		changes = []Change{{
			"json_reencoded", describeEncoding(before, after),
			"Something parsed the JSON and wrote it again: a body parser in front, a function that forwards JSON.stringify(event), " +
				"a mapping template in an API gateway, or a WAF or logging proxy." + rawBody,
		}}
	case had == has:
		return []Change{{"whitespace", "given other white space around it", ends}}
	}
	switch {
	case !had && has:
		changes = append(changes, Change{"newline_added", "given a newline at its end", ends})
	case had && !has:
		changes = append(changes, Change{"newline_removed", "stripped of the newline at its end", ends})
	}
	return changes
}

func stripNewlines(body []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(body, []byte("\n"), nil), []byte("\r"), nil)
}

func describeEncoding(before, after []byte) string {
	text := "re-encoded as " + layoutOf(after).String()
	before, after = compact(before), compact(after)
	switch {
	case !bytes.Equal(minimalEscapes(before), minimalEscapes(after)):
		text += ", with its keys in another order"
	case !bytes.Equal(before, after):
		text += ", with other characters escaped"
	}
	return text
}
