package contract_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
)

const asyncAPIFile = "../../events/asyncapi.yaml"

type asyncAPI struct {
	Channels map[string]struct {
		Address    string
		Parameters map[string]any
		Messages   map[string]reference
	}
	Operations map[string]struct {
		Action   string
		Channel  reference
		Messages []reference
	}
	Components struct {
		Messages map[string]asyncMessage
		Schemas  struct{ Headers any }
	}
}

type reference struct {
	To string `yaml:"$ref"`
}

type asyncMessage struct {
	ContentType      string `yaml:"contentType"`
	Headers, Payload reference
	Examples         []example
}

type example struct {
	Name    string
	Headers map[string]any
	Payload map[string]any
}

func readAsyncAPI(t *testing.T) asyncAPI {
	t.Helper()
	raw, err := os.ReadFile(asyncAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	var document asyncAPI
	if err := yaml.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

func updateExamples(t *testing.T) {
	t.Helper()
	raw, err := os.ReadFile(asyncAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(asyncAPIFile, withExamples(t, raw), 0o644); err != nil {
		t.Fatal(err)
	}
}

var exampleLines = regexp.MustCompile(`(?m)^ {8}- name: (.+)\n {10}summary: .+\n(?: {10}(?:headers|payload): .+\n)+`)

// withExamples sets the headers and the payload of each example as JSON, which is also
// YAML.
func withExamples(t *testing.T, raw []byte) []byte {
	t.Helper()
	files := examples(t)
	return exampleLines.ReplaceAllFunc(raw, func(old []byte) []byte {
		payload := files[string(exampleLines.FindSubmatch(old)[1])]
		headers, err := json.Marshal(headersOf(t, payload))
		if err != nil {
			t.Fatal(err)
		}
		kept := strings.SplitAfterN(string(old), "\n", 3)[:2]
		return fmt.Appendf(nil, "%s          headers: %s\n          payload: %s\n", strings.Join(kept, ""), headers, payload)
	})
}

func headersOf(t *testing.T, raw []byte) map[string]any {
	t.Helper()
	m, err := events.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	headers := map[string]any{
		"Nats-Msg-Id": m.MessageID(), handlers.HeaderContentType: events.ContentType,
		handlers.HeaderLivemode: map[bool]string{true: "true", false: "false"}[m.Livemode],
	}
	if m.StripeAccount != "" {
		headers[handlers.HeaderAccount] = m.Account()
	}
	if m.StripeEndpoint != "" {
		headers[handlers.HeaderEndpoint] = m.StripeEndpoint
	}
	return headers
}

var parameter = regexp.MustCompile(`\{(\w+)\}`)

// A parameter of subscription.* is one word; a parameter of stripe.> can be several.
func TestChannelsAreTheSubjectsOfTheStream(t *testing.T) {
	t.Parallel()
	var subjects []string
	for name, channel := range readAsyncAPI(t).Channels {
		wildcard := "*"
		if name == "stripe" {
			wildcard = ">"
		}
		subjects = append(subjects, parameter.ReplaceAllString(channel.Address, wildcard))
		for _, match := range parameter.FindAllStringSubmatch(channel.Address, -1) {
			if channel.Parameters[match[1]] == nil {
				t.Errorf("%s: parameter %s has no description", name, match[1])
			}
		}
	}
	want := slices.Sorted(slices.Values(events.StreamSubjects()))
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(subjects))); diff != "" {
		t.Errorf("subjects (-stream +asyncapi):\n%s", diff)
	}
}

func TestEachChannelHasOneOperation(t *testing.T) {
	t.Parallel()
	document := readAsyncAPI(t)
	seen := map[string]bool{}
	for name, operation := range document.Operations {
		channel := strings.TrimPrefix(operation.Channel.To, "#/channels/")
		if operation.Action != "receive" || seen[channel] || len(operation.Messages) != 1 {
			t.Errorf("%s: want one operation that receives one kind of message", name)
		}
		seen[channel] = true
		want := "#/components/messages/" + channel
		if got := document.Channels[channel].Messages[channel].To; got != want {
			t.Errorf("%s: got the message %q, want %q", name, got, want)
		}
		if got, want := operation.Messages[0].To, "#/channels/"+channel+"/messages/"+channel; got != want {
			t.Errorf("%s: got the message %q, want %q", name, got, want)
		}
	}
	if len(seen) != len(document.Channels) {
		t.Errorf("got operations on %d of %d channels", len(seen), len(document.Channels))
	}
}

func TestChannelsHaveMessagesOfTheContract(t *testing.T) {
	t.Parallel()
	for name, message := range readAsyncAPI(t).Components.Messages {
		want := asyncMessage{
			ContentType: events.ContentType, Headers: reference{"#/components/schemas/headers"}, Payload: reference{"./message.schema.json"},
			Examples: message.Examples,
		}
		if diff := cmp.Diff(want, message); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// Not parallel, because other tests read what it writes.
func TestChannelsHaveTheExamples(t *testing.T) {
	if *update {
		updateExamples(t)
	}
	document, files := readAsyncAPI(t), examples(t)
	headers := compile(t, headersSchema(t, document))
	for channel, message := range document.Components.Messages {
		for _, each := range message.Examples {
			checkExample(t, each, files[each.Name])
			if subject := each.Payload["type"].(string); !within(document.Channels[channel].Address, subject) {
				t.Errorf("%s: %s does not belong on %s", each.Name, subject, channel)
			}
			if err := headers.Validate(each.Headers); err != nil {
				t.Errorf("%s: headers: %v", each.Name, err)
			}
			delete(files, each.Name)
		}
	}
	for name := range files {
		t.Errorf("%s is not an example of any channel", name)
	}
}

func checkExample(t *testing.T, got example, file []byte) {
	t.Helper()
	if file == nil {
		t.Errorf("%s has no file", got.Name)
		return
	}
	payload, err := json.Marshal(got.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decode(t, file), decode(t, payload)); diff != "" {
		t.Errorf("%s (go generate ./events; -file +asyncapi):\n%s", got.Name, diff)
	}
	if diff := cmp.Diff(headersOf(t, file), got.Headers); diff != "" {
		t.Errorf("%s: headers (go generate ./events; -file +asyncapi):\n%s", got.Name, diff)
	}
}

// within reports whether a channel has a subject.
func within(address, subject string) bool {
	prefix, _, open := strings.Cut(address, "{")
	return subject == address || open && strings.HasPrefix(subject, prefix)
}

func headersSchema(t *testing.T, document asyncAPI) map[string]any {
	t.Helper()
	encoded, err := json.Marshal(document.Components.Schemas.Headers)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, encoded)
}

func TestHeadersHaveTheirNames(t *testing.T) {
	t.Parallel()
	properties := headersSchema(t, readAsyncAPI(t))["properties"].(map[string]any)
	want := []string{
		handlers.HeaderAccount, handlers.HeaderEndpoint, handlers.HeaderLivemode, handlers.HeaderContentType, "Nats-Msg-Id", handlers.HeaderTraceparent,
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(properties))); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}
