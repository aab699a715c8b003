package normalize_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/internal/normalize"
)

func TestListsThatAreCutOffCarryAWarning(t *testing.T) {
	t.Parallel()
	const three = `{"object":"list","data":[{},{},{}],"has_more":true}`
	warning := func(path string) []string { return []string{path + ": cut off after 3 elements (has_more)"} }
	for name, tt := range map[string]struct {
		kind, object string
		want         []string
	}{
		"entitlements":           {"entitlements.active_entitlement_summary.updated", `{"customer":"cus_1","entitlements":` + three + `}`, warning("data.object.entitlements")},
		"lines of an invoice":    {"invoice.paid", `{"id":"in_1","object":"invoice","lines":` + three + `}`, warning("data.object.lines")},
		"inside of an element":   {"x.y", `{"a":[{"b":` + three + `}]}`, warning("data.object.a[0].b")},
		"the object itself":      {"x.y", three, warning("data.object")},
		"list in a subscription": {"customer.subscription.updated", `{"id":"s","latest_invoice":{"lines":` + three + `}}`, warning("data.object.latest_invoice.lines")},
		"items":                  {"customer.subscription.updated", `{"id":"s","items":{"object":"list","data":[],"has_more":true}}`, nil},
		"whole list":             {"invoice.paid", `{"id":"in_1","lines":{"object":"list","data":[],"has_more":false}}`, nil},
		"no list":                {"x.y", `{"a":{"object":"page","has_more":true},"b":{"has_more":true}}`, nil},
		"odd types":              {"x.y", `{"a":{"object":"list","has_more":"true"},"b":{"object":7,"has_more":true}}`, nil},
		"without data":           {"x.y", `{"a":{"object":"list","has_more":true}}`, []string{"data.object.a: cut off after 0 elements (has_more)"}},
	} {
		if diff := cmp.Diff(tt.want, message(t, event(tt.kind, tt.object)).Data.Warnings); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", name, diff)
		}
	}
}

func TestListsOfAnEventThatIsNotAdmittedAreNotRead(t *testing.T) {
	t.Parallel()
	o := options()
	o.Livemode = normalize.Live
	m, err := normalizer(t, o).Event([]byte(event("x.y", `{"a":{"object":"list","has_more":true}}`)), receipt())
	if err != nil || m.Data.Ignored == "" || m.Data.Warnings != nil {
		t.Errorf("got %+v, %v, want an ignored event without warnings", m.Data, err)
	}
}

func TestManyListsThatAreCutOff(t *testing.T) {
	t.Parallel()
	var lists strings.Builder
	for i := range 50_000 {
		fmt.Fprintf(&lists, `"a%d":{"object":"list","has_more":true},`, i)
	}
	warnings := message(t, event("x.y", "{"+lists.String()+`"z":1}`)).Data.Warnings
	if got, want := warnings[len(warnings)-1], "and 49901 more"; len(warnings) != 100 || got != want {
		t.Errorf("got %d warnings, the last one %q, want 100 and %q", len(warnings), got, want)
	}
}
