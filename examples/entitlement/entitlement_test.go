package entitlement_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/examples/entitlement"
)

func message(id, word, status string, second int) events.Message {
	return events.Message{
		ID: id, Source: events.Source(false, ""), Type: "subscription." + word,
		Time:       time.Date(2026, time.January, 1, 0, 0, second, 0, time.UTC),
		StripeType: "customer.subscription." + word,
		Data:       events.Data{Subscription: &events.Subscription{ID: "sub_1", UserID: "7", Status: status, Access: "granted"}},
	}
}

// apply opens the folder, as after a restart, and applies messages.
func apply(t *testing.T, dir string, messages ...events.Message) {
	t.Helper()
	book, err := entitlement.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = book.Close() }()
	for _, m := range messages {
		if err := book.Apply(m); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestOrderRepetitionAndRestartDoNotMatter(t *testing.T) {
	t.Parallel()
	first, second := message("evt_2", "updated", "active", 1), message("evt_1", "updated", "past_due", 2)
	end := message("evt_0", "canceled", "canceled", 3)
	want := t.TempDir()
	apply(t, want, first, second, end)
	got := t.TempDir()
	apply(t, got, end, second)
	apply(t, got, end, first, second, end)
	for _, name := range []string{"notices.jsonl", "entitlements/test%3Aplatform%3Asub_1.json"} {
		if diff := cmp.Diff(read(t, want, name), read(t, got, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestPartOfALineIsRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	end, other := message("evt_1", "canceled", "canceled", 1), message("evt_2", "canceled", "canceled", 2)
	apply(t, dir, end)
	path := filepath.Join(dir, "notices.jsonl")
	whole := read(t, path)
	if err := os.WriteFile(path, []byte(whole+`{"event":"/str`), 0o600); err != nil {
		t.Fatal(err)
	}
	apply(t, dir, end, other)
	want := whole + `{"event":"/stripe/platform/test evt_2","subscription":"test:platform:sub_1","user_id":"7"}` + "\n"
	if diff := cmp.Diff(want, read(t, path)); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}
