package events_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

// TestPreviousOfEachField clears each field of a full subscription and sets each field of
// an empty one. Previous has to name that field alone, survive JSON, and restore the state
// before.
func TestPreviousOfEachField(t *testing.T) {
	t.Parallel()
	full := *fullMessage().Data.Subscription
	for i := range reflect.TypeFor[events.Subscription]().NumField() {
		tag := reflect.TypeFor[events.Subscription]().Field(i).Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		without := full
		reflect.ValueOf(&without).Elem().Field(i).SetZero()
		for _, pair := range [][2]events.Subscription{{full, without}, {without, full}} {
			before, after := pair[0], pair[1]
			p := events.Diff(&before, &after)
			if p == nil || len(p.Fields) != 1 || p.Fields[0] != name || !p.Has(name) || p.Has("x"+name) {
				t.Errorf("%s: got previous %+v, want that field", name, p)
				continue
			}
			if diff := cmp.Diff(&before, p.Before(&after)); diff != "" {
				t.Errorf("%s: Before (-want +got):\n%s", name, diff)
			}
			if diff := cmp.Diff(p, overJSON(t, p)); diff != "" {
				t.Errorf("%s: over JSON (-want +got):\n%s", name, diff)
			}
		}
	}
}

func overJSON(t *testing.T, p *events.Previous) *events.Previous {
	t.Helper()
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	back := new(events.Previous)
	if err := json.Unmarshal(raw, back); err != nil {
		t.Fatal(err)
	}
	return back
}

func TestDiffOfEqualSubscriptions(t *testing.T) {
	t.Parallel()
	a, b := *fullMessage().Data.Subscription, *fullMessage().Data.Subscription
	a.Discounts, b.Metadata = append([]events.Discount{}, a.Discounts...), map[string]string{"": "empty key", "a.b$c": "", "user_id": "user 7"}
	if p := events.Diff(&a, &b); p != nil {
		t.Errorf("got %+v, want nothing", p)
	}
	empty := events.Subscription{ID: "sub_1", Metadata: map[string]string{}, Items: []events.Item{}}
	if p := events.Diff(&empty, &events.Subscription{ID: "sub_1"}); p != nil {
		t.Errorf("empty and absent: got %+v, want nothing", p)
	}
	if got := (*events.Previous)(nil).Before(&a); !reflect.DeepEqual(*got, a) {
		t.Errorf("before of no previous: got %+v, want the same", got)
	}
}

// TestPreviousIsEscapedAsItsWriterWants writes it with the standard library.
func TestPreviousIsEscapedAsItsWriterWants(t *testing.T) {
	t.Parallel()
	p := &events.Previous{Fields: []string{"description"}, Values: events.Subscription{Description: "<"}}
	for escaped, want := range map[bool]string{false: `{"description":"<"}`, true: `{"description":"\u003c"}`} {
		var out strings.Builder
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(escaped)
		if err := enc.Encode(p); err != nil || strings.TrimSpace(out.String()) != want {
			t.Errorf("got %s, %v, want %s", out.String(), err, want)
		}
	}
}

func TestPreviousOfLaterReleases(t *testing.T) {
	t.Parallel()
	var p events.Previous
	if err := json.Unmarshal([]byte(`{"later":{"x":1},"cancel_at":null,"status":"active"}`), &p); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(events.Previous{Fields: []string{"status", "cancel_at"}, Values: events.Subscription{Status: "active"}}, p); diff != "" {
		t.Error(diff)
	}
	for _, raw := range []string{`[]`, `"x"`, `{"status":1}`} {
		if err := json.Unmarshal([]byte(raw), new(events.Previous)); err == nil {
			t.Errorf("%s: got no error", raw)
		}
	}
}

// Consumers can compute the changes between two states.
func TestChangesBetweenTwoStates(t *testing.T) {
	t.Parallel()
	item := func(id, price string, quantity int64) events.Item {
		return events.Item{ID: id, PriceID: price, Quantity: &quantity}
	}
	for name, tt := range map[string]struct {
		before, after []events.Item
		want          []events.Change
	}{
		"items in another order":         {[]events.Item{item("a", "p", 1), item("b", "q", 2)}, []events.Item{item("b", "q", 2), item("a", "p", 1)}, []events.Change{"other"}},
		"paired by id, not by place":     {[]events.Item{item("a", "p", 1), item("b", "q", 2)}, []events.Item{item("b", "q", 3), item("a", "p", 1)}, []events.Change{"quantity_changed"}},
		"one replaced by another":        {[]events.Item{item("a", "p", 1), item("b", "q", 2)}, []events.Item{item("c", "r", 2), item("a", "p", 1)}, []events.Change{"items_changed"}},
		"one left over":                  {[]events.Item{item("a", "p", 1), item("b", "q", 2)}, []events.Item{item("b", "q", 2)}, []events.Change{"items_changed"}},
		"two for one":                    {[]events.Item{item("a", "p", 1)}, []events.Item{item("b", "q", 2), item("c", "r", 2)}, []events.Change{"plan_changed", "items_changed"}},
		"without ids":                    {[]events.Item{item("", "p", 1)}, []events.Item{item("", "q", 1)}, []events.Change{"plan_changed"}},
		"several with one id, as before": {[]events.Item{item("a", "p", 1), item("a", "q", 1)}, []events.Item{item("a", "p", 1), item("a", "q", 1)}, []events.Change{"other"}},
	} {
		b, a := events.Subscription{Status: "active", Items: tt.before}, events.Subscription{Status: "active", Items: tt.after}
		if diff := cmp.Diff(tt.want, events.Changes("customer.subscription.updated", &b, &a)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
