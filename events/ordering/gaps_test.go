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
	other := func(m events.Message) events.Message { return inVersion(m, "2015-10-01", "other") }
	snapshot := func(id string, second int, status string) events.Message {
		m := event(id, "updated", second, status)
		m.Type, m.StripeType = events.SubjectSnapshot, ""
		m.Data.BecauseOf = "evt_0"
		return m
	}
	imported := func(second int, status string) events.Message {
		m := snapshot("snap_2", second, status)
		m.Data.BecauseOf = ""
		return m
	}
	cases := map[string]struct {
		events []events.Message
		want   []string // after-before
	}{
		"no event":                              {nil, nil},
		"the first known event":                 {[]events.Message{update("evt_1", 1, "active", "past_due")}, nil},
		"a whole life":                          {[]events.Message{event("evt_1", "created", 1, "incomplete"), update("evt_2", 5, "incomplete", "active"), update("evt_3", 90, "active", "past_due")}, nil},
		"deleted names no state before":         {[]events.Message{event("evt_1", "created", 1, "active"), event("evt_2", "deleted", 90, "canceled")}, nil},
		"a change after the end":                {[]events.Message{event("evt_1", "created", 1, "active"), event("evt_2", "deleted", 90, "canceled"), update("evt_3", 99, "canceled", "canceled")}, nil},
		"created stamped late":                  {[]events.Message{event("evt_1", "created", 7, "incomplete"), update("evt_2", 1, "incomplete", "active"), update("evt_3", 90, "active", "past_due")}, nil},
		"created late, an event missing":        {[]events.Message{event("evt_1", "created", 7, "incomplete"), update("evt_2", 1, "incomplete", "active"), update("evt_3", 90, "unpaid", "past_due")}, []string{"evt_2-evt_3"}},
		"an event missing after a late created": {[]events.Message{event("evt_9", "created", 7, "incomplete"), update("evt_2", 1, "active", "past_due")}, []string{"evt_9-evt_2"}},
		"an event is missing":                   {[]events.Message{event("evt_1", "created", 1, "incomplete"), update("evt_3", 90, "active", "past_due")}, []string{"evt_1-evt_3"}},
		"two events missing":                    {[]events.Message{event("evt_1", "created", 1, "incomplete"), update("evt_3", 90, "active", "past_due"), update("evt_5", 190, "unpaid", "canceled")}, []string{"evt_1-evt_3", "evt_3-evt_5"}},
		"an event missing after the end":        {[]events.Message{event("evt_1", "deleted", 1, "canceled"), update("evt_3", 90, "paused", "canceled")}, []string{"evt_1-evt_3"}},
		"several in one second":                 {[]events.Message{event("evt_9", "created", 1, "incomplete"), update("evt_2", 1, "past_due", "unpaid"), update("evt_3", 2, "active", "past_due"), update("evt_1", 1, "incomplete", "active"), update("evt_0", 50, "unpaid", "active")}, nil},
		"a toggle":                              {[]events.Message{event("evt_1", "created", 1, "active"), update("evt_2", 9, "active", "paused"), update("evt_3", 9, "paused", "active"), update("evt_4", 10, "active", "paused"), update("evt_5", 99, "paused", "active")}, nil},
		"back and forth, and the end":           {[]events.Message{event("evt_1", "created", 1, "active"), update("evt_2", 9, "active", "paused"), update("evt_3", 9, "paused", "active"), update("evt_4", 9, "active", "paused"), update("evt_5", 9, "paused", "unpaid"), event("evt_6", "deleted", 10, "canceled")}, nil},
		"a loop that is entered":                {[]events.Message{event("evt_1", "created", 1, "active"), update("evt_2", 9, "active", "paused"), update("evt_3", 9, "paused", "active"), update("evt_4", 99, "active", "unpaid")}, nil},
		"a loop that is not":                    {[]events.Message{event("evt_1", "created", 1, "unpaid"), update("evt_2", 9, "active", "paused"), update("evt_3", 9, "paused", "active")}, []string{"evt_1-evt_2"}},
		"missing within seconds":                {[]events.Message{event("evt_1", "created", 1, "incomplete"), update("evt_2", 9, "incomplete", "active"), update("evt_3", 10, "past_due", "unpaid")}, []string{"evt_2-evt_3"}},
		"one of two ends continues":             {[]events.Message{event("evt_1", "created", 1, "incomplete"), update("evt_2", 9, "incomplete", "active"), update("evt_3", 9, "past_due", "unpaid"), update("evt_4", 99, "active", "paused")}, []string{"evt_1-evt_3"}},
		"sent twice for one request":            {[]events.Message{event("evt_1", "created", 1, "active"), withKey(update("evt_2", 9, "active", "paused"), "key"), withKey(update("evt_3", 14, "active", "paused"), "key")}, nil},
		"sent twice in a second":                {[]events.Message{event("evt_1", "created", 1, "active"), update("evt_2", 9, "active", "paused"), update("evt_3", 9, "active", "paused")}, nil},
		"a marker of the same state":            {[]events.Message{event("evt_1", "created", 1, "trialing"), event("evt_2", "trial_will_end", 50, "trialing"), update("evt_3", 99, "trialing", "active")}, nil},
		"a marker first":                        {[]events.Message{event("evt_2", "trial_will_end", 50, "trialing"), update("evt_3", 99, "trialing", "active")}, nil},
		"a marker first, an event missing":      {[]events.Message{event("evt_2", "trial_will_end", 50, "trialing"), update("evt_3", 99, "active", "unpaid")}, []string{"evt_2-evt_3"}},
		"a snapshot of another state":           {[]events.Message{event("evt_1", "created", 1, "trialing"), snapshot("snap_2", 50, "active")}, []string{"evt_1-snap_2"}},
		"a snapshot that an update continues":   {[]events.Message{event("evt_1", "created", 1, "trialing"), snapshot("snap_2", 50, "active"), update("evt_3", 99, "active", "unpaid")}, []string{"evt_1-snap_2"}},
		"a snapshot between two gaps":           {[]events.Message{event("evt_1", "created", 1, "trialing"), snapshot("snap_2", 50, "active"), update("evt_3", 99, "unpaid", "paused")}, []string{"evt_1-snap_2", "snap_2-evt_3"}},
		"an import of another state":            {[]events.Message{event("evt_1", "created", 1, "trialing"), imported(50, "active")}, nil},
		"an import that an update continues":    {[]events.Message{event("evt_1", "created", 1, "trialing"), imported(50, "active"), update("evt_3", 99, "active", "unpaid")}, nil},
		"an import that nothing continues":      {[]events.Message{event("evt_1", "created", 1, "trialing"), imported(50, "active"), update("evt_3", 99, "unpaid", "paused")}, []string{"snap_2-evt_3"}},
		"a snapshot stamped too early":          {[]events.Message{event("evt_1", "created", 1, "trialing"), snapshot("snap_2", 50, "active"), update("evt_3", 53, "trialing", "active")}, nil},
		"a snapshot, and then the end":          {[]events.Message{event("evt_1", "created", 1, "trialing"), snapshot("snap_2", 50, "active"), event("evt_3", "deleted", 99, "canceled")}, []string{"evt_1-snap_2"}},
		"two versions, complete":                {[]events.Message{event("evt_1", "created", 1, "incomplete"), other(update("evt_2", 90, "incomplete", "active")), update("evt_3", 190, "active", "past_due")}, nil},
		"two versions, an event missing":        {[]events.Message{event("evt_1", "created", 1, "incomplete"), other(update("evt_2", 90, "active", "past_due"))}, []string{"evt_1-evt_2"}},
		"the end and its update in a second":    {[]events.Message{event("evt_1", "created", 1, "active"), update("evt_3", 90, "active", "canceled"), event("evt_2", "deleted", 90, "canceled")}, nil},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := facts(t, tt.events...)
			random := rand.New(rand.NewPCG(1, 2))
			for range 5 {
				var got []string
				for _, gap := range ordering.Gaps(append(all, all...)) {
					got = append(got, gap.After+"-"+gap.Before)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Fatalf("gaps (-want +got):\n%s", diff)
				}
				random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
			}
		})
	}
}

func TestGapHasMoments(t *testing.T) {
	t.Parallel()
	one, two := event("evt_1", "created", 1, "incomplete"), update("evt_2", 90, "active", "past_due")
	want := []ordering.Gap{{After: "evt_1", Since: one.Time, Before: "evt_2", Until: two.Time}}
	if diff := cmp.Diff(want, ordering.Gaps(facts(t, two, one))); diff != "" {
		t.Errorf("gaps (-want +got):\n%s", diff)
	}
}
