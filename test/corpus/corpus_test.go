package corpus_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/test/corpus"
)

func TestFreshEditsOnlyIDs(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ raw, want string }{
		"subscription": {
			`{"id":"evt_1", "data":{"object":{"object":"subscription","id": "sub_1","items":{"data":[{"id":"si_1"}]}},"previous_attributes":{"id":1}},"n":1.50}`,
			`{"id":"evt_fresh00000007", "data":{"object":{"object":"subscription","id": "sub_fresh00000007","items":{"data":[{"id":"si_1"}]}},"previous_attributes":{"id":1}},"n":1.50}`,
		},
		"event id after data": {
			`{"data":{"object":{"id":"sub_1","object":"subscription"}},"id":"evt_1"}`,
			`{"data":{"object":{"id":"sub_fresh00000007","object":"subscription"}},"id":"evt_fresh00000007"}`,
		},
		"subscription without id": {
			`{"id":"evt_1","type":"customer.subscription.created","data":{"object":{"object":"subscription"}}}`,
			`{"id":"evt_fresh00000007","type":"customer.subscription.created","data":{"object":{"id":"sub_fresh00000007","object":"subscription"}}}`,
		},
		"empty subscription": {
			`{"id":"evt_1","type":"customer.subscription.created","data":{"object":{}}}`,
			`{"id":"evt_fresh00000007","type":"customer.subscription.created","data":{"object":{"id":"sub_fresh00000007"}}}`,
		},
		"another object": {
			`{"data":{"object":{"id":"in_1","object":"invoice","subscription":"sub_1"}},"id":"evt_1"}`,
			`{"data":{"object":{"id":"in_1","object":"invoice","subscription":"sub_1"}},"id":"evt_fresh00000007"}`,
		},
		"no data": {
			`{"id":"evt_1","data":null,"type":"customer.subscription.x"}`,
			`{"id":"evt_fresh00000007","data":null,"type":"customer.subscription.x"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, string(corpus.Fresh([]byte(tt.raw), 7))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestFreshRecordedEventsHaveUniqueIDs(t *testing.T) {
	t.Parallel()
	ids := make(map[string]string)
	for i, file := range corpus.Load(t) {
		if strings.HasPrefix(file.Name, "objects/") || strings.HasPrefix(file.Name, "event_types") {
			t.Errorf("%s is not an event", file.Name)
		}
		var event struct {
			ID, Type string
			Data     struct{ Object map[string]any }
		}
		if err := json.Unmarshal(corpus.Fresh(file.Raw, i), &event); err != nil {
			t.Errorf("%s: %v", file.Name, err)
			continue
		}
		if other := ids[event.ID]; other != "" {
			t.Errorf("%s has the id of %s", file.Name, other)
		}
		ids[event.ID] = file.Name
		if sub, _ := event.Data.Object["id"].(string); strings.HasPrefix(event.Type, "customer.subscription.") &&
			!strings.HasPrefix(sub, "sub_fresh") {
			t.Errorf("%s: subscription id %q is not fresh", file.Name, sub)
		}
	}
}
