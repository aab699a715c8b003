package stripesim_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
)

// story is what was reported from production: events as JSON, and what is right.
type story struct {
	Events []json.RawMessage
	Want   struct {
		Status                 string
		DefaultPaymentMethodID string                      `json:"default_payment_method_id"`
		CancellationDetails    *events.CancellationDetails `json:"cancellation_details"`
		TrialEnd               int64                       `json:"trial_end"`
	}
}

// TestReportedStories lets the events of reported stories arrive in every order.
func TestReportedStories(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/cases/*.json")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var s story
			if err := json.Unmarshal(raw, &s); err != nil {
				t.Fatal(err)
			}
			s.check(t)
		})
	}
}

func (s story) check(t *testing.T) {
	t.Helper()
	n, states := normalizer(t), map[string]*events.Subscription{}
	var facts []ordering.Fact
	for _, raw := range s.Events {
		m, err := n.Event(raw, normalize.Receipt{Origin: events.OriginWebhook})
		if err != nil {
			t.Fatal(err)
		}
		fact, ok := ordering.FactOf(m)
		if !ok {
			t.Fatalf("%s has no fact", m.ID)
		}
		facts, states[m.ID] = append(facts, fact), m.Data.Subscription
	}
	for arrival := range permutations(facts) {
		s.compare(t, ordering.Fold(arrival), states)
	}
}

func (s story) compare(t *testing.T, v ordering.Verdict, states map[string]*events.Subscription) {
	t.Helper()
	got := states[v.Winner.EventID]
	if v.Ordering != ordering.Determined || got.Status != s.Want.Status {
		t.Errorf("got %s, %s, want %s: %s", got.Status, v.Ordering, s.Want.Status, v.Explanation)
	}
	if s.Want.DefaultPaymentMethodID != "" && got.DefaultPaymentMethodID != s.Want.DefaultPaymentMethodID {
		t.Errorf("got payment method %s, want %s", got.DefaultPaymentMethodID, s.Want.DefaultPaymentMethodID)
	}
	if diff := cmp.Diff(s.Want.CancellationDetails, got.CancellationDetails); s.Want.CancellationDetails != nil && diff != "" {
		t.Errorf("cancellation details (-want +got):\n%s", diff)
	}
	if s.Want.TrialEnd != 0 && !got.TrialEnd.Equal(time.Unix(s.Want.TrialEnd, 0)) {
		t.Errorf("got trial end %s, want %d", got.TrialEnd, s.Want.TrialEnd)
	}
}
