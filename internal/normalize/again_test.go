package normalize_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
)

// ignoring returns options that admit nothing.
func ignoring() normalize.Options {
	o := options()
	o.Accounts = []string{"acct_none"}
	return o
}

// overTheWire returns a message as a consumer gets it.
func overTheWire(t *testing.T, m events.Message) events.Message {
	t.Helper()
	raw, err := events.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = events.Decode(raw); err != nil {
		t.Fatal(err)
	}
	return m
}

// An ignored event has everything that is needed to read it again.
func TestReadingAgainAdmitsWhatWasIgnored(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	admitting, at := normalizer(t, options()), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, file := range files {
		if strings.HasSuffix(file, ".golden.json") {
			continue
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		received := normalize.Receipt{Endpoint: "main", Origin: events.OriginWebhook, ReceivedAt: at}
		want, err := admitting.Event(raw, received)
		if err != nil {
			continue // not an event
		}
		ignored, err := normalizer(t, ignoring()).Event(raw, received)
		if err != nil || ignored.Data.Ignored == "" {
			t.Fatalf("%s: got %q, %v, want it ignored", file, ignored.Data.Ignored, err)
		}
		got, err := admitting.Again(overTheWire(t, ignored), at)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		want.Data.RereadAt = at
		if diff := cmp.Diff(overTheWire(t, want), overTheWire(t, got)); diff != "" {
			t.Errorf("%s (-admitted +read again):\n%s", file, diff)
		}
	}
}

// Other publishers may leave whitespace in it, and nothing removes it later.
func TestAnEventThatIsReadAgainHasNoWhitespace(t *testing.T) {
	t.Parallel()
	was := message(t, `{"id":"evt_1","object":"event","type":"invoice.paid","created":1,"livemode":false,"data":{"object":{}}}`)
	want := string(was.Data.Event)
	was.Data.Event = []byte(strings.ReplaceAll(want, ",", ",\n "))
	got, err := normalizer(t, options()).Again(was, time.Now())
	if err != nil || string(got.Data.Event) != want {
		t.Errorf("got %s, %v, want %s", got.Data.Event, err, want)
	}
}

func TestReadingASnapshotAgain(t *testing.T) {
	t.Parallel()
	o := options()
	o.UserIDKeys = nil
	raw := strings.Replace(subscriptionRead, `"status"`, `"metadata":{"user_id":"u_1","secret":"s"},"status"`, 1)
	was, err := normalizer(t, o).Snapshot([]byte(raw), reading())
	if err != nil {
		t.Fatal(err)
	}
	got, err := normalizer(t, options()).Again(overTheWire(t, was), reading().At)
	if err != nil || got.ID != was.ID || got.Data.Subscription.UserID != "u_1" {
		t.Fatalf("got %s of user %q, %v, want %s of u_1", got.ID, got.Data.Subscription.UserID, err, was.ID)
	}
	fields, err := normalize.Differences(was.Data, got.Data)
	if diff := cmp.Diff([]string{"identity.customer_id", "identity.source", "identity.subscription_id", "identity.user_id", "subscription.user_id"}, fields); diff != "" || err != nil {
		t.Errorf("differences (-want +got): %v\n%s", err, diff)
	}
}

func TestReadingAgainFindsNoRedactedUser(t *testing.T) {
	t.Parallel()
	o := options()
	o.RedactKeys, o.UserIDKeys = []string{"internal_id"}, nil
	event := `{"id":"evt_1","object":"event","type":"customer.subscription.updated","created":1,"data":{"object":{"id":"sub_1","object":"subscription","metadata":{"internal_id":"u_1"}}}}`
	was, err := normalizer(t, o).Event([]byte(event), normalize.Receipt{Origin: events.OriginWebhook})
	if err != nil {
		t.Fatal(err)
	}
	o.UserIDKeys = []string{"internal_id"}
	got, err := normalizer(t, o).Again(was, time.Now())
	if err != nil || got.Data.Subscription.UserID != "" {
		t.Errorf("got user %q, %v, want none", got.Data.Subscription.UserID, err)
	}
}

func TestReadingAgainNeedsTheEvent(t *testing.T) {
	t.Parallel()
	n := normalizer(t, options())
	if _, err := n.Again(events.Message{Data: events.Data{EventOmitted: events.OmittedSize}}, time.Now()); !errors.Is(err, normalize.ErrOmitted) {
		t.Errorf("got %v, want ErrOmitted", err)
	}
	if _, err := n.Again(events.Message{Data: events.Data{Event: json.RawMessage("{}")}}, time.Now()); !errors.Is(err, normalize.ErrNotEvent) {
		t.Errorf("got %v, want ErrNotEvent", err)
	}
}
