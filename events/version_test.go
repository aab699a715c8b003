package events_test

import (
	"slices"
	"testing"

	"github.com/billbus/billbus/events"
)

func TestCompareAPIVersions(t *testing.T) {
	t.Parallel()
	ordered := []string{"", "latest", "2015-10-01", "2020-08-27", "2025-03-31.basil", "2025-09-30", "2025-09-30.clover", "2026-07-29.dahlia"}
	for i, a := range ordered {
		for k, b := range ordered {
			if got, want := events.CompareAPIVersions(a, b), i-k; (got < 0) != (want < 0) || (got > 0) != (want > 0) {
				t.Errorf("%q and %q: got %d", a, b, got)
			}
		}
	}
	shuffled := slices.Clone(ordered)
	slices.Reverse(shuffled)
	if slices.SortFunc(shuffled, events.CompareAPIVersions); !slices.Equal(shuffled, ordered) {
		t.Errorf("got %q", shuffled)
	}
}

func TestRenderingID(t *testing.T) {
	t.Parallel()
	const hash = "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b" // of a newline
	for version, want := range map[string]string{
		"2025-09-30.clover": "acct_1:evt_1@2025-09-30.clover", "\n": "acct_1:evt_1@" + hash,
	} {
		if got := events.RenderingID(events.MessageID("acct_1", "evt_1"), version); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
