package contract_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/events"
)

// group is a JSON object of the contract, read from one Go struct.
type group struct {
	// name is the name in the schema: customer_discount.
	name    string
	meaning string
	fields  []field
}

type field struct {
	name     string
	goName   string // Type.Field
	required bool
	meaning  string
	value    value
}

// value describes the JSON in a field. Either kind or group is set.
type value struct {
	kind     string // JSON type
	format   string
	group    *group
	elements *value // of an array, or of an object with free names
	words    []string
	closed   bool // nothing but words can occur
	nullable bool // every field of group may be null, as in previous
}

// namedWords maps fields of type string to the prefix of the constants that are their
// values.
var namedWords = map[string]string{
	"Subscription.Status": "Status",
	"Subscription.Access": "Access",

	"AccessDocument.Access": "Access",
	"AccessProduct.Access":  "Access",
	"Data.EventOmitted":     "Omitted",
	"Data.Ignored":          "Ignored",
}

// constantFields have one possible value.
var constantFields = map[string]string{
	"Message.SpecVersion":     events.SpecVersion,
	"Message.DataContentType": events.DataContentType,
}

// model reads the contract from the types.
type model struct {
	source *source
	groups map[reflect.Type]*group
}

func readModel(t *testing.T) *group {
	t.Helper()
	m := &model{readSource(t), map[reflect.Type]*group{}}
	return m.group(reflect.TypeFor[events.Message]())
}

func (m *model) group(t reflect.Type) *group {
	if g, ok := m.groups[t]; ok {
		return g
	}
	g := &group{name: snake(t.Name())}
	m.groups[t] = g
	names := jsonNames(t)
	g.meaning = m.source.meaning(m.source.comments[t.Name()], names)
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			g.fields = append(g.fields, m.field(t, f, names))
		}
	}
	return g
}

func (m *model) field(t reflect.Type, f reflect.StructField, names map[string]string) field {
	owner := t
	for _, i := range f.Index[:len(f.Index)-1] {
		owner = owner.Field(i).Type // of an embedded struct
	}
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if t == reflect.TypeFor[events.Record]() && name == "id" {
		name = "subscription_id"
	}
	out := field{name: name, goName: owner.Name() + "." + f.Name, required: options == ""}
	out.value = m.value(out.goName, f.Type)
	out.meaning = m.meaning(out, f.Type, names)
	return out
}

// meaning returns the comment of a field; or else of a type that lists its values; or else
// that the field is Stripe's.
func (m *model) meaning(f field, t reflect.Type, names map[string]string) string {
	if own := m.source.comments[f.goName]; own != "" {
		return m.source.meaning(own, names)
	}
	switch {
	case f.value.group != nil:
		return "" // the group says it
	case t.Kind() == reflect.String && t.Name() != "string":
		return m.source.meaning(firstSentence(m.source.comments[t.Name()]), map[string]string{t.Name(): f.name})
	case f.name == "account_id":
		return m.source.meaning(m.source.comments["Subscription.AccountID"], names)
	}
	return stripes(f.name)
}

// stripes describes a field of Stripe's that needs no comment.
func stripes(name string) string {
	object, isReference := strings.CutSuffix(name, "_id")
	if isReference && name != "client_reference_id" { // which is Stripe's name for it
		return "Id of Stripe's " + strings.ReplaceAll(object, "_", " ") + "."
	}
	return "Stripe's " + name + "."
}

func firstSentence(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if end := strings.Index(text, ". "); end >= 0 {
		return text[:end+1]
	}
	return text
}

func (m *model) value(goName string, t reflect.Type) value {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return value{kind: "string", format: "date-time"}
	case t == reflect.TypeFor[json.RawMessage](), t == reflect.TypeFor[map[string]any]():
		return value{kind: "object"}
	case t == reflect.TypeFor[*events.Previous]():
		return value{group: m.group(reflect.TypeFor[events.Subscription]()), nullable: true}
	}
	return m.valueOfKind(goName, t)
}

func (m *model) valueOfKind(goName string, t reflect.Type) value {
	switch t.Kind() {
	case reflect.Pointer:
		return m.value(goName, t.Elem())
	case reflect.Struct:
		return value{group: m.group(t)}
	case reflect.Slice:
		elements := m.value(goName, t.Elem())
		return value{kind: "array", elements: &elements}
	case reflect.Map:
		elements := m.value(goName, t.Elem())
		return value{kind: "object", elements: &elements}
	case reflect.String:
		return m.text(goName, t)
	case reflect.Bool:
		return value{kind: "boolean"}
	case reflect.Int, reflect.Int64:
		return value{kind: "integer"}
	}
	panic("no JSON type for " + goName + " of kind " + t.Kind().String())
}

func (m *model) text(goName string, t reflect.Type) value {
	v := value{kind: "string"}
	if only, ok := constantFields[goName]; ok {
		v.words, v.closed = []string{only}, true
	} else if prefix, ok := namedWords[goName]; ok {
		v.words, v.closed = m.source.words(prefix), prefix == "Access"
	} else if t != reflect.TypeFor[string]() {
		v.words = m.source.words(t.Name())
	}
	return v
}

func jsonNames(t reflect.Type) map[string]string {
	names := map[string]string{}
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
			names[f.Name] = name
		}
	}
	return names
}

// snake turns CustomerDiscount into customer_discount.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && 'A' <= r && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}
