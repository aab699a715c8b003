package contract_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/test/corpus"
)

// normalizer admits a mode, of every account.
func normalizer(t *testing.T, mode string) *normalize.Normalizer {
	t.Helper()
	n, err := normalize.New(normalize.Options{
		Livemode: mode, Accounts: []string{normalize.Any}, UserIDKeys: []string{"user_id", "userId", "userid", "uid"}, ClientReference: normalize.ClientReferenceAPI,
		RedactKeys: []string{"hosted_invoice_url", "invoice_pdf", "receipt_url"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func receipt() normalize.Receipt {
	return normalize.Receipt{Endpoint: "main", Origin: events.OriginWebhook, ReceivedAt: time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)}
}

func TestFixturesMakeValidMessages(t *testing.T) {
	t.Parallel()
	schema := compile(t, readSchema(t))
	for name, raw := range readAll(t, "../../internal/normalize/testdata") {
		if !strings.HasSuffix(name, ".golden") {
			checkNormalized(t, schema, name, raw)
		}
	}
}

func TestRecordedEventsMakeValidMessages(t *testing.T) {
	t.Parallel()
	schema := compile(t, readSchema(t))
	for i, file := range corpus.Load(t) {
		checkNormalized(t, schema, file.Name, file.Raw)
		checkNormalized(t, schema, file.Name, corpus.Fresh(file.Raw, i))
	}
}

func TestSnapshotsAreValidMessages(t *testing.T) {
	t.Parallel()
	schema := compile(t, readSchema(t))
	whole, err := normalizer(t, normalize.Any).Snapshot([]byte(`{"id":"sub_1","object":"subscription","status":"active"}`), normalize.Reading{
		At: receipt().ReceivedAt, Origin: events.OriginThin, Reason: events.ReasonThin, ReceivedAt: receipt().ReceivedAt,
	})
	if err != nil {
		t.Fatal(err)
	}
	large := whole
	large.Data.Object, large.Data.EventOmitted = nil, events.OmittedSize
	for _, m := range []events.Message{whole, large} {
		encoded, err := events.Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(decode(t, encoded)); err != nil {
			t.Error(err)
		}
	}
}

// checkNormalized checks the message of an event, admitted and not admitted.
func checkNormalized(t *testing.T, schema *jsonschema.Schema, name string, raw []byte) {
	t.Helper()
	for _, mode := range []string{normalize.Any, normalize.Live} {
		m, err := normalizer(t, mode).Event(raw, receipt())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		encoded, err := events.Encode(m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := schema.Validate(decode(t, encoded)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		checkCloudEvent(t, name, m)
	}
}

// An example is the message that its event becomes.
func TestExamplesMatchTheirEvents(t *testing.T) {
	t.Parallel()
	n := normalizer(t, normalize.Live)
	for name, raw := range examples(t) {
		want, err := events.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		if want.Data.Event == nil {
			continue
		}
		got, err := n.Event(want.Data.Event, receipt())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got.Data.ReceivedAt = want.Data.ReceivedAt
		if len(want.Data.Redactions) > 0 {
			got.Data.EventSHA256 = want.Data.EventSHA256 // Stripe signed other bytes
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-example +normalized):\n%s", name, diff)
		}
	}
}

// CloudEvents readers refuse blank identifiers.
func TestBlankIdentifiersAreReadable(t *testing.T) {
	t.Parallel()
	n := normalizer(t, normalize.Any)
	for _, blank := range []string{" ", "\t", "\u0085", "\x00", "\u00a0\r\n"} {
		raw, err := json.Marshal(map[string]any{
			"id": blank, "object": "event", "type": blank, "created": 1_760_000_000, "account": blank, "api_version": blank,
			"data": map[string]any{"object": map[string]any{"id": blank}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []string{blank, "customer.subscription.updated"} {
			raw = []byte(strings.Replace(string(raw), `"type":`+quoted(t, blank), `"type":`+quoted(t, kind), 1))
			m, err := n.Event(raw, receipt())
			if err != nil {
				t.Fatalf("%q: %v", blank, err)
			}
			checkCloudEvent(t, quoted(t, blank), m)
		}
	}
}

func quoted(t *testing.T, s string) string {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
