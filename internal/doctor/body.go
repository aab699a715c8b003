package doctor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Body describes a body without quoting it.
type Body struct {
	Bytes    int    `json:"bytes"`
	Layout   Layout `json:"layout"`
	replaced bool   // contains U+FFFD, which replaces characters that a decoder could not read
}

// Layout is how a body is written.
type Layout string

// The layouts. Stripe indents by two spaces, except thin events, which are compact.
const (
	Indented  Layout = "indent_2"
	Compact   Layout = "compact"
	OtherJSON Layout = "other_json"
	Truncated Layout = "truncated_json"
	NotJSON   Layout = "not_json"
	Empty     Layout = "empty"
)

// String completes the sentence "the body is …".
func (l Layout) String() string {
	return map[Layout]string{
		Indented: "JSON indented by two spaces", Compact: "compact JSON", OtherJSON: "JSON in another layout",
		Truncated: "JSON that is cut off", NotJSON: "not JSON", Empty: "empty",
	}[l]
}

func inspect(body []byte) Body {
	return Body{Bytes: len(body), Layout: layoutOf(body), replaced: utf8.Valid(body) && bytes.ContainsRune(body, utf8.RuneError)}
}

func layoutOf(body []byte) Layout {
	doc := bytes.Trim(body, jsonSpace)
	var value json.RawMessage
	switch {
	case len(doc) == 0:
		return Empty
	case errors.Is(json.NewDecoder(bytes.NewReader(doc)).Decode(&value), io.ErrUnexpectedEOF):
		return Truncated
	case !json.Valid(doc):
		return NotJSON
	case bytes.Equal(doc, indent(doc)):
		return Indented
	case bytes.Equal(doc, compact(doc)):
		return Compact
	}
	return OtherJSON
}

// Event is what a report shows of an event. A value that does not look like one of Stripe's is left out.
type Event struct {
	ID       string `json:"id,omitempty"`
	Type     string `json:"type,omitempty"`
	Object   string `json:"object,omitempty"` // "event" or "v2.core.event"; "" if the body is not an event
	Account  string `json:"account,omitempty"`
	Livemode *bool  `json:"livemode,omitempty"`
}

func (e Event) thin() bool { return e.Object == "v2.core.event" }

var (
	objectName = regexp.MustCompile(`^(event|v2\.core\.event)$`)
	eventID    = regexp.MustCompile(`^evt_[A-Za-z0-9_]{1,255}$`)
	eventType  = regexp.MustCompile(`^[a-z0-9_]{1,64}([.\[\]][a-z0-9_\[\]]{1,64}){0,9}$`)
	accountID  = regexp.MustCompile(`^acct_[A-Za-z0-9_]{1,255}$`)
	secretLike = regexp.MustCompile(`(?i)whsec_|sk_(live|test)|rk_(live|test)`)
)

// findEvent returns the event in a body, even if that is compressed or encoded.
func findEvent(body []byte) Event {
	for _, source := range unpack(body) {
		if e := decodeEvent(source.body); e.Object != "" {
			return e
		}
	}
	return Event{}
}

func decodeEvent(body []byte) Event {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(body, &fields) // other documents have no fields
	text := func(name string, shape *regexp.Regexp) string {
		var s string
		if json.Unmarshal(fields[name], &s) != nil || !shape.MatchString(s) || secretLike.MatchString(s) {
			return ""
		}
		return s
	}
	e := Event{Object: text("object", objectName), ID: text("id", eventID), Type: text("type", eventType), Account: text("account", accountID)}
	if mode := string(fields["livemode"]); mode == "true" || mode == "false" {
		e.Livemode = new(mode == "true")
	}
	return e
}

// String shows the event in one line.
func (e Event) String() string {
	if e.Object == "" {
		return "none found in the body"
	}
	text := strings.TrimSpace(cmp.Or(e.ID, "(no id)") + " " + e.Type)
	if e.Livemode != nil {
		text += map[bool]string{true: ", live mode", false: ", test mode"}[*e.Livemode]
	}
	if e.Account != "" {
		text += ", account " + e.Account
	}
	return text
}
