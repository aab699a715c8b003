package events

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	json "github.com/go-json-experiment/json/v1"
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

// MarshalJSON implements json.Marshaler. What calls it escapes characters like <, or not.
func (p *Previous) MarshalJSON() ([]byte, error) {
	return jsonv2.Marshal(p, json.DefaultOptionsV1(), jsontext.EscapeForHTML(false))
}

// UnmarshalJSON implements json.Unmarshaler. It ignores fields that later releases add.
func (p *Previous) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, p) }

// MarshalJSONTo writes what MarshalJSON returns.
func (p *Previous) MarshalJSONTo(enc *jsontext.Encoder) error {
	err := enc.WriteToken(jsontext.BeginObject)
	v := reflect.ValueOf(&p.Values).Elem()
	for i, name := range subscriptionFields {
		switch {
		case err != nil:
			return err
		case !slices.Contains(p.Fields, name):
		case isAbsent(v.Field(i)):
			err = errors.Join(enc.WriteToken(jsontext.String(name)), enc.WriteToken(jsontext.Null))
		default:
			err = errors.Join(enc.WriteToken(jsontext.String(name)), jsonv2.MarshalEncode(enc, v.Field(i).Addr().Interface()))
		}
	}
	return errors.Join(err, enc.WriteToken(jsontext.EndObject))
}

// UnmarshalJSONFrom reads what UnmarshalJSON does.
func (p *Previous) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	*p = Previous{}
	if dec.PeekKind() != '{' {
		type object struct{}
		return jsonv2.UnmarshalDecode(dec, &object{}) // says what it is instead
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	found := make([]bool, len(subscriptionFields))
	for dec.PeekKind() != '}' {
		if err := p.readMember(dec, found); err != nil {
			return err
		}
	}
	for i, name := range subscriptionFields {
		if found[i] {
			p.Fields = append(p.Fields, name)
		}
	}
	_, err := dec.ReadToken()
	return err
}

func (p *Previous) readMember(dec *jsontext.Decoder, found []bool) error {
	name, err := dec.ReadToken()
	if err != nil {
		return err
	}
	i := slices.Index(subscriptionFields, name.String())
	if i < 0 {
		return dec.SkipValue()
	}
	found[i] = true
	return jsonv2.UnmarshalDecode(dec, reflect.ValueOf(&p.Values).Elem().Field(i).Addr().Interface())
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
