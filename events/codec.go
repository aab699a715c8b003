package events

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	json "github.com/go-json-experiment/json/v1"
)

// Encode validates m and returns it as JSON. It does not escape characters like <,
// which could make a message six times as large.
func Encode(m Message) ([]byte, error) {
	if len(m.Data.Event) == 0 {
		return EncodeParsed(m)
	}
	var event bytes.Buffer
	if err := json.Compact(&event, m.Data.Event); err != nil {
		return nil, fmt.Errorf("encoding message: %w", describe(err))
	}
	m.Data.Event = event.Bytes()
	return EncodeParsed(m)
}

// EncodeParsed is Encode for a message whose Event is known to be JSON without whitespace
// between its tokens, as it is in every message that Encode wrote. It is copied.
func EncodeParsed(m Message) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	event := m.Data.Event
	m.Data.Event = nil
	var buf bytes.Buffer
	buf.Grow(len(event) + 4096)
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&m); err != nil {
		return nil, fmt.Errorf("encoding message: %w", describe(err))
	}
	if len(event) == 0 {
		return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil
	}
	const end = "}}" // of data and of the message
	buf.Truncate(buf.Len() - len(end+"\n"))
	buf.WriteString(`,"event":`)
	buf.Write(event)
	buf.WriteString(end)
	return buf.Bytes(), nil
}

// Decode reads one message of the stream. It ignores unknown fields. An error means
// that this program can never read the payload: it is not JSON, not a message of this
// contract, or has a newer schema version.
func Decode(payload []byte) (Message, error) {
	var m Message
	if !utf8.Valid(payload) {
		return Message{}, errors.New("decoding message: payload is not UTF-8")
	}
	if err := json.Unmarshal(payload, &m); err != nil {
		return Message{}, fmt.Errorf("decoding message: %w", describe(err))
	}
	if err := m.Validate(); err != nil {
		return Message{}, fmt.Errorf("decoding message: %w", err)
	}
	return m, nil
}

// describe says where encoding/json failed, without what it quotes of the payload:
// errors are logged.
func describe(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("invalid JSON at byte %d", syntax.Offset)
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return fmt.Errorf("field %q cannot be read as %s", fieldIn(reflect.TypeFor[Message](), mismatch.Field), mismatch.Type)
	}
	return errors.New("invalid value, or a time outside the years 0 to 9999")
}

// fieldIn returns the names in a path that are fields of t, up to the key of a map, which
// would be of the payload.
func fieldIn(t reflect.Type, path string) string {
	var known []string
	for name := range strings.SplitSeq(path, ".") {
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() == reflect.Slice { // name is a number
			t = t.Elem()
			continue
		}
		if t == reflect.TypeFor[Previous]() {
			t = reflect.TypeFor[Subscription]()
		}
		if t.Kind() != reflect.Struct {
			break
		}
		i := slices.Index(jsonNames(t), name)
		if i < 0 {
			break
		}
		known, t = append(known, name), t.Field(i).Type
	}
	return strings.Join(known, ".")
}

// Validate returns an error that names every way in which m breaks the contract.
func (m Message) Validate() error {
	var faults []string
	need := func(ok bool, fault string) {
		if !ok {
			faults = append(faults, fault)
		}
	}
	need(m.SpecVersion == SpecVersion, "specversion is not 1.0")
	need(m.ID != "", "id is missing")
	need(m.Source == Source(m.Livemode, m.StripeAccount), "source does not name the account and mode")
	need(isSubject(m.Type), "type is missing or not a subject")
	need(!m.Time.IsZero(), "time is missing")
	need(m.Data.SchemaVersion > 0, "data.schema_version is missing")
	need(m.Data.SchemaVersion <= SchemaVersion,
		fmt.Sprintf("data.schema_version is newer than %d: upgrade this program", SchemaVersion))
	need(m.Data.Origin != "", "data.origin is missing")
	need(!strings.HasPrefix(m.Type, subscriptionPrefix) || m.Data.Subscription != nil,
		"data.subscription is missing")
	need(!strings.HasPrefix(m.Type, accessPrefix) || m.Data.Access != nil, "data.access is missing")
	need(m.Data.Subscription == nil || m.Data.Subscription.ID != "", "data.subscription.id is missing")
	if faults == nil {
		return nil
	}
	return fmt.Errorf("not a message of this contract: %s", strings.Join(faults, "; "))
}
