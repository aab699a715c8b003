package ordering_test

import (
	"testing"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
)

// What an import has read before a change can be stamped after it. It holds the state only
// if no change leads away from what it shows.
func TestImportNextToEvents(t *testing.T) {
	t.Parallel()
	imported := func(second int, status string) events.Message {
		m := event("snap_1", "updated", second, status)
		m.Type, m.StripeType, m.Data.Event = events.SubjectSnapshot, "", nil
		return m
	}
	for name, tt := range map[string]struct {
		messages []events.Message
		want     string
	}{
		"nothing else":           {[]events.Message{imported(5, "active")}, "snap_1"},
		"read before a change":   {[]events.Message{imported(11, "active"), update("evt_2", 10, "active", "past_due")}, "evt_2"},
		"a change after it":      {[]events.Message{imported(5, "active"), update("evt_2", 90, "active", "past_due")}, "evt_2"},
		"an older event":         {[]events.Message{imported(90, "canceled"), update("evt_2", 10, "active", "past_due")}, "snap_1"},
		"a change that it shows": {[]events.Message{imported(11, "past_due"), update("evt_2", 10, "active", "past_due")}, ""},
	} {
		var facts []ordering.Fact
		for _, m := range tt.messages {
			f, ok := ordering.FactOf(m)
			if !ok {
				t.Fatal("no fact")
			}
			facts = append(facts, f)
		}
		v := ordering.Fold(facts)
		if v.Ordering != ordering.Determined || tt.want != "" && v.Winner.EventID != tt.want {
			t.Errorf("%s: got %s, %s: %s", name, v.Winner.EventID, v.Ordering, v.Explanation)
		}
		if gaps := ordering.Gaps(facts); len(gaps) > 0 {
			t.Errorf("%s: got gaps %+v", name, gaps)
		}
	}
}
