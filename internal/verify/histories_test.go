package verify_test

import (
	"testing"
	"time"

	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripesim"
)

// lifecycles returns the facts of simulated lifecycles, by subscription.
func lifecycles(t *testing.T, subscriptions int) map[string][]ordering.Fact {
	t.Helper()
	n, err := normalize.New(normalize.Options{Livemode: "any", Accounts: []string{"any"}, ClientReference: "api"})
	if err != nil {
		t.Fatal(err)
	}
	lives := map[string][]ordering.Fact{}
	history := stripesim.Generate(stripesim.Config{Seed: 7, Subscriptions: subscriptions, Ties: 0.3})
	for _, d := range history.Deliveries {
		m, err := n.Event(d.Body, normalize.Receipt{ReceivedAt: time.Unix(0, 0)})
		if err != nil {
			t.Fatal(err)
		}
		if fact, ok := ordering.FactOf(m); ok {
			lives[m.SubscriptionKey()] = append(lives[m.SubscriptionKey()], fact)
		}
	}
	return lives
}

// TestGapsInLifecycles removes one change after another from simulated lifecycles. There
// is no gap while all events are there, and there is one in nearly every other case. Some
// gaps cannot be found: before the first known event, after the last, before the end, and
// where another event shows the same state.
func TestGapsInLifecycles(t *testing.T) {
	t.Parallel()
	removed, found := 0, 0
	for key, facts := range lifecycles(t, 300) {
		if gaps := ordering.Gaps(facts); len(gaps) != 0 {
			t.Errorf("%s: all %d events are there, got %+v", key, len(facts), gaps)
		}
		for i := 1; i < len(facts)-1; i++ {
			if f := facts[i]; f.Before == (ordering.Digest{}) || f.Before == f.After || facts[i+1].Before == (ordering.Digest{}) {
				continue
			}
			removed++
			rest := append(append([]ordering.Fact{}, facts[:i]...), facts[i+1:]...)
			if len(ordering.Gaps(rest)) > 0 {
				found++
			}
		}
	}
	if removed < 500 || found < removed*95/100 {
		t.Errorf("found %d of %d events that were removed", found, removed)
	}
	t.Logf("found %d of %d events that were removed", found, removed)
}
