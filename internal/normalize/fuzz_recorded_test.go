package normalize_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/corpus"
)

// FuzzRecorded changes values inside recorded events, as hostile input or later
// API versions could, but not the fields that make them events. They must be
// accepted. The input selects the event and the changes.
func FuzzRecorded(f *testing.F) {
	files := corpus.Load(f)
	for i := range files {
		f.Add(uint16(i), uint64(i), uint8(1))
		f.Add(uint16(i), uint64(i)+1000, uint8(12))
	}
	n := normalizer(f, options())
	f.Fuzz(func(t *testing.T, file uint16, seed uint64, alterations uint8) {
		e := decoded(t, string(files[int(file)%len(files)].Raw))
		data, ok := e["data"].(map[string]any)
		if !ok {
			return // a thin event has no object
		}
		a := alterer{rand.New(rand.NewPCG(seed, 0))}
		for range 1 + alterations%16 {
			data["object"] = a.alter(data["object"], 0)
			data["previous_attributes"] = a.alter(data["previous_attributes"], 0)
		}
		raw, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		m, err := n.Event(raw, receipt())
		if err != nil {
			t.Fatalf("Event: %v", err)
		}
		checkEvent(t, n, raw)
		if m.Data.Subscription != nil {
			checkZeroDates(t, m.Data)
			checkAmounts(t, data["object"], m.Data.Subscription)
			checkPrevious(t, m.Data)
		}
	})
}

// alterer replaces, repeats and removes values inside a value.
type alterer struct {
	rand *rand.Rand
}

func (a alterer) alter(v any, depth int) any {
	if depth > 0 && a.rand.IntN(4) == 0 {
		return a.odd(v)
	}
	switch x := v.(type) {
	case map[string]any:
		return a.object(x, depth)
	case []any:
		if len(x) > 0 {
			i := a.rand.IntN(len(x))
			x[i] = a.alter(x[i], depth+1)
			return append(x, x[:a.rand.IntN(2)]...)
		}
	}
	return a.odd(v)
}

func (a alterer) object(x map[string]any, depth int) any {
	names := make([]string, 0, len(x))
	for name := range x {
		names = append(names, name)
	}
	if len(names) == 0 {
		return a.odd(x)
	}
	slices.Sort(names)
	name := names[a.rand.IntN(len(names))]
	switch a.rand.IntN(8) {
	case 0:
		delete(x, name)
	case 1: // another field's value
		x[name] = x[names[a.rand.IntN(len(names))]]
	case 2: // expanded
		x[name] = map[string]any{"id": x[name], "object": name, "created": -1}
	default:
		x[name] = a.alter(x[name], depth+1)
	}
	return x
}

func (a alterer) odd(v any) any {
	values := []any{
		nil, true, false, "", "x", "sub_>.*", "1700000000", "0", "-1", 0, -1, 1.5, 1e300, json.Number("1e400"), json.Number("-0"),
		json.Number("99999999999999999999"), 253402300800, 4102444800, "\x00\r\n", strings.Repeat("A", 5000), "[redacted]",
		[]any{},
		map[string]any{},
		[]any{v},
		[]any{nil, v, v},
		map[string]any{"data": v},
		map[string]any{"": v, ".": v, "$": v},
		map[string]any{"data": []any{v, map[string]any{"id": v}}, "has_more": true},
	}
	return values[a.rand.IntN(len(values))]
}

// checkZeroDates finds dates that were made from zero values. Other dates in 1970
// can come from the input.
func checkZeroDates(t *testing.T, data events.Data) {
	t.Helper()
	data.Event = nil
	encoded, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, date := range []string{`"0001-`, `"1969-`, `"1970-01-01T00:00:00Z"`} {
		if strings.Contains(string(encoded), date) {
			t.Fatalf("got a date that begins with %s: %s", date, encoded)
		}
	}
}

// checkAmounts finds amounts that were lost, with another decoder.
func checkAmounts(t *testing.T, object any, got *events.Subscription) {
	t.Helper()
	o, _ := object.(map[string]any)
	page, _ := o["items"].(map[string]any)
	list, _ := page["data"].([]any)
	i := 0
	for _, each := range list {
		item, ok := each.(map[string]any)
		if !ok {
			continue
		}
		price, _ := item["price"].(map[string]any)
		if want, ok := price["unit_amount"].(float64); ok && want == float64(int64(want)) && want < 1<<53 && want > -1<<53 {
			if amount := got.Items[i].UnitAmount; amount == nil || float64(*amount) != want {
				t.Fatalf("item %d: got amount %v, want %v", i, amount, want)
			}
		}
		i++
	}
}

// checkPrevious checks that previous is the difference that it describes.
func checkPrevious(t *testing.T, data events.Data) {
	t.Helper()
	before := data.Previous.Before(data.Subscription)
	again := events.Diff(before, data.Subscription)
	if (again == nil) != (data.Previous == nil) || again != nil && !slices.Equal(again.Fields, data.Previous.Fields) {
		t.Fatalf("got previous %+v, but %+v from the state before", data.Previous, again)
	}
}
