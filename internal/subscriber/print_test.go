package subscriber

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/internal/verify"
)

func TestFindingsAsText(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", longestShown+1)
	for want, f := range map[string]verify.Finding{
		"~ key  status: unpaid -> active":                                   {Kind: verify.Difference, Key: "key", Field: "status", Have: "unpaid", Want: "active"},
		"~ key  record: none -> evt_1  (fixed)":                             {Kind: verify.Difference, Key: "key", Field: "record", Want: "evt_1", Fixed: true},
		"~ key  status: none -> " + strings.Repeat("é", longestShown) + "…": {Kind: verify.Difference, Key: "key", Field: "status", Want: long},
		"? key  unverifiable: why":                                          {Kind: verify.Unverifiable, Key: "key", Reason: "why"},
		"! key  gap: events are missing between evt_1 (then) and evt_2 (now)": {
			Kind: verify.Gap, Key: "key", After: "evt_1", Since: "then", Before: "evt_2", Until: "now",
		},
	} {
		if got := findingText(f); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestVerifySummary(t *testing.T) {
	t.Parallel()
	s := verify.Summary{Subscriptions: 10, Events: 99, Differing: 1, Fixed: 2, Unverifiable: 3, Older: 4, Gaps: 5}
	for asJSON, want := range map[bool]string{
		false: `
10 subscriptions, 99 events: 4 correct, 1 differing, 2 fixed, 3 unverifiable, 5 gaps
4 are correct but were decided by older rules: --fix updates them, and so does their next event
events about users: 1 differing, 2 fixed
ignored events that the settings admit: 20 differing, 0 fixed
`,
		true: `
{"kind":"summary","subscriptions":10,"events":99,"differing":21,"fixed":2,"unverifiable":3,"older_rule":4,"gaps":5,"identities_differing":1,"identities_fixed":2}
`,
	} {
		var out bytes.Buffer
		if err := printSummary(&out, s, verify.ClaimSummary{Differing: 1, Fixed: 2}, ignoredCounts{differing: 20}, asJSON); err != nil {
			t.Fatal(err)
		}
		expect(t, out.String(), want)
	}
}

func TestReplaySummary(t *testing.T) {
	t.Parallel()
	s := replaySummary{Kind: "summary", Until: 7, Resumed: 2, Messages: 5, Outcomes: map[string]int{"recorded": 4, "applied": 1}, Seconds: 1.25}
	fresh := s
	fresh.Resumed = 0
	cfg := config.Subscriber{Stream: config.Stream{Name: "BILLBUS"}}
	asJSON := cfg
	asJSON.Replay.JSON = true
	for _, tt := range []struct {
		summary replaySummary
		cfg     config.Subscriber
		want    string
	}{
		{s, cfg, "replayed 5 messages, to sequence 7 of BILLBUS, in 1.2 s: 1 applied, 4 recorded\n" +
			"continued a replay that was interrupted, behind sequence 2; --restart begins again\n"},
		{fresh, cfg, "replayed 5 messages, to sequence 7 of BILLBUS, in 1.2 s: 1 applied, 4 recorded\n"},
		{replaySummary{}, cfg, "nothing to replay: the stream has no messages from that start\n"},
		{s, asJSON, `{"kind":"summary","until_sequence":7,"resumed_behind":2,"messages":5,"outcomes":{"applied":1,"recorded":4},"seconds":1.25}` + "\n"},
	} {
		var out bytes.Buffer
		if err := printReplay(&out, tt.summary, tt.cfg); err != nil {
			t.Fatal(err)
		}
		expect(t, out.String(), tt.want)
	}
}

func TestReplayHandlesEachIDOnceAtATime(t *testing.T) {
	t.Parallel()
	var batch []*message.Message
	for _, id := range []string{"a", "b", "a", "", "", "b@new"} {
		batch = append(batch, message.NewMessage(id, nil))
	}
	first, rest := distinctIDs(batch)
	ids := func(messages []*message.Message) (ids []string) {
		for _, m := range messages {
			ids = append(ids, m.UUID)
		}
		return ids
	}
	if diff := cmp.Diff([][]string{{"a", "b", "", ""}, {"a", "b@new"}}, [][]string{ids(first), ids(rest)}); diff != "" {
		t.Errorf("first and rest (-want +got):\n%s", diff)
	}
}

func TestShortIDLeavesWordsAlone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"evt_1MowQVLkdIwHu7ixeraBm864":        "evt_…aBm864",
		"in_1avYtk3g2CjtsicjwF5XyYEm paid":    "in_…5XyYEm paid",
		"cs_test_VsG0vtKsPQzyAbCdEf":          "cs_test_…AbCdEf",
		"active: cancel_scheduled, activated": "active: cancel_scheduled, activated",
	} {
		if got := shortID(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
