package cases_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// expected is what is right at the end of a story.
type expected struct {
	Why      string
	Records  map[string]fields   // by the id of the subscription
	Messages map[string]fields   // by the id of the event
	Audit    map[string]fields   // by the id of the event
	Trails   map[string][]string // the events in the audit trail, by the id of the subscription
	// SomeMessage must be true of a message about the subscription, if the events arrive as
	// written: in another order, nothing may be known of what was before.
	SomeMessage fields `json:"some_message"`
	// Pages are texts that a page of the documentation must have, as regular expressions.
	Pages map[string]string
	// KnownLimits is what would be better otherwise. When it is, the story has to be changed.
	KnownLimits limits `json:"known_limits"`
}

type limits struct {
	Why     string
	Records map[string]fields
}

// fields are values by their paths, such as items[0].quantity; items.# is the number of items.
// A value is
//   - null, if the field must be absent
//   - a number of seconds for a time
//   - {"has": value} for a list with such an element
//   - {"like": expression} for a text that matches, or a list with such a text
//   - an object, whose fields must have these values, whatever others there are
//   - any other JSON value.
type fields map[string]any

// decode reads an expected.json after its ids have been replaced.
func decode(t *testing.T, raw []byte) (e expected) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		t.Fatalf("expected.json: %v\n%s", err, raw)
	}
	return e
}

// faults returns what of the content is not as expected.
func (e expected) faults(c content) []string {
	faults := slices.Concat(
		compare("record", e.Records, c.records), compare("message", e.Messages, c.messages), compare("audit document", e.Audit, c.audit),
		e.trailFaults(c), e.messageFaults(c),
	)
	for _, fault := range compare("record", e.KnownLimits.Records, c.records) {
		faults = append(faults, fmt.Sprintf("the known limit %q has changed: %s", e.KnownLimits.Why, fault))
	}
	return faults
}

// compare compares all documents of each id: an event can be in the stream twice.
func compare(kind string, want map[string]fields, got map[string][]any) (faults []string) {
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if len(got[id]) == 0 {
			faults = append(faults, fmt.Sprintf("%s %s does not exist", kind, id))
		}
		for _, doc := range got[id] {
			for _, fault := range want[id].faults(doc) {
				faults = append(faults, fmt.Sprintf("%s %s: %s", kind, id, fault))
			}
		}
	}
	return faults
}

func (f fields) faults(doc any) (faults []string) {
	for _, path := range slices.Sorted(maps.Keys(f)) {
		if got := lookup(doc, path); !same(got, f[path]) {
			faults = append(faults, fmt.Sprintf("%s: got %s, want %s", path, text(got), text(f[path])))
		}
	}
	if why := lookup(doc, "explanation"); faults != nil && why != nil {
		faults = append(faults, fmt.Sprintf("explanation: %s, %s", text(lookup(doc, "ordering")), why))
	}
	return faults
}

func (e expected) trailFaults(c content) (faults []string) {
	for sub, want := range e.Trails {
		var got []string
		for id, docs := range c.audit {
			if lookup(docs[0], "subscription_id") == sub {
				got = append(got, id)
			}
		}
		slices.Sort(got)
		if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
			faults = append(faults, fmt.Sprintf("audit trail of %s: got %v, want %v", sub, got, want))
		}
	}
	return faults
}

func (e expected) messageFaults(c content) []string {
	if e.SomeMessage == nil {
		return nil
	}
	var seen []string
	for sub := range e.Records {
		for _, docs := range c.messages {
			for _, doc := range docs {
				if lookup(doc, "subject") == sub && e.SomeMessage.faults(doc) == nil {
					return nil
				}
				if lookup(doc, "subject") == sub {
					seen = append(seen, fmt.Sprintf("%s %s", lookup(doc, "id"), text(lookup(doc, "data.changes"))))
				}
			}
		}
	}
	return []string{fmt.Sprintf("no message has %s; changes are %v", text(e.SomeMessage), seen)}
}

// checkPages checks what the documentation says.
func (e expected) checkPages(t *testing.T) {
	t.Helper()
	for page, want := range e.Pages {
		raw, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(page)))
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(want).Match(raw) {
			t.Errorf("%s has no text like %q", page, want)
		}
	}
}

// lookup returns the value at a path, or nil.
func lookup(value any, path string) any {
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		switch v := value.(type) {
		case map[string]any:
			value = v[step]
		case []any:
			value = element(v, step)
		default:
			return nil
		}
	}
	return value
}

func element(list []any, step string) any {
	if step == "#" {
		return float64(len(list))
	}
	if i, err := strconv.Atoi(step); err == nil && i < len(list) {
		return list[i]
	}
	return nil
}

func same(got, want any) bool {
	switch w := want.(type) {
	case map[string]any:
		return sameObject(got, w)
	case []any:
		list, ok := got.([]any)
		return ok && slices.EqualFunc(list, w, same)
	case float64:
		return got == want || sameTime(got, w)
	}
	return reflect.DeepEqual(got, want)
}

func sameObject(got any, want map[string]any) bool {
	if element, ok := want["has"]; ok {
		list, _ := got.([]any)
		return slices.ContainsFunc(list, func(e any) bool { return same(e, element) })
	}
	if expression, ok := want["like"].(string); ok {
		like := regexp.MustCompile(expression)
		list, isList := got.([]any)
		if !isList {
			list = []any{got}
		}
		return slices.ContainsFunc(list, func(e any) bool { s, ok := e.(string); return ok && like.MatchString(s) })
	}
	return got != nil && fields(want).faults(got) == nil
}

func sameTime(got any, seconds float64) bool {
	s, _ := got.(string)
	at, err := time.Parse(time.RFC3339, s)
	return err == nil && float64(at.Unix()) == seconds
}

func text(value any) string {
	raw, _ := json.Marshal(value)
	return string(raw)
}
