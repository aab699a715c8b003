package gaps_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/gaps"
	"github.com/billbus/billbus/test/kit"
)

func none(gaps.Gap) bool { return false }

func TestReportKeepsTheLatestGaps(t *testing.T) {
	t.Parallel()
	var open []gaps.Gap
	for n := range 3000 {
		open = append(open, gaps.Gap{Subscription: kit.Key(fmt.Sprint("sub_", n)), Before: "evt_1", Until: kit.At(n), CheckedAt: kit.At(4000)})
	}
	r := gaps.Report{}.Updated(open, none, kit.At(4000))
	if n := len(r.Gaps); n != 1000 || !r.Gaps[0].Until.Equal(kit.At(2999)) || !r.Gaps[999].Until.Equal(kit.At(2000)) {
		t.Errorf("got %d gaps, from %s to %s", n, r.Gaps[0].Until, r.Gaps[n-1].Until)
	}
	if again := r.Updated(open, none, kit.At(4060)); !again.Equal(r) {
		t.Error("the same gaps make another report")
	}
}

// A report that another program has damaged is replaced.
func TestReportThatCannotBeReadIsEmpty(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"", "{", `{"gaps":7}`, `{"gaps":[{"subscription":"x","until":"y"}]}`} {
		if r := gaps.Decode([]byte(value)); len(r.Gaps) != 0 {
			t.Errorf("%q: got %+v", value, r)
		}
	}
	if g := (gaps.Gap{Subscription: "x"}); g.Mode() != "x" || g.Account() != "" {
		t.Errorf("got %q, %q", g.Mode(), g.Account())
	}
}

func TestGapsOfOthersStay(t *testing.T) {
	t.Parallel()
	gap := func(sub string, checked time.Time) gaps.Gap {
		return gaps.Gap{Subscription: kit.Key(sub), Before: "evt_1", Until: kit.At(0), CheckedAt: checked}
	}
	is := func(sub string) func(gaps.Gap) bool {
		return func(g gaps.Gap) bool { return g.Subscription == kit.Key(sub) }
	}
	now := kit.At(3600)
	r := gaps.Report{Gaps: []gaps.Gap{gap("sub_mine", now), gap("sub_other", now), gap("sub_abandoned", kit.At(0))}}
	if got := r.Abandoned(now, none); len(got) != 1 || !is("sub_abandoned")(got[0]) {
		t.Errorf("abandoned: got %+v", got)
	}
	next := r.Updated(nil, is("sub_mine"), now)
	if len(next.Gaps) != 2 || len(next.Updated(nil, none, now.Add(gaps.EventsKept)).Gaps) != 0 {
		t.Errorf("got %+v", next)
	}
}
