package contract_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/billbus/billbus/events"
)

// readSchema reads the file, which -update may have written after the test was built.
func readSchema(t *testing.T) map[string]any {
	t.Helper()
	raw, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, raw)
}

func compile(t *testing.T, schema map[string]any) *jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// examples returns the example messages by file name, without line breaks.
func examples(t *testing.T) map[string][]byte {
	t.Helper()
	files := readAll(t, "../../events/testdata/examples")
	for name, raw := range files {
		var compact bytes.Buffer
		if err := json.Compact(&compact, raw); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files[name] = compact.Bytes()
	}
	return files
}

func readAll(t *testing.T, folder string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("found nothing in %s: %v", folder, err)
	}
	files := map[string][]byte{}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(filepath.Base(path), ".json")] = raw
	}
	return files
}

func decode(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return document.(map[string]any)
}

func TestExamplesAreValid(t *testing.T) {
	t.Parallel()
	schema := compile(t, readSchema(t))
	for name, raw := range examples(t) {
		if err := schema.Validate(decode(t, raw)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The golden message of package events has a value in every field. Its JSON must agree
// with the schema.
func TestSchemaKnowsWhatTheEncoderWrites(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../events/testdata/message.golden.json")
	if err != nil {
		t.Fatal(err)
	}
	root := readSchema(t)
	checkKnown(t, root, root, decode(t, raw), "")
}

// checkKnown compares the members of an object with the properties in a schema.
func checkKnown(t *testing.T, root, schema, object map[string]any, path string) {
	t.Helper()
	properties, _ := resolve(root, schema)["properties"].(map[string]any)
	if properties == nil {
		return // of Stripe's, or with free names
	}
	if path != ".data.previous" { // the message has only an example of it
		if diff := cmp.Diff(slices.Sorted(maps.Keys(properties)), slices.Sorted(maps.Keys(object))); diff != "" {
			t.Errorf("%s: (-schema +encoded):\n%s", path, diff)
		}
	}
	for name, member := range object {
		property, _ := properties[name].(map[string]any)
		if list, ok := member.([]any); ok && len(list) > 0 {
			property, _ = resolve(root, property)["items"].(map[string]any)
			member = list[0]
		}
		if inner, ok := member.(map[string]any); ok {
			checkKnown(t, root, property, inner, path+"."+name)
		}
	}
}

func resolve(root, schema map[string]any) map[string]any {
	ref, ok := schema["$ref"].(string)
	if !ok {
		return schema
	}
	at := root
	for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at, _ = at[step].(map[string]any)
	}
	return at
}

// The zero message shows which members are always present.
func TestSchemaRequiresWhatTheEncoderNeverOmits(t *testing.T) {
	t.Parallel()
	zero := events.Data{
		Subscription: &events.Subscription{Items: []events.Item{{}}, Discounts: []events.Discount{{}}}, Identity: &events.Identity{},
		Invoice: &events.Invoice{}, CheckoutSession: &events.CheckoutSession{}, Customer: &events.Customer{},
		Discount: &events.CustomerDiscount{}, Product: &events.Product{}, Price: &events.Price{},
		Access: &events.AccessDocument{Products: []events.AccessProduct{{}}},
	}
	encoded, err := json.Marshal(events.Message{Data: zero})
	if err != nil {
		t.Fatal(err)
	}
	message, root := decode(t, encoded), readSchema(t)
	data := message["data"].(map[string]any)
	subscription := data["subscription"].(map[string]any)
	checkRequired(t, root, subscription["items"].([]any)[0], "item")
	checkRequired(t, root, subscription["discounts"].([]any)[0], "discount")
	document := data["access"].(map[string]any)
	checkRequired(t, root, document["products"].([]any)[0], "access_product")
	delete(document, "products")
	delete(subscription, "items")
	delete(subscription, "discounts")
	for name, definition := range map[string]string{
		"subscription": "subscription", "identity": "identity", "invoice": "invoice", "checkout_session": "checkout_session",
		"customer": "customer", "discount": "customer_discount", "product": "product", "price": "price", "access": "access_document",
	} {
		checkRequired(t, root, data[name], definition)
		delete(data, name)
	}
	checkRequired(t, root, data, "data")
	checkRequired(t, root, message, "")
}

func checkRequired(t *testing.T, root map[string]any, object any, definition string) {
	t.Helper()
	schema := root
	if definition != "" {
		schema = resolve(root, map[string]any{"$ref": "#/$defs/" + definition})
	}
	var required []string
	list, _ := schema["required"].([]any)
	for _, name := range list {
		required = append(required, name.(string))
	}
	slices.Sort(required)
	if diff := cmp.Diff(required, slices.Sorted(maps.Keys(object.(map[string]any)))); diff != "" {
		t.Errorf("%q (-required +always encoded):\n%s", definition, diff)
	}
}

// mutation is a message that the contract does not allow.
type mutation struct {
	name    string
	message map[string]any
}

func TestWhatIsNotOfTheContractIsNotValid(t *testing.T) {
	t.Parallel()
	schema, model, seen := compile(t, readSchema(t)), readModel(t), 0
	for name, raw := range examples(t) {
		for _, m := range mutations(t, model, raw) {
			seen++
			if err := schema.Validate(m.message); err == nil {
				t.Errorf("%s: valid with %s", name, m.name)
			}
		}
	}
	if seen < 500 {
		t.Errorf("tried only %d mutations", seen)
	}
}

// mutations replaces every value in turn by a wrong one, and leaves out each required
// field.
func mutations(t *testing.T, message *group, raw []byte) []mutation {
	t.Helper()
	var list []mutation
	walk(value{group: message}, decode(t, raw), nil, func(f field, path []string) {
		alter := func(name string, change func(object map[string]any)) {
			copied := decode(t, raw)
			change(at(copied, path))
			list = append(list, mutation{strings.Join(append(path, f.name), ".") + " " + name, copied})
		}
		if f.required {
			alter("left out", func(object map[string]any) { delete(object, f.name) })
		}
		for _, wrong := range wrongs(f.value) {
			alter(fmt.Sprintf("= %v", wrong), func(object map[string]any) { object[f.name] = wrong })
		}
	})
	return list
}

// walk visits each field of a message, with the path of its object.
func walk(v value, document any, path []string, visit func(field, []string)) {
	switch document := document.(type) {
	case map[string]any:
		if v.group == nil {
			return
		}
		for _, f := range v.group.fields {
			if inner, ok := document[f.name]; ok {
				visit(f, path)
				walk(f.value, inner, append(slices.Clip(path), f.name), visit)
			}
		}
	case []any:
		for i, element := range document {
			walk(*v.elements, element, append(slices.Clip(path), fmt.Sprint(i)), visit)
		}
	}
}

func at(document any, path []string) map[string]any {
	for _, step := range path {
		switch container := document.(type) {
		case map[string]any:
			document = container[step]
		case []any:
			var i int
			_, _ = fmt.Sscan(step, &i)
			document = container[i]
		}
	}
	return document.(map[string]any)
}

// wrongs are values that a field cannot have. Within previous, null is allowed.
func wrongs(v value) []any {
	switch {
	case v.group != nil:
		return []any{nil, "text", []any{}}
	case v.kind == "array":
		return []any{map[string]any{}, "text", []any{true}}
	case v.kind == "object" && v.elements != nil:
		return []any{[]any{}, map[string]any{"k": json.Number("1")}}
	case v.kind == "object":
		return []any{[]any{}, "text"}
	case v.kind == "integer":
		return []any{"1", json.Number("1.5"), true}
	case v.kind == "boolean":
		return []any{"true", json.Number("1")}
	case v.format != "":
		return []any{"yesterday", json.Number("1796202941")}
	case v.closed:
		return []any{"other", ""}
	}
	return []any{json.Number("1"), true, []any{}}
}

func TestWhatMayComeLaterIsValid(t *testing.T) {
	t.Parallel()
	schema := compile(t, readSchema(t))
	for name, raw := range examples(t) {
		later := decode(t, raw)
		addEverywhere(later)
		data := later["data"].(map[string]any)
		data["origin"] = "later"
		if sub, ok := data["subscription"].(map[string]any); ok {
			sub["status"] = "later"
		}
		if changes, ok := data["changes"].([]any); ok {
			data["changes"] = append(changes, "later")
		}
		if err := schema.Validate(later); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// addEverywhere adds an unknown member to each object, except to objects with free names.
func addEverywhere(document any) {
	switch document := document.(type) {
	case map[string]any:
		for name, member := range document {
			if !strings.HasSuffix(name, "metadata") {
				addEverywhere(member)
			}
		}
		document["later"] = map[string]any{"any": []any{nil}}
	case []any:
		for _, element := range document {
			addEverywhere(element)
		}
	}
}

// rules depend on several fields. Each case breaks one.
var rules = map[string]struct {
	example string
	alter   func(message, data map[string]any)
	refused bool // by Decode, too
}{
	"subscription missing":           {"subscription.updated", func(_, data map[string]any) { delete(data, "subscription") }, true},
	"id of the subscription empty":   {"subscription.updated", func(_, data map[string]any) { data["subscription"].(map[string]any)["id"] = "" }, true},
	"subscription elsewhere":         {"stripe.invoice.paid", func(_, data map[string]any) { data["subscription"] = map[string]any{"id": "sub_1", "livemode": true} }, false},
	"previous on another":            {"subscription.created", func(_, data map[string]any) { data["previous"] = map[string]any{"status": nil} }, false},
	"previous empty":                 {"subscription.updated", func(_, data map[string]any) { data["previous"] = map[string]any{} }, false},
	"changes on another":             {"stripe.invoice.paid", func(_, data map[string]any) { data["changes"] = []any{"other"} }, false},
	"changes on a snapshot":          {"subscription.snapshot", func(_, data map[string]any) { data["changes"] = []any{"other"} }, false},
	"because of a message elsewhere": {"subscription.updated", func(_, data map[string]any) { data["because_of"] = "evt_1" }, false},
	"snapshot without object":        {"subscription.snapshot", func(_, data map[string]any) { delete(data, "object") }, false},
	"snapshot without time":          {"subscription.snapshot", func(_, data map[string]any) { delete(data, "read_at") }, false},
	"snapshot without reason":        {"subscription.snapshot", func(_, data map[string]any) { delete(data, "reason") }, false},
	"snapshot with an event":         {"subscription.snapshot", func(_, data map[string]any) { data["event"] = map[string]any{} }, false},
	"snapshot of no entitlements":    {"stripe.entitlements.active_entitlement_summary.snapshot", func(_, data map[string]any) { delete(data, "entitlements") }, false},
	"entitlements without object":    {"stripe.entitlements.active_entitlement_summary.snapshot", func(_, data map[string]any) { delete(data, "object") }, false},
	"entitlements of no event":       {"stripe.entitlements.active_entitlement_summary.snapshot", func(_, data map[string]any) { delete(data, "because_of") }, false},
	"ignored with entitlements":      {"stripe.entitlements.active_entitlement_summary.updated", func(_, data map[string]any) { data["ignored"] = "account" }, false},
	"link without identity":          {"billbus.user.linked", func(_, data map[string]any) { delete(data, "identity") }, false},
	"access missing":                 {"access.granted", func(_, data map[string]any) { delete(data, "access") }, true},
	"access elsewhere": {"stripe.invoice.paid", func(_, data map[string]any) {
		data["access"] = map[string]any{"access": "none", "explanation": "", "revision": json.Number("1")}
	}, false},
	"access with an event":           {"access.granted", func(_, data map[string]any) { data["event"] = map[string]any{} }, false},
	"ignored with an invoice":        {"stripe.invoice.paid", func(_, data map[string]any) { data["ignored"] = "account" }, false},
	"source of another mode":         {"subscription.updated", func(message, _ map[string]any) { message["livemode"] = false }, true},
	"source of an account":           {"subscription.updated", func(message, _ map[string]any) { message["source"] = "/stripe/acct_1/live" }, true},
	"source of something else":       {"subscription.updated", func(message, _ map[string]any) { message["source"] = "/other" }, true},
	"type that is no subject":        {"stripe.invoice.paid", func(message, _ map[string]any) { message["type"] = "stripe.*" }, true},
	"type with an empty word":        {"stripe.invoice.paid", func(message, _ map[string]any) { message["type"] = "stripe..paid" }, true},
	"type too long":                  {"stripe.invoice.paid", func(message, _ map[string]any) { message["type"] = "stripe." + strings.Repeat("a", 249) }, true},
	"another version of CloudEvents": {"stripe.invoice.paid", func(message, _ map[string]any) { message["specversion"] = "0.3" }, true},
	"id empty":                       {"stripe.invoice.paid", func(message, _ map[string]any) { message["id"] = "" }, true},
	"no time":                        {"stripe.invoice.paid", func(message, _ map[string]any) { message["time"] = "0001-01-01T00:00:00Z" }, true},
	"newer schema":                   {"stripe.invoice.paid", func(_, data map[string]any) { data["schema_version"] = json.Number("2") }, true},
	"no schema":                      {"stripe.invoice.paid", func(_, data map[string]any) { data["schema_version"] = json.Number("0") }, true},
	"no origin":                      {"stripe.invoice.paid", func(_, data map[string]any) { data["origin"] = "" }, true},
	"no hash":                        {"stripe.invoice.paid", func(_, data map[string]any) { data["event_sha256"] = "ABC" }, false},
}

func TestBrokenRulesAreNotValid(t *testing.T) {
	t.Parallel()
	schema, files := compile(t, readSchema(t)), examples(t)
	for name, tt := range rules {
		message := decode(t, files[tt.example])
		tt.alter(message, message["data"].(map[string]any))
		if err := schema.Validate(message); err == nil {
			t.Errorf("%s: valid", name)
		}
		encoded, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := events.Decode(encoded); (err != nil) != tt.refused {
			t.Errorf("%s: Decode says %v", name, err)
		}
	}
}
