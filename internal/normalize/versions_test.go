package normalize_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

// versionsDoc has the same table as lacks, for readers.
const versionsDoc = "../../docs/api-versions.md"

// lack lists what one rendering of a subscription does not have, and therefore
// the message does not have either. All other fields must be the same.
type lack struct {
	// rendering is the name of the files: an API version, with a suffix for a
	// special form.
	rendering string
	fields    []string
	// instead is what a consumer finds instead.
	instead string
}

// lacks lists how renderings differ, oldest first.
func lacks() []lack {
	const onlyIDs = "only the discount's `id`: this version removed `discount`, and events list ids"
	return []lack{
		{"2015-10-01-no-items", noItemsFields(), "one item without `id`, made from the subscription's plan and quantity; its period is that of the subscription"},
		{"2015-10-01", nil, ""},
		{"2020-08-27", nil, ""},
		{"2023-10-16", nil, ""},
		{"2024-06-20", nil, ""},
		{"2025-03-31.basil", discountFields(), onlyIDs},
		{"2025-03-31.basil-expanded", nil, ""},
		{"2025-09-30.clover", discountFields(), "the same"},
		{"2025-09-30.clover-expanded", couponFields(), "`coupon_id`: since this version, the coupon is a reference"},
		{"2026-07-29.dahlia", discountFields(), "the same as in `2025-03-31.basil`"},
		{"2026-07-29.dahlia-expanded", nil, ""},
	}
}

// everywhere are the renderings that every story has.
func everywhere() []string {
	return []string{
		"2015-10-01", "2020-08-27", "2023-10-16", "2024-06-20",
		"2025-03-31.basil", "2025-09-30.clover", "2026-07-29.dahlia",
	}
}

func discountFields() []string {
	return append([]string{
		"discounts[].coupon_id", "discounts[].promotion_code_id", "discounts[].start", "discounts[].end",
	}, couponFields()...)
}

func couponFields() []string {
	return []string{"discounts[].percent_off", "discounts[].amount_off", "discounts[].currency"}
}

func noItemsFields() []string {
	return []string{
		"collection_method", "created", "start_date", "billing_cycle_anchor", "billing_mode", "trial_end_behavior",
		"cancellation_details", "default_payment_method_id", "default_source_id", "latest_invoice_id", "schedule_id",
		"invoice_settings", "description", "discounts[].id", "discounts[].promotion_code_id", "items[].id", "items[].product_id",
		"items[].lookup_key", "items[].nickname", "items[].unit_amount_decimal", "items[].billing_scheme",
		"items[].usage_type", "items[].tax_behavior", "items[].created", "items[].current_period_start",
		"items[].current_period_end",
	}
}

// TestVersions compares every rendering of a story with the story's subscription,
// without the fields that the rendering lacks. A field that the table lists but
// the rendering has is an error too.
func TestVersions(t *testing.T) {
	t.Parallel()
	eachRendering(t, func(t *testing.T, truth story, l lack, got events.Message) {
		want := subscriptionOf(t, without(t, truth.Subscription, l.fields))
		if diff := cmp.Diff(want, got.Data.Subscription); diff != "" {
			t.Fatalf("subscription differs (-want +got):\n%s", diff)
		}
		if w, g := encode(t, want), encode(t, got.Data.Subscription); w != g {
			t.Errorf("got bytes %s\nwant %s", g, w)
		}
		if len(got.Data.Warnings) > 0 {
			t.Errorf("got warnings %q, want none", got.Data.Warnings)
		}
		roundTrip(t, got)
	})
}

// TestVersionsPrevious does the same for the previous values, which are in
// different places in nearly every version.
func TestVersionsPrevious(t *testing.T) {
	t.Parallel()
	eachRendering(t, func(t *testing.T, truth story, l lack, got events.Message) {
		if diff := cmp.Diff(truth.Changes, got.Data.Changes); diff != "" {
			t.Errorf("changes differ (-want +got):\n%s", diff)
		}
		if w, g := encode(t, previousOf(t, truth, l)), encode(t, got.Data.Previous); w != g {
			t.Errorf("got previous %s\nwant %s", g, w)
		}
	})
}

