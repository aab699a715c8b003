package contract_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
)

func TestCloudEventsSDKReadsTheExamples(t *testing.T) {
	t.Parallel()
	for name, raw := range examples(t) {
		m, err := events.Decode(raw)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkCloudEvent(t, name, m)
	}
}

// attributes are what a reader sees who knows only CloudEvents.
type attributes struct {
	SpecVersion, ID, Source, Type, Subject, DataContentType string
	Time                                                    time.Time
	Extensions                                              map[string]any
}

// checkCloudEvent reads a published message with the SDK.
func checkCloudEvent(t *testing.T, name string, m events.Message) {
	t.Helper()
	encoded, err := events.Encode(m)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	published, err := events.Decode(encoded)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	seen, data, err := readCloudEvent(encoded)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if diff := cmp.Diff(attributesOf(published), seen); diff != "" {
		t.Errorf("%s (-published +read):\n%s", name, diff)
	}
	if diff := cmp.Diff(published.Data, data); diff != "" {
		t.Errorf("%s: data (-published +read):\n%s", name, diff)
	}
}

func readCloudEvent(payload []byte) (attributes, events.Data, error) {
	var read event.Event
	if err := read.UnmarshalJSON(payload); err != nil {
		return attributes{}, events.Data{}, err
	}
	if err := read.Validate(); err != nil {
		return attributes{}, events.Data{}, err
	}
	seen := attributes{
		read.SpecVersion(), read.ID(), read.Source(), read.Type(), read.Subject(), read.DataContentType(), read.Time(), read.Extensions(),
	}
	var data events.Data
	err := read.DataAs(&data)
	return seen, data, err
}

func attributesOf(m events.Message) attributes {
	extensions := map[string]any{"livemode": m.Livemode}
	for name, text := range map[string]string{
		"stripetype": m.StripeType, "stripeapiversion": m.StripeAPIVersion, "stripeaccount": m.StripeAccount, "stripeendpoint": m.StripeEndpoint,
	} {
		if text != "" {
			extensions[name] = text
		}
	}
	return attributes{m.SpecVersion, m.ID, m.Source, m.Type, m.Subject, m.DataContentType, m.Time, extensions}
}

// See https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md#attribute-naming-convention
func TestAttributeNamesAreValid(t *testing.T) {
	t.Parallel()
	allowed := regexp.MustCompile(`^[a-z0-9]{1,20}$`)
	for _, f := range readModel(t).fields {
		if !allowed.MatchString(f.name) {
			t.Errorf("%s is not a valid attribute name", f.name)
		}
	}
}

// The specification forbids control characters in attributes, but ids come from outside.
// The SDK reads them unchanged, at any length.
func TestCloudEventsSDKReadsHostileIDs(t *testing.T) {
	t.Parallel()
	m, err := events.Decode(examples(t)["subscription.updated"])
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		"5 kB":       "evt_" + strings.Repeat("a", 5000),
		"line break": "evt_1\r\nPUB x", "null character": "evt_\x00", "C1 control": "evt_\u0085", "not a character": "evt_\uFFFE",
		"quotes": `evt_"<&>\`, "not ASCII": "evt_é\U0001F600", "space inside": "evt 1",
	}
	for name, id := range cases {
		m.ID, m.Subject = id, id
		checkCloudEvent(t, name, m)
	}
}
