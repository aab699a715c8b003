package ordering_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

func TestGaps(t *testing.T) {
	t.Parallel()
	other := func(m events.Message) events.Message { return rendered(m, "2015-10-01", "other") }
	snapshot := func(id string, second int, status string) events.Message {
		m := told(id, "updated", second, status)
		m.Type, m.StripeType = events.SubjectSnapshot, ""
		return m
	}
	cases := map[string]struct {
		told []events.Message
		want []string // after-before
	}{
		"no event":                      {nil, nil},
		"the first known event":         {[]events.Message{changed("evt_1", 1, "active", "past_due")}, nil},
		"a whole life":                  {[]events.Message{told("evt_1", "created", 1, "incomplete"), changed("evt_2", 5, "incomplete", "active"), changed("evt_3", 90, "active", "past_due")}, nil},
		"the end does not say":          {[]events.Message{told("evt_1", "created", 1, "active"), told("evt_2", "deleted", 90, "canceled")}, nil},
		"a change of the end":           {[]events.Message{told("evt_1", "created", 1, "active"), told("evt_2", "deleted", 90, "canceled"), changed("evt_3", 99, "canceled", "canceled")}, nil},
		"created stamped late":          {[]events.Message{told("evt_1", "created", 7, "incomplete"), changed("evt_2", 1, "incomplete", "active"), changed("evt_3", 90, "active", "past_due")}, nil},
		"created late, one is missing":  {[]events.Message{told("evt_1", "created", 7, "incomplete"), changed("evt_2", 1, "incomplete", "active"), changed("evt_3", 90, "unpaid", "past_due")}, []string{"evt_2-evt_3"}},
		"missing after a late created":  {[]events.Message{told("evt_9", "created", 7, "incomplete"), changed("evt_2", 1, "active", "past_due")}, []string{"evt_9-evt_2"}},
		"an event is missing":           {[]events.Message{told("evt_1", "created", 1, "incomplete"), changed("evt_3", 90, "active", "past_due")}, []string{"evt_1-evt_3"}},
		"two are missing":               {[]events.Message{told("evt_1", "created", 1, "incomplete"), changed("evt_3", 90, "active", "past_due"), changed("evt_5", 190, "unpaid", "canceled")}, []string{"evt_1-evt_3", "evt_3-evt_5"}},
		"one is missing after the end":  {[]events.Message{told("evt_1", "deleted", 1, "canceled"), changed("evt_3", 90, "paused", "canceled")}, []string{"evt_1-evt_3"}},
		"seconds in any order":          {[]events.Message{told("evt_9", "created", 1, "incomplete"), changed("evt_2", 1, "past_due", "unpaid"), changed("evt_3", 2, "active", "past_due"), changed("evt_1", 1, "incomplete", "active"), changed("evt_0", 50, "unpaid", "active")}, nil},
		"a toggle":                      {[]events.Message{told("evt_1", "created", 1, "active"), changed("evt_2", 9, "active", "paused"), changed("evt_3", 9, "paused", "active"), changed("evt_4", 10, "active", "paused"), changed("evt_5", 99, "paused", "active")}, nil},
		"a circle that is entered":      {[]events.Message{told("evt_1", "created", 1, "active"), changed("evt_2", 9, "active", "paused"), changed("evt_3", 9, "paused", "active"), changed("evt_4", 99, "active", "unpaid")}, nil},
		"a circle that is not":          {[]events.Message{told("evt_1", "created", 1, "unpaid"), changed("evt_2", 9, "active", "paused"), changed("evt_3", 9, "paused", "active")}, []string{"evt_1-evt_2"}},
		"missing within seconds":        {[]events.Message{told("evt_1", "created", 1, "incomplete"), changed("evt_2", 9, "incomplete", "active"), changed("evt_3", 10, "past_due", "unpaid")}, []string{"evt_2-evt_3"}},
		"either end goes on":            {[]events.Message{told("evt_1", "created", 1, "incomplete"), changed("evt_2", 9, "incomplete", "active"), changed("evt_3", 9, "past_due", "unpaid"), changed("evt_4", 99, "active", "paused")}, []string{"evt_1-evt_3"}},
		"told twice for one request":    {[]events.Message{told("evt_1", "created", 1, "active"), asked(changed("evt_2", 9, "active", "paused"), "key"), asked(changed("evt_3", 14, "active", "paused"), "key")}, nil},
		"told twice in a second":        {[]events.Message{told("evt_1", "created", 1, "active"), changed("evt_2", 9, "active", "paused"), changed("evt_3", 9, "active", "paused")}, nil},
		"a marker of the same state":    {[]events.Message{told("evt_1", "created", 1, "trialing"), told("evt_2", "trial_will_end", 50, "trialing"), changed("evt_3", 99, "trialing", "active")}, nil},
		"a marker first":                {[]events.Message{told("evt_2", "trial_will_end", 50, "trialing"), changed("evt_3", 99, "trialing", "active")}, nil},
		"a marker first, then missing":  {[]events.Message{told("evt_2", "trial_will_end", 50, "trialing"), changed("evt_3", 99, "active", "unpaid")}, []string{"evt_2-evt_3"}},
		"a snapshot of another state":   {[]events.Message{told("evt_1", "created", 1, "trialing"), snapshot("snap_2", 50, "active")}, []string{"evt_1-snap_2"}},
		"a snapshot that is gone on":    {[]events.Message{told("evt_1", "created", 1, "trialing"), snapshot("snap_2", 50, "active"), changed("evt_3", 99, "active", "unpaid")}, []string{"evt_1-snap_2"}},
		"a snapshot between both":       {[]events.Message{told("evt_1", "created", 1, "trialing"), snapshot("snap_2", 50, "active"), changed("evt_3", 99, "unpaid", "paused")}, []string{"evt_1-snap_2", "snap_2-evt_3"}},
		"a snapshot stamped too early":  {[]events.Message{told("evt_1", "created", 1, "trialing"), snapshot("snap_2", 50, "active"), changed("evt_3", 53, "trialing", "active")}, nil},
		"a snapshot, and then the end":  {[]events.Message{told("evt_1", "created", 1, "trialing"), snapshot("snap_2", 50, "active"), told("evt_3", "deleted", 99, "canceled")}, []string{"evt_1-snap_2"}},
		"versions differ in the rest":   {[]events.Message{told("evt_1", "created", 1, "incomplete"), other(changed("evt_2", 90, "incomplete", "active")), changed("evt_3", 190, "active", "past_due")}, nil},
		"versions differ, one is gone":  {[]events.Message{told("evt_1", "created", 1, "incomplete"), other(changed("evt_2", 90, "active", "past_due"))}, []string{"evt_1-evt_2"}},
		"the end and its update at one": {[]events.Message{told("evt_1", "created", 1, "active"), changed("evt_3", 90, "active", "canceled"), told("evt_2", "deleted", 90, "canceled")}, nil},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := facts(t, tt.told...)
			for range 5 {
				var got []string
				for _, gap := range ordering.Gaps(append(all, all...)) {
					got = append(got, gap.After+"-"+gap.Before)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Fatalf("gaps (-want +got):\n%s", diff)
				}
				rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			}
		})
	}
}

func TestGapSaysWhen(t *testing.T) {
	t.Parallel()
	one, two := told("evt_1", "created", 1, "incomplete"), changed("evt_2", 90, "active", "past_due")
	want := []ordering.Gap{{After: "evt_1", Since: one.Time, Before: "evt_2", Until: two.Time}}
	if diff := cmp.Diff(want, ordering.Gaps(facts(t, two, one))); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}