// TestVersionsLacksOccur fails for a field in the table that no story has, because
// nothing then tests it.
func TestVersionsLacksOccur(t *testing.T) {
	t.Parallel()
	for _, l := range lacks() {
		for _, field := range l.fields {
			if !slices.ContainsFunc(stories(t), func(s story) bool {
				return slices.Contains(s.renderings, l.rendering) && remove(decode(t, s.Subscription), field)
			}) {
				t.Errorf("%s: no story has %s", l.rendering, field)
			}
		}
	}
}

func TestVersionsDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(versionsDoc)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(doc)) {
		if strings.HasPrefix(line, "| `20") {
			rows = append(rows, strings.TrimSpace(line))
		}
	}
	var want []string
	for _, l := range lacks() {
		want = append(want, row(l))
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("the table in %s differs (-want +got):\n%s", versionsDoc, diff)
	}
}

func row(l lack) string {
	if len(l.fields) == 0 {
		return "| `" + l.rendering + "` | nothing | |"
	}
	return "| `" + l.rendering + "` | `" + strings.Join(l.fields, "`, `") + "` | " + l.instead + " |"
}

// story is one event, in several renderings, and its subscription.
type story struct {
	name         string
	renderings   []string
	Subscription json.RawMessage `json:"subscription"`
	Changes      []events.Change `json:"changes"`
	// Previous are the previous values; nil if the event is not an update.
	Previous json.RawMessage `json:"previous"`
}

func stories(t *testing.T) []story {
	t.Helper()
	paths, err := filepath.Glob("testdata/versions/*/want.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	var list []story
	for _, path := range paths {
		s := story{name: filepath.Base(filepath.Dir(path))}
		strictly(t, read(t, path), &s)
		s.renderings = renderings(t, filepath.Dir(path))
		list = append(list, s)
	}
	return list
}

func renderings(t *testing.T, folder string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(folder, "20*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		names = append(names, strings.TrimSuffix(filepath.Base(path), ".json"))
	}
	return names
}

func eachRendering(t *testing.T, check func(*testing.T, story, lack, events.Message)) {
	t.Helper()
	table := make(map[string]lack)
	for _, l := range lacks() {
		table[l.rendering] = l
	}
	for _, s := range stories(t) {
		for _, name := range slices.Concat(everywhere(), s.renderings) {
			if _, ok := table[name]; !ok || !slices.Contains(s.renderings, name) {
				t.Errorf("%s: %s has no file or is not in the table", s.name, name)
			}
		}
		for _, name := range s.renderings {
			t.Run(s.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				raw := read(t, filepath.Join("testdata/versions", s.name, name+".json"))
				check(t, s, table[name], message(t, string(raw)))
			})
		}
	}
}

// previousOf returns the previous values that a rendering can show, without the
// fields that it lacks.
func previousOf(t *testing.T, truth story, l lack) *events.Previous {
	t.Helper()
	if truth.Previous == nil {
		return nil
	}
	before := decode(t, truth.Subscription)
	maps.Copy(before, decode(t, truth.Previous))
	b := subscriptionOf(t, without(t, []byte(encode(t, before)), l.fields))
	return events.Diff(b, subscriptionOf(t, without(t, truth.Subscription, l.fields)))
}

func subscriptionOf(t *testing.T, raw []byte) *events.Subscription {
	t.Helper()
	var s events.Subscription
	strictly(t, raw, &s)
	return &s
}

func without(t *testing.T, raw []byte, fields []string) []byte {
	t.Helper()
	object := decode(t, raw)
	for _, field := range fields {
		remove(object, field)
	}
	return []byte(encode(t, object))
}

// remove deletes the field at a path like items[].id, and reports whether it was
// there.
func remove(object map[string]any, path string) bool {
	name, rest, nested := strings.Cut(path, "[].")
	if !nested {
		_, there := object[name]
		delete(object, name)
		return there
	}
	removed := false
	elements, _ := object[name].([]any)
	for _, each := range elements {
		removed = remove(each.(map[string]any), rest) || removed
	}
	return removed
}

func decode(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	var object map[string]any
	strictly(t, raw, &object)
	return object
}

func strictly(t *testing.T, raw []byte, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		t.Fatal(err)
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
