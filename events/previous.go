package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Previous are the fields of a subscription that had another value before an event.
// Each is complete: if one item changed, all items are in it. In JSON it is an object
// with the subscription's field names; null means that a field was not set.
type Previous struct {
	// Fields are the JSON names of the fields that differed, in the order of
	// [Subscription].
	Fields []string
	// Values holds the previous values of these fields; the zero value means "not
	// set". All other fields are zero and mean nothing.
	Values Subscription
}

// Diff returns the fields in which before differs from after, with the values they had
// before; nil if there are none. Empty and absent are the same, as they are in JSON.
func Diff(before, after *Subscription) *Previous {
	b, a := reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem()
	var p *Previous
	for i, name := range subscriptionFields {
		if equalValues(b.Field(i), a.Field(i)) {
			continue
		}
		if p == nil {
			p = &Previous{}
		}
		p.Fields = append(p.Fields, name)
		reflect.ValueOf(&p.Values).Elem().Field(i).Set(b.Field(i))
	}
	return p
}

// Before returns the subscription as it was before the event: a copy of after with the
// previous values restored.
func (p *Previous) Before(after *Subscription) *Subscription {
	before := *after
	if p == nil {
		return &before
	}
	b, v := reflect.ValueOf(&before).Elem(), reflect.ValueOf(&p.Values).Elem()
	for i, name := range subscriptionFields {
		if slices.Contains(p.Fields, name) {
			b.Field(i).Set(v.Field(i))
		}
	}
	return &before
}

// Has reports whether a field, by its JSON name, had another value before.
func (p *Previous) Has(field string) bool { return p != nil && slices.Contains(p.Fields, field) }

// MarshalJSON implements json.Marshaler.
func (p *Previous) MarshalJSON() ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	v := reflect.ValueOf(&p.Values).Elem()
	buf.WriteByte('{')
	for i, name := range subscriptionFields {
		if !slices.Contains(p.Fields, name) {
			continue
		}
		if buf.Len() > 1 {
			buf.WriteByte(',')
		}
		fmt.Fprintf(&buf, "%q:", name)
		if isAbsent(v.Field(i)) {
			buf.WriteString("null")
		} else if err := enc.Encode(v.Field(i).Addr().Interface()); err != nil {
			return nil, err
		}
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// UnmarshalJSON implements json.Unmarshaler. It ignores fields that later releases add.
func (p *Previous) UnmarshalJSON(raw []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	*p = Previous{}
	v := reflect.ValueOf(&p.Values).Elem()
	for i, name := range subscriptionFields {
		member, ok := members[name]
		if !ok {
			continue
		}
		p.Fields = append(p.Fields, name)
		// null leaves a field as it is, which is the zero value.
		if err := json.Unmarshal(member, v.Field(i).Addr().Interface()); err != nil {
			return err
		}
	}
	return nil
}

// subscriptionFields are the JSON names of the fields of [Subscription].
var subscriptionFields = jsonNames(reflect.TypeFor[Subscription]())

func jsonNames(t reflect.Type) []string {
	names := make([]string, t.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(t.Field(i).Tag.Get("json"), ",")
	}
	return names
}
