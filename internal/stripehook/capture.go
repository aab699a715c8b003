package stripehook

import (
	"encoding/json"
	"net/http"
	"strings"
)

// Capture is a request as somebody recorded it.
type Capture struct {
	Header http.Header
	Body   []byte
	Method string
	URL    string
	Notes  []string // what may be another than the request that is looked for; it quotes nothing
}

// ParseHeaders reads headers as they are shown by proxies, by curl -i and -v, and
// in logs: lines of Name: value, up to the first empty line after one, or a
// JSON object of them. Lines that are no header are passed over.
func ParseHeaders(text string) http.Header {
	text = strings.TrimPrefix(text, "\ufeff")
	if h := jsonHeaders([]byte(text)); h != nil {
		return h
	}
	h, last := http.Header{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		shown := strings.TrimSpace(line)
		for _, mark := range []string{"> ", "< "} { // curl -v
			shown = strings.TrimPrefix(shown, mark)
		}
		if (shown == "" || shown == ">" || shown == "<") && len(h) > 0 {
			break
		}
		name, value, ok := headerLine(shown)
		if ok {
			add(h, name, value)
			last = name
		} else if folded := line != strings.TrimLeft(line, " \t"); folded && last != "" {
			extend(h, last, shown)
		}
	}
	return h
}

// headerLine takes a line apart. Logs and dumps put names and values in quotes.
func headerLine(line string) (name, value string, ok bool) {
	if name, value, ok = strings.Cut(line, ":"); !ok {
		return "", "", false
	}
	if bare := strings.Trim(name, `"'`); bare != name {
		name, value = bare, unquoted(value)
	}
	return name, strings.TrimSpace(value), token.MatchString(name)
}

func unquoted(value string) string {
	return strings.Trim(strings.TrimRight(strings.TrimSpace(value), ","), `"'`)
}

// add keeps a name with an underscore as it is: it is no header of HTTP but
// shows where the header went.
func add(h http.Header, name, value string) {
	if strings.Contains(name, "_") {
		h[name] = append(h[name], value)
		return
	}
	h.Add(name, value)
}

// extend continues a header in the next line, as HTTP once allowed.
func extend(h http.Header, name, more string) {
	if strings.Contains(name, "_") || more == "" {
		return
	}
	values := h.Values(name)
	values[len(values)-1] += " " + more
}

// jsonHeaders reads an object of names and values, or one that has such an
// object under "headers", as API gateways log it. It returns nil for other text.
func jsonHeaders(text []byte) http.Header {
	var object map[string]json.RawMessage
	if json.Unmarshal(text, &object) != nil {
		return nil
	}
	for name, value := range object {
		var inner map[string]json.RawMessage
		if strings.EqualFold(name, "headers") && json.Unmarshal(value, &inner) == nil {
			object = inner
			break
		}
	}
	h := http.Header{}
	for name, value := range object {
		var one string
		var several []string
		if json.Unmarshal(value, &one) == nil {
			add(h, name, strings.TrimSpace(one))
		} else if json.Unmarshal(value, &several) == nil {
			for _, one := range several {
				add(h, name, strings.TrimSpace(one))
			}
		}
	}
	return h
}
