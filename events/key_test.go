package events_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/billbus/billbus/events"
)

const (
	hashOfEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	hashOfDot   = "cdb4ee2aea69cc6a83331bbe96dc2caa9a299d21329efb0336fc02a82e1839a8"
)

// hostile has ids that must not become part of a header, key or subject.
func hostile() map[string]string {
	return map[string]string{
		"empty":           "",
		"dot":             ".",
		"wildcard":        "*",
		"full wildcard":   ">",
		"space":           "evt 1",
		"line break":      "evt_1\r\nNats-Rollup: all",
		"NUL":             "evt_1\x00",
		"colon":           "live:evt_1",
		"slash":           "evt/1",
		"hyphen":          "evt-1",
		"not ASCII":       "evt_é",
		"not UTF-8":       "evt_\xff",
		"256 characters":  strings.Repeat("a", 256),
		"5 kB":            strings.Repeat("x", 5000),
		"e-mail":          "jane@example.com",
		"control":         "evt_1\x7f",
		"full-width":      "ｅｖｔ",
		"percent escapes": "evt%2e",
	}
}

func TestSafeID(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"evt_1", "a", "Z_09", strings.Repeat("a", 255)} {
		if got := events.SafeID(id); got != id {
			t.Errorf("SafeID(%q): got %q, want it unchanged", id, got)
		}
	}
	hash := regexp.MustCompile(`^[0-9a-f]{64}$`)
	seen := map[string]string{}
	for name, id := range hostile() {
		got := events.SafeID(id)
		if !hash.MatchString(got) {
			t.Errorf("%s: got %q, want a SHA-256", name, got)
		}
		if seen[got] != "" {
			t.Errorf("%s and %s: got the same id %q", name, seen[got], got)
		}
		seen[got] = name
	}
	if got := events.SafeID(""); got != hashOfEmpty {
		t.Errorf("empty id: got %q, want %q", got, hashOfEmpty)
	}
	if got := events.SafeID("."); got != hashOfDot {
		t.Errorf("dot: got %q, want %q", got, hashOfDot)
	}
}

func TestMessageID(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ account, id, want string }{
		"platform":        {"", "evt_1", "evt_1"},
		"account":         {"acct_1", "evt_1", "acct_1:evt_1"},
		"hostile id":      {"acct_1", ".", "acct_1:" + hashOfDot},
		"hostile account": {".", "evt_1", hashOfDot + ":evt_1"},
		"hostile, alone":  {"", ".", hashOfDot},
	}
	for name, tt := range cases {
		if got := events.MessageID(tt.account, tt.id); got != tt.want {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
	header := regexp.MustCompile(`^[A-Za-z0-9_:]{1,511}$`)
	for name, id := range hostile() {
		if got := events.MessageID(id, id); !header.MatchString(got) {
			t.Errorf("%s: got %q, which is not safe in a header", name, got)
		}
	}
}

// An event that is admitted is no repetition of the same event when it was ignored.
func TestMessageIDContainsTheAdmission(t *testing.T) {
	t.Parallel()
	m := events.Message{ID: "evt_1", StripeAccount: "acct_1"}
	if got := m.MessageID(); got != "acct_1:evt_1" {
		t.Errorf("admitted: got %q", got)
	}
	m.Data.Ignored = events.IgnoredAccount
	if got := m.MessageID(); got != "ignored:acct_1:evt_1" {
		t.Errorf("ignored: got %q", got)
	}
}

func TestKeyAndSource(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		live            bool
		account, id     string
		key, source     string
		mode, acctToken string
	}{
		"live platform":   {true, "", "sub_1", "live:platform:sub_1", "/stripe/platform/live", "live", "platform"},
		"test account":    {false, "acct_1", "sub_1", "test:acct_1:sub_1", "/stripe/acct_1/test", "test", "acct_1"},
		"hyphens":         {false, "", "sub-1", "test:platform:sub-1", "/stripe/platform/test", "test", "platform"},
		"hostile id":      {false, "", ".", "test:platform:" + hashOfDot, "/stripe/platform/test", "test", "platform"},
		"hostile account": {false, ".", "sub_1", "test:" + hashOfDot + ":sub_1", "/stripe/" + hashOfDot + "/test", "test", hashOfDot},
	}
	for name, tt := range cases {
		if got := events.Key(tt.live, tt.account, tt.id); got != tt.key {
			t.Errorf("%s: Key: got %q, want %q", name, got, tt.key)
		}
		if got := events.Source(tt.live, tt.account); got != tt.source {
			t.Errorf("%s: Source: got %q, want %q", name, got, tt.source)
		}
		m := events.Message{Livemode: tt.live, StripeAccount: tt.account, ID: "evt_1"}
		if got, want := m.Key(), tt.mode+":"+tt.acctToken+":evt_1"; got != want {
			t.Errorf("%s: Message.Key: got %q, want %q", name, got, want)
		}
		if m.Mode() != tt.mode || m.Account() != tt.acctToken {
			t.Errorf("%s: got mode %q of account %q, want %q of %q", name, m.Mode(), m.Account(), tt.mode, tt.acctToken)
		}
		if got := m.SubscriptionKey(); got != "" {
			t.Errorf("%s: SubscriptionKey without subscription: got %q, want none", name, got)
		}
		m.Data.Subscription = &events.Subscription{ID: tt.id}
		if got := m.SubscriptionKey(); got != tt.key {
			t.Errorf("%s: SubscriptionKey: got %q, want %q", name, got, tt.key)
		}
	}
}

func TestKeysAreSafe(t *testing.T) {
	t.Parallel()
	key := regexp.MustCompile(`^test:platform:[A-Za-z0-9_-]{1,255}$`)
	for name, id := range hostile() {
		if got := events.Key(false, "", id); !key.MatchString(got) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// No account has the keys of another one.
func TestKeysOfTwoAccountsDiffer(t *testing.T) {
	t.Parallel()
	if a, b := events.Key(true, "acct_1:x", "y"), events.Key(true, "acct_1", "x:y"); a == b {
		t.Errorf("got the same key %q for two accounts", a)
	}
}
