package stripehook

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"unicode/utf8"
)

// Body is what may be told of a body.
type Body struct {
	Size     int
	Layout   Layout
	Sorted   bool // its keys are sorted all through, which Stripe's are not: "id" and "object" come first
	Replaced bool // it holds U+FFFD, which mostly stands for characters that were destroyed
	Event    Event
}

// Event is what may be told of an event. It is empty for any other document, and
// lacks what does not look like Stripe's own values.
type Event struct {
	Object   string // "event" or "v2.core.event"
	ID       string
	Type     string
	Account  string // the connected account, acct_…
	Livemode string // "true", "false", or "" if it does not say
}

// Thin says whether it is one of those that Stripe does not indent.
func (e Event) Thin() bool { return e.Object == "v2.core.event" }

// IsEvent says whether it is an event at all.
func (e Event) IsEvent() bool { return e.Object == "event" || e.Thin() }

var (
	eventID   = regexp.MustCompile(`^evt_[A-Za-z0-9_]{1,255}$`)
	word      = regexp.MustCompile(`^[a-z0-9_]{1,64}([.\[\]][a-z0-9_\[\]]{1,64}){0,9}$`)
	accountID = regexp.MustCompile(`^acct_[A-Za-z0-9_]{1,255}$`)
)

func inspect(body []byte) Body {
	return Body{
		Size: len(body), Layout: layoutOf(body), Sorted: sortedThrough(body),
		Replaced: bytes.ContainsRune(body, utf8.RuneError) && utf8.Valid(body),
		Event:    readEvent(body),
	}
}

// readEvent looks into a wrapped body as well.
func readEvent(body []byte) Event {
	for _, a := range unwrapAll(body) {
		if e := decodeEvent(a.body); e.IsEvent() {
			return e
		}
	}
	return Event{}
}

func decodeEvent(body []byte) Event {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return Event{}
	}
	text := func(name string, want *regexp.Regexp) string {
		var s string
		if json.Unmarshal(fields[name], &s) != nil || !want.MatchString(s) || secretLike.MatchString(s) {
			return ""
		}
		return s
	}
	e := Event{Object: text("object", word), ID: text("id", eventID), Type: text("type", word), Account: text("account", accountID)}
	if mode := string(fields["livemode"]); mode == "true" || mode == "false" {
		e.Livemode = mode
	}
	if !e.IsEvent() {
		return Event{}
	}
	return e
}

// layoutOf names the way in which a body is written.
func layoutOf(body []byte) Layout {
	core := bytes.ReplaceAll(bytes.Trim(body, jsonSpace), []byte("\r\n"), []byte("\n"))
	if len(core) == 0 {
		return LayoutEmpty
	}
	if !json.Valid(core) {
		var syntax *json.SyntaxError
		var document json.RawMessage
		// The decoder has an error of its own for what ends too soon, but only a text to tell it by.
		if errors.As(json.Unmarshal(core, &document), &syntax) && syntax.Error() == "unexpected end of JSON input" {
			return LayoutTruncated
		}
		return LayoutNotJSON
	}
	tree := parse(core)
	for _, l := range layouts(tree) {
		if bytes.Equal(l.render(tree), core) {
			return l.name
		}
	}
	return LayoutOther
}
