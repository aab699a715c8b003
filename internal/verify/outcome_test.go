package verify_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/verify"
	"github.com/billbus/billbus/test/kit"
)

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		messages []events.Message
		want     map[string]string
	}{
		"no events": {nil, map[string]string{}},
		"each is superseded by the next": {
			[]events.Message{kit.Update("sub_1", "evt_3", 90, "active", "unpaid"), kit.Event("sub_1", "evt_1", "created", 0, "incomplete"), kit.Update("sub_1", "evt_2", 9, "incomplete", "active")},
			map[string]string{"evt_1": "superseded evt_2", "evt_2": "superseded evt_3", "evt_3": "won "},
		},
		"superseded by the end of a chain in one second": {
			[]events.Message{kit.Event("sub_1", "evt_9", "created", 0, "incomplete"), kit.Update("sub_1", "evt_2", 0, "active", "unpaid"), kit.Update("sub_1", "evt_3", 0, "incomplete", "active")},
			map[string]string{"evt_9": "superseded evt_2", "evt_3": "superseded evt_2", "evt_2": "won "},
		},
		"superseded by the end": {
			[]events.Message{kit.Event("sub_1", "evt_1", "deleted", 0, "canceled"), kit.Update("sub_1", "evt_2", 90, "active", "unpaid")},
			map[string]string{"evt_1": "won ", "evt_2": "superseded evt_1"},
		},
		"ambiguous": {
			[]events.Message{kit.Event("sub_1", "evt_1", "updated", 0, "active"), kit.Event("sub_1", "evt_2", "updated", 0, "unpaid")},
			map[string]string{"evt_1": "superseded evt_2", "evt_2": "ambiguous "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var facts []ordering.Fact
			for _, m := range tt.messages {
				fact, _ := ordering.FactOf(m)
				facts = append(facts, fact)
			}
			got := map[string]string{}
			for id, outcome := range verify.Outcomes(facts) {
				got[id] = string(outcome.Word) + " " + outcome.By
				if outcome.Why == "" {
					t.Errorf("%s: no reason", id)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
		})
	}
}
