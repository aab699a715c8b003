package stripesim_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/stripesim"
)

// TestKindsHaveTheirSigns looks in the histories of each kind for what makes them of that
// kind.
func TestKindsHaveTheirSigns(t *testing.T) {
	t.Parallel()
	signs := map[stripesim.Kind]func([]stripesim.Delivery, []ordering.Fact) bool{
		stripesim.Created:         func(d []stripesim.Delivery, f []ordering.Fact) bool { return d[0].Created.After(f[1].Moment) },
		stripesim.Toggle:          func(_ []stripesim.Delivery, f []ordering.Fact) bool { return returns(f) && !circular(f) },
		stripesim.Circle:          func(_ []stripesim.Delivery, f []ordering.Fact) bool { return circular(f) },
		stripesim.OpenCircle:      func(_ []stripesim.Delivery, f []ordering.Fact) bool { return f[0].Before == f[len(f)-1].After },
		stripesim.Beginning:       func(_ []stripesim.Delivery, f []ordering.Fact) bool { return !f[0].First },
		stripesim.Marker:          func(_ []stripesim.Delivery, f []ordering.Fact) bool { return hasMarker(f) },
		stripesim.Ended:           func(_ []stripesim.Delivery, f []ordering.Fact) bool { return f[len(f)-1].Terminal && !f[0].Terminal },
		stripesim.Mixed:           func(d []stripesim.Delivery, _ []ordering.Fact) bool { return versions(d) > 1 },
		stripesim.Renderings:      func(d []stripesim.Delivery, f []ordering.Fact) bool { return len(d) == 2*len(f) && versions(d) > 1 },
		stripesim.Sparse:          func(d []stripesim.Delivery, _ []ordering.Fact) bool { return d[0].APIVersion < "2017-05-25" },
		stripesim.Doubled:         func(_ []stripesim.Delivery, f []ordering.Fact) bool { return doubled(f, true) },
		stripesim.DoubledSilently: func(_ []stripesim.Delivery, f []ordering.Fact) bool { return doubled(f, false) },
		stripesim.LostMarker:      func(_ []stripesim.Delivery, f []ordering.Fact) bool { return gap(f) },
		stripesim.LostSnapshot: func(d []stripesim.Delivery, f []ordering.Fact) bool {
			return gap(f) && d[len(d)-1].Type == stripesim.Snapshot
		},
		stripesim.Announced:     func(_ []stripesim.Delivery, f []ordering.Fact) bool { return hasMarker(f) },
		stripesim.Late:          func(_ []stripesim.Delivery, f []ordering.Fact) bool { return stampsGoBack(f) },
		stripesim.TwoVersions:   func(d []stripesim.Delivery, _ []ordering.Fact) bool { return versions(d) == 2 },
		stripesim.StaleSnapshot: func(d []stripesim.Delivery, _ []ordering.Fact) bool { return slices.ContainsFunc(d, isSnapshot) },
		stripesim.Truncated: func(d []stripesim.Delivery, _ []ordering.Fact) bool {
			return strings.Contains(string(d[0].Body), `"has_more": true`) && d[len(d)-1].Because == d[len(d)-2].ID
		},
		stripesim.Lost: func(_ []stripesim.Delivery, f []ordering.Fact) bool { return gap(f) },
	}
	seen, generated := map[stripesim.Kind]int{}, map[stripesim.Kind]int{}
	for _, s := range subscriptions(t, ofEachKind(20)) {
		generated[s.kind]++
		if sign := signs[s.kind]; sign == nil || sign(s.deliveries, s.facts) {
			seen[s.kind]++
		}
	}
	for _, kind := range stripesim.Kinds() {
		if generated[kind] != 20 || seen[kind] < 8 {
			t.Errorf("%s: got %d histories, %d of them with its sign; %s", kind, generated[kind], seen[kind], repeat())
		}
	}
}

// returns reports whether an earlier event has the last state.
func returns(f []ordering.Fact) bool {
	last := f[len(f)-1]
	return slices.ContainsFunc(f[:len(f)-1], func(o ordering.Fact) bool { return o.After == last.After })
}

// circular reports whether the last second ends in the state in which it began.
func circular(f []ordering.Fact) bool {
	last := f[len(f)-1]
	i := slices.IndexFunc(f, func(o ordering.Fact) bool { return o.Moment.Equal(last.Moment) })
	return f[i].Before == last.After
}

func isSnapshot(d stripesim.Delivery) bool { return d.Type == stripesim.Snapshot }

// stampsGoBack reports whether an event is stamped later than the next change.
func stampsGoBack(f []ordering.Fact) bool {
	return slices.ContainsFunc(f[len(f)-2:], func(o ordering.Fact) bool { return o.Moment.Before(f[len(f)-3].Moment) }) || f[len(f)-1].Moment.Before(f[len(f)-2].Moment)
}

func hasMarker(f []ordering.Fact) bool {
	last := f[len(f)-1].Moment
	return slices.ContainsFunc(f, func(o ordering.Fact) bool { return last.Sub(o.Moment) < 2e9 && o.Before == ordering.Digest{} })
}

func versions(deliveries []stripesim.Delivery) int {
	seen := map[string]bool{}
	for _, d := range deliveries {
		seen[d.APIVersion] = true
	}
	return len(seen)
}

func doubled(f []ordering.Fact, asked bool) bool {
	for i := range f[1:] {
		a, b := f[i], f[i+1]
		if a.EventID != b.EventID && a.Before == b.Before && a.After == b.After && a.Request == b.Request && (a.Request != "") == asked {
			return true
		}
	}
	return false
}

// gap reports whether an event does not begin in the state in which the one before ended.
func gap(f []ordering.Fact) bool {
	for i := range f[1:] {
		begins := f[i+1].Before
		if begins == (ordering.Digest{}) {
			begins = f[i+1].After
		}
		if begins != f[i].After {
			return true
		}
	}
	return false
}

func TestKindsAreAFunctionOfTheSeed(t *testing.T) {
	t.Parallel()
	cfg := stripesim.Config{Seed: 7, Subscriptions: 40, Ties: 1, Kinds: stripesim.Kinds()}
	if !reflect.DeepEqual(stripesim.Generate(cfg), stripesim.Generate(cfg)) {
		t.Error("got two histories for one seed")
	}
	defer func() {
		if recover() == nil {
			t.Error("want a panic for an unknown kind")
		}
	}()
	stripesim.Generate(stripesim.Config{Kinds: []stripesim.Kind{"none"}})
}
