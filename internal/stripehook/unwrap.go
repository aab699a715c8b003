package stripehook

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	mostUnwrapped = 32 << 20 // bytes of one body: a few kilobytes may unpack to anything
	mostBodies    = 48
	mostLayers    = 3
)

// unwrapAll returns the body and all that may be wrapped up in it, the outermost first.
func unwrapAll(body []byte) []attempt {
	all := []attempt{{body: body}}
	for i := 0; i < len(all) && len(all) < mostBodies; i++ {
		outer := all[i]
		if len(outer.changes) == mostLayers {
			continue
		}
		for _, inner := range unwrap(outer.body) {
			known := func(a attempt) bool { return bytes.Equal(a.body, inner.body) }
			if len(inner.body) > 0 && len(all) < mostBodies && !slices.ContainsFunc(all, known) {
				// What was wrapped last is unwrapped first.
				inner.changes = slices.Concat(inner.changes, outer.changes)
				all = append(all, inner)
			}
		}
	}
	return all
}

// unwrap takes one layer off, in every way that the body allows.
func unwrap(body []byte) []attempt {
	var found []attempt
	for _, w := range []struct {
		change Change
		open   func([]byte) [][]byte
	}{
		{Change{KindBOM, "given a byte order mark (BOM) at its start"}, cutBOM},
		{Change{KindGzip, "compressed (gzip) and not decompressed"}, gunzip},
		{Change{KindDeflate, "compressed (deflate) and not decompressed"}, inflate},
		{Change{KindBase64, "base64-encoded and not decoded"}, unbase64},
		{Change{KindJSONString, "written into a JSON string (JSON-encoded twice)"}, unquote},
		{Change{KindURLEncoded, "URL-encoded"}, unescapeURL},
		{Change{KindForm, "put into a field of an HTML form"}, unform},
		{Change{KindEnvelope, "put into another JSON document"}, members},
		{Change{KindChunked, "recorded with HTTP's chunk sizes in it"}, unchunk},
		{Change{KindCharset, "converted to UTF-16"}, fromUTF16},
		{Change{KindCharset, "converted from UTF-8 to Latin-1"}, fromLatin1},
		{Change{KindCharset, "taken for Latin-1 and converted to UTF-8 once more"}, unmojibake},
	} {
		for _, inner := range w.open(body) {
			found = append(found, attempt{inner, []Change{w.change}})
		}
	}
	return found
}

func cutBOM(body []byte) [][]byte {
	if rest, ok := bytes.CutPrefix(body, []byte("\ufeff")); ok {
		return [][]byte{rest}
	}
	return nil
}

func gunzip(body []byte) [][]byte {
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	return readAll(r)
}

func inflate(body []byte) [][]byte {
	r, err := zlib.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil
	}
	return readAll(r)
}

func readAll(r io.Reader) [][]byte {
	data, err := io.ReadAll(io.LimitReader(r, mostUnwrapped))
	if err != nil {
		return nil
	}
	return [][]byte{data}
}

func unbase64(body []byte) [][]byte {
	text := strings.TrimRight(string(stripLines(bytes.Trim(body, jsonSpace))), "=")
	text = strings.NewReplacer("-", "+", "_", "/").Replace(text)
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return [][]byte{data}
}

func unquote(body []byte) [][]byte {
	var text string
	if !bytes.HasPrefix(bytes.TrimLeft(body, jsonSpace), []byte(`"`)) || json.Unmarshal(body, &text) != nil {
		return nil
	}
	return [][]byte{[]byte(text)}
}

// unform also finds the document as the name of a field, where a form parser
// puts what is no form.
func unform(body []byte) [][]byte {
	fields, _ := url.ParseQuery(string(bytes.Trim(body, jsonSpace)))
	var found [][]byte
	for name, values := range fields {
		if looksLikeJSON(name) && len(fields) == 1 {
			found = append(found, []byte(name))
		}
		for _, value := range values {
			if looksLikeJSON(value) {
				found = append(found, []byte(value))
			}
		}
	}
	slices.SortFunc(found, bytes.Compare)
	return found
}

func looksLikeJSON(text string) bool {
	return strings.HasPrefix(strings.TrimLeft(text, jsonSpace), "{")
}

func unescapeURL(body []byte) [][]byte {
	if !bytes.ContainsRune(body, '%') || json.Valid(body) {
		return nil
	}
	var found [][]byte
	for _, unescape := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
		if text, err := unescape(string(body)); err == nil && looksLikeJSON(text) {
			found = append(found, []byte(text))
		}
	}
	return found
}

// members are the strings and objects directly in a document that is not itself
// an event: the "body" of an API gateway's own event, the "detail" of a bus.
func members(body []byte) [][]byte {
	if !json.Valid(body) || decodeEvent(body).IsEvent() {
		return nil
	}
	tree := parse(body)
	if tree.open != '{' {
		return nil
	}
	var found [][]byte
	for i, kid := range tree.kids {
		var key, text string
		_ = json.Unmarshal(tree.keys[i], &key)
		if looksLikeJSON(key) && len(tree.keys) == 1 {
			found = append(found, []byte(key))
		}
		switch {
		case kid.open == '{':
			found = append(found, kid.raw)
		case kid.open == 0 && json.Unmarshal(kid.raw, &text) == nil && len(text) > 16:
			found = append(found, []byte(text))
		}
	}
	return found
}

func unchunk(body []byte) [][]byte {
	size, _, ok := bytes.Cut(body, []byte("\r\n"))
	if !ok || len(size) == 0 || len(size) > 8 || strings.Trim(string(size), "0123456789abcdefABCDEF") != "" {
		return nil
	}
	return readAll(httputil.NewChunkedReader(bytes.NewReader(body)))
}

func fromUTF16(body []byte) [][]byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(body, []byte{0xff, 0xfe}) || len(body) > 1 && body[1] == 0:
		order = binary.LittleEndian
	case bytes.HasPrefix(body, []byte{0xfe, 0xff}) || len(body) > 1 && body[0] == 0:
		order = binary.BigEndian
	default:
		return nil
	}
	halves := make([]uint16, len(body)/2)
	for i := range halves {
		halves[i] = order.Uint16(body[2*i:])
	}
	return [][]byte{[]byte(strings.TrimPrefix(string(utf16.Decode(halves)), "\ufeff"))}
}

// windows1252 is what stands in place of Latin-1's controls, from 0x80 on, where
// Latin-1 is said and Windows' own character set is meant.
const windows1252 = "€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ"

func fromLatin1(body []byte) [][]byte {
	if utf8.Valid(body) {
		return nil
	}
	high := []rune(windows1252)
	latin, windows := make([]rune, len(body)), make([]rune, len(body))
	for i, b := range body {
		latin[i], windows[i] = rune(b), rune(b)
		if 0x80 <= b && b < 0xa0 {
			windows[i] = high[b-0x80]
		}
	}
	return [][]byte{[]byte(string(latin)), []byte(string(windows))}
}

func unmojibake(body []byte) [][]byte {
	if !utf8.Valid(body) {
		return nil
	}
	high := []rune(windows1252)
	data := make([]byte, 0, len(body))
	wide := false
	for _, char := range string(body) {
		i := slices.Index(high, char)
		switch {
		case i >= 0:
			data = append(data, byte(0x80+i))
		case char <= 0xff:
			data = append(data, byte(char))
		default:
			return nil
		}
		wide = wide || char >= utf8.RuneSelf
	}
	if !wide || !utf8.Valid(data) {
		return nil
	}
	return [][]byte{data}
}
