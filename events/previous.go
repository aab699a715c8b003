package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Previous are the fields of a subscription that had another value before an
// event, each complete: all items, if one of them changed. In JSON it is an
// object of the subscription's field names, null meaning "was not set".
type Previous struct {
	// Fields are the JSON names of the fields that differed, in the order of
	// [Subscription].
	Fields []string
	// Values hold what these fields were; the zero value is "not set". All other
	// fields are zero and mean nothing.
	Values Subscription
}

// Diff returns the fields in which before differs from after, with their values
// before; nil if there are none. What JSON leaves out is equal to what is not
// there.
func Diff(before, after *Subscription) *Previous {
	b, a := reflect.ValueOf(before).Elem(), reflect.ValueOf(after).Elem()
	var p *Previous
	for i, name := range subscriptionFields {
		if same(b.Field(i), a.Field(i)) {
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

// Before returns the subscription as it was before the event: after with the
// previous values put back.
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

// UnmarshalJSON implements json.Unmarshaler. Fields that a later release has
// added are ignored.
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

// same compares two addressable values of one type of the contract without
// allocating.
func same(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.String:
		return a.String() == b.String()
	case reflect.Bool:
		return a.Bool() == b.Bool()
	case reflect.Int64:
		return a.Int() == b.Int()
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return same(a.Elem(), b.Elem())
	case reflect.Slice:
		return sameElements(a, b)
	case reflect.Struct:
		if t, ok := a.Addr().Interface().(*time.Time); ok {
			return t.Equal(*b.Addr().Interface().(*time.Time))
		}
		return sameFields(a, b)
	case reflect.Map:
		return sameMembers(a.Interface().(map[string]string), b.Interface().(map[string]string))
	}
	panic("events: a field of kind " + a.Kind().String() + " cannot be compared")
}

func sameElements(a, b reflect.Value) bool {
	if a.Len() != b.Len() {
		return false
	}
	for i := range a.Len() {
		if !same(a.Index(i), b.Index(i)) {
			return false
		}
	}
	return true
}

func sameFields(a, b reflect.Value) bool {
	for i := range a.NumField() {
		if !same(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

func sameMembers(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for key, v := range a {
		if w, ok := b[key]; !ok || v != w {
			return false
		}
	}
	return true
}

// isAbsent is what JSON leaves out: maps and slices without anything in them,
// too.
func isAbsent(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}
