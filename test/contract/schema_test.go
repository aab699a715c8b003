package contract_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

var update = flag.Bool("update", false, "rewrite the generated files of package events")

const (
	schemaFile       = "../../events/message.schema.json"
	recordSchemaFile = "../../events/record.schema.json"
)

// schema is a JSON Schema in the order in which it is best read. It only uses what
// draft-07 and 2020-12 have in common, except the name of $defs, so AsyncAPI tools
// understand it.
type schema struct {
	Dialect     string          `json:"$schema,omitempty"`
	ID          string          `json:"$id,omitempty"`
	Title       string          `json:"title,omitempty"`
	Description string          `json:"description,omitempty"`
	Ref         string          `json:"$ref,omitempty"`
	Type        string          `json:"type,omitempty"`
	Const       any             `json:"const,omitempty"`
	Enum        []string        `json:"enum,omitempty"`
	Not         *schema         `json:"not,omitempty"`
	AnyOf       []*schema       `json:"anyOf,omitempty"`
	Format      string          `json:"format,omitempty"`
	Pattern     string          `json:"pattern,omitempty"`
	MinLength   int             `json:"minLength,omitempty"`
	MaxLength   int             `json:"maxLength,omitempty"`
	Minimum     int             `json:"minimum,omitempty"`
	Maximum     int             `json:"maximum,omitempty"`
	Items       *schema         `json:"items,omitempty"`
	MinProps    int             `json:"minProperties,omitempty"`
	Properties  properties      `json:"properties,omitempty"`
	Required    []string        `json:"required,omitempty"`
	Others      *schema         `json:"additionalProperties,omitempty"`
	AllOf       json.RawMessage `json:"allOf,omitempty"`
	Defs        properties      `json:"$defs,omitempty"`
}

// properties keep their order, unlike a map.
type properties []property

type property struct {
	name   string
	schema *schema
}

func (p properties) MarshalJSON() ([]byte, error) {
	var buf bytes.Buffer
	buf.WriteByte('{')
	for i, each := range p {
		if i > 0 {
			buf.WriteByte(',')
		}
		fmt.Fprintf(&buf, "%q:", each.name)
		if err := encoder(&buf).Encode(each.schema); err != nil {
			return nil, err
		}
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// bounds are what [events.Message.Validate] requires of a value in addition to its type.
var bounds = map[string]schema{
	"Message.ID":         {MinLength: 1},
	"Message.Source":     {Pattern: `^/stripe/[A-Za-z0-9_]{1,255}/(live|test)$`},
	"Message.Type":       {Pattern: `^[A-Za-z0-9_-]+(\[[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\])?(\.[A-Za-z0-9_-]+(\[[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\])?)*$`, MaxLength: 255},
	"Message.Time":       {Not: &schema{Const: "0001-01-01T00:00:00Z"}},
	"Data.SchemaVersion": {Minimum: 1, Maximum: events.SchemaVersion},
	"Data.EventSHA256":   {Pattern: `^[0-9a-f]{64}$`},
	"Data.Origin":        {MinLength: 1},
	"Subscription.ID":    {MinLength: 1},
}

// generator makes a schema from the model.
type generator struct{ defs properties }

func generate(t *testing.T, message *group) []byte {
	t.Helper()
	rules, err := os.ReadFile("testdata/rules.json")
	if err != nil {
		t.Fatal(err)
	}
	return generateFrom(t, message, "Message of Billbus", rules)
}

func generateFrom(t *testing.T, from *group, title string, rules json.RawMessage) []byte {
	t.Helper()
	var g generator
	root := g.object(from)
	root.Dialect = "https://json-schema.org/draft/2020-12/schema"
	root.ID = fmt.Sprintf("urn:billbus:%s:v%d", from.name, events.SchemaVersion)
	root.Title = title
	root.AllOf = rules
	root.Defs = g.defs
	var buf bytes.Buffer
	if err := encoder(&buf).Encode(root); err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, buf.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	return indented.Bytes()
}

func encoder(buf *bytes.Buffer) *json.Encoder {
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	return enc
}

func (g *generator) object(from *group) *schema {
	s := &schema{Description: from.meaning, Type: "object"}
	for _, f := range from.fields {
		s.Properties = append(s.Properties, property{f.name, g.field(f)})
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	return s
}

func (g *generator) field(f field) *schema {
	s := g.value(f.value)
	s.Description = f.meaning
	b := bounds[f.goName]
	s.Pattern, s.Not = b.Pattern, b.Not
	s.MinLength, s.MaxLength, s.Minimum, s.Maximum = b.MinLength, b.MaxLength, b.Minimum, b.Maximum
	return s
}

func (g *generator) value(v value) *schema {
	switch {
	case v.nullable:
		return g.ref("previous", func() *schema { return previous(v.group) })
	case v.group != nil:
		return g.ref(v.group.name, func() *schema { return g.object(v.group) })
	case v.kind == "array":
		return &schema{Type: v.kind, Items: g.value(*v.elements)}
	case v.elements != nil:
		return &schema{Type: v.kind, Others: g.value(*v.elements)}
	case len(v.words) == 0:
		return &schema{Type: v.kind, Format: v.format}
	case len(v.words) == 1 && v.closed:
		return &schema{Const: v.words[0]}
	case v.closed:
		return &schema{Type: v.kind, Enum: v.words}
	}
	return &schema{Type: v.kind, AnyOf: []*schema{{Enum: v.words}, {Type: v.kind}}}
}

// ref makes a definition once, and reserves its place first, so definitions are in order
// of first use.
func (g *generator) ref(name string, make func() *schema) *schema {
	if !slices.ContainsFunc(g.defs, func(p property) bool { return p.name == name }) {
		at := len(g.defs)
		g.defs = append(g.defs, property{name: name})
		g.defs[at].schema = make()
	}
	return &schema{Ref: "#/$defs/" + name}
}

// previous has every field of the subscription. None is required, and null means that a
// field was not set.
func previous(subscription *group) *schema {
	s := &schema{
		Description: "Fields of the subscription that had another value before; null means that one was not set.",
		Type:        "object", MinProps: 1,
	}
	for _, f := range subscription.fields {
		was := &schema{Ref: "#/$defs/" + subscription.name + "/properties/" + f.name}
		s.Properties = append(s.Properties, property{f.name, &schema{AnyOf: []*schema{was, {Type: "null"}}}})
	}
	return s
}

// Not parallel, because other tests read what it writes.
func TestSchemaMatchesTheTypes(t *testing.T) {
	checkSchema(t, schemaFile, generate(t, readModel(t)))
}

func TestRecordSchemaMatchesTheTypes(t *testing.T) {
	m := &model{readSource(t), map[reflect.Type]*group{}}
	checkSchema(t, recordSchemaFile, generateFrom(t, m.group(reflect.TypeFor[events.Record]()), "Record of Billbus, in the state view", nil))
}

func TestARecordIsValid(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(recordSchemaFile)
	if err != nil {
		t.Fatal(err)
	}
	schema := compile(t, decode(t, raw))
	encoded, err := json.Marshal(events.Record{Subscription: events.Subscription{ID: "sub_1", Status: "active", Metadata: map[string]string{"k": "v"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(decode(t, encoded)); err != nil {
		t.Error(err)
	}
	if err := schema.Validate(map[string]any{"id": "sub_1"}); err == nil {
		t.Error("a record without its id is valid")
	}
}

func checkSchema(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (write it with go generate ./events)", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the schema differs from the types (go generate ./events; -types +schema):\n%s", diff)
	}
}
