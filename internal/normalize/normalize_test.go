package normalize_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func options() normalize.Options {
	return normalize.Options{
		Livemode:   normalize.Any,
		Accounts:   []string{normalize.Any},
		RedactKeys: []string{"hosted_invoice_url", "invoice_pdf", "receipt_url"},
		UserIDKeys: []string{"user_id", "userId", "userid", "uid"}, ClientReference: normalize.ClientReferenceAPI,
	}
}

func normalizer(t testing.TB, o normalize.Options) *normalize.Normalizer {
	t.Helper()
	n, err := normalize.New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return n
}

func receipt() normalize.Receipt {
	at := time.Date(2026, 1, 2, 4, 4, 5, 678_901_234, time.FixedZone("CET", 3600))
	return normalize.Receipt{Endpoint: "main", Origin: events.OriginWebhook, ReceivedAt: at}
}

// message normalizes an event with options that admit everything.
func message(t testing.TB, raw string) events.Message {
	t.Helper()
	m, err := normalizer(t, options()).Event([]byte(raw), receipt())
	if err != nil {
		t.Fatalf("Event: %v", err)
	}
	return m
}

// event returns an event about an object.
func event(kind, object string) string {
	return fmt.Sprintf(`{"id":"evt_1","object":"event","created":1700000000,"livemode":false,"type":%q,"data":{"object":%s}}`, kind, object)
}

// subscription normalizes a subscription that has the given fields.
func subscription(t testing.TB, fields string) (*events.Subscription, []string) {
	t.Helper()
	m := message(t, event("customer.subscription.updated", `{"id":"sub_1","object":"subscription"`+fields+`}`))
	return m.Data.Subscription, m.Data.Warnings
}

func fixtures(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string][]byte)
	for _, path := range paths {
		if raw, err := os.ReadFile(path); err != nil {
			t.Fatal(err)
		} else if name := filepath.Base(path); !strings.HasSuffix(name, ".golden.json") {
			files[strings.TrimSuffix(name, ".json")] = raw
		}
	}
	return files
}

func TestGolden(t *testing.T) {
	t.Parallel()
	n := normalizer(t, options())
	for name, raw := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := n.Event(raw, receipt())
			if err != nil {
				t.Fatalf("Event: %v", err)
			}
			roundTrip(t, got)
			got.Data.Event = nil // it is the redacted input file
			golden(t, filepath.Join("testdata", name+".golden.json"), got)
		})
	}
}

func golden(t *testing.T, path string, m events.Message) {
	t.Helper()
	encoded, err := events.Encode(m)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, append(encoded, '\n'), "", "  "); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("differs from %s (rewrite it with -update):\n%s", path, diff)
	}
}

// roundTrip encodes and decodes a message, checks that only the event's whitespace
// changes, and returns the decoded message.
func roundTrip(t *testing.T, m events.Message) events.Message {
	t.Helper()
	payload, err := events.Encode(m)
	if err != nil {
		t.Fatalf("Encode: %v", err)
	}
	back, err := events.Decode(payload)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	var event bytes.Buffer
	if err := json.Compact(&event, m.Data.Event); err != nil {
		t.Fatalf("the event is not JSON: %v", err)
	}
	m.Data.Event = event.Bytes()
	if diff := cmp.Diff(m, back); diff != "" {
		t.Fatalf("Decode(Encode(m)) differs:\n%s", diff)
	}
	return back
}

func TestNotAnEvent(t *testing.T) {
	t.Parallel()
	n := normalizer(t, options())
	deep := strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001)
	for name, raw := range map[string]string{
		"nothing":             ``,
		"null":                `null`,
		"empty object":        `{}`,
		"array":               `[]`,
		"array of an event":   `[` + event("a.b", `{}`) + `]`,
		"string":              `"x"`,
		"number":              `1`,
		"truncated":           event("a.b", `{}`)[:60],
		"trailing garbage":    event("a.b", `{}`) + `}`,
		"two events":          event("a.b", `{}`) + event("a.b", `{}`),
		"byte order mark":     "\uFEFF" + event("a.b", `{}`),
		"invalid UTF-8":       "\xff" + event("a.b", `{}`),
		"nested too deeply":   event("a.b", deep),
		"too deep in message": event("a.b", deep[10:len(deep)-10]),
		"no id":               `{"object":"event","created":1,"type":"a.b"}`,
		"id null":             `{"id":null,"object":"event","created":1,"type":"a.b"}`,
		"id empty":            `{"id":"","object":"event","created":1,"type":"a.b"}`,
		"id a number":         `{"id":1,"object":"event","created":1,"type":"a.b"}`,
		"id in capitals":      `{"ID":"evt_1","object":"event","created":1,"type":"a.b"}`,
		"id overwritten":      `{"id":"evt_1","object":"event","created":1,"type":"a.b","id":null}`,
		"no type":             `{"id":"evt_1","object":"event","created":1}`,
		"type empty":          `{"id":"evt_1","object":"event","created":1,"type":""}`,
		"type a number":       `{"id":"evt_1","object":"event","created":1,"type":2}`,
		"no object":           `{"id":"evt_1","created":1,"type":"a.b"}`,
		"another object":      `{"id":"evt_1","object":"subscription","created":1,"type":"a.b"}`,
		"object a list":       `{"id":"evt_1","object":["event"],"created":1,"type":"a.b"}`,
		"no created":          `{"id":"evt_1","object":"event","type":"a.b"}`,
		"created null":        `{"id":"evt_1","object":"event","created":null,"type":"a.b"}`,
		"created a word":      `{"id":"evt_1","object":"event","created":"now","type":"a.b"}`,
		"created empty":       `{"id":"evt_1","object":"event","created":"","type":"a.b"}`,
		"created RFC 3339":    `{"id":"evt_1","object":"event","created":"2024-01-01T00:00:00Z","type":"a.b"}`,
		"created fractional":  `{"id":"evt_1","object":"event","created":1700000000.5,"type":"a.b"}`,
		"created a boolean":   `{"id":"evt_1","object":"event","created":true,"type":"a.b"}`,
		"created too late":    `{"id":"evt_1","object":"event","created":253402300800,"type":"a.b"}`,
		"created too early":   `{"id":"evt_1","object":"event","created":-62135596800,"type":"a.b"}`,
		"created huge":        `{"id":"evt_1","object":"event","created":1e300,"type":"a.b"}`,
		"created overflows":   `{"id":"evt_1","object":"event","created":99999999999999999999,"type":"a.b"}`,
		"created long text":   `{"id":"evt_1","object":"event","created":"99999999999999999999","type":"a.b"}`,
		"thin, a word":        `{"id":"evt_1","object":"v2.core.event","created":"now","type":"a.b"}`,
		"thin, year 0":        `{"id":"evt_1","object":"v2.core.event","created":"0000-01-01T00:00:00Z","type":"a.b"}`,
		"thin, year 10000":    `{"id":"evt_1","object":"v2.core.event","created":"9999-12-31T23:59:59-01:00","type":"a.b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := n.Event([]byte(raw), receipt())
			if !errors.Is(err, normalize.ErrNotEvent) {
				t.Errorf("got %+v, %v, want ErrNotEvent", m, err)
			}
			if err != nil && strings.Contains(err.Error(), "evt_1") {
				t.Errorf("got an error that quotes the body: %v", err)
			}
		})
	}
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	at := time.Unix(1700000000, 0).UTC()
	for name, tt := range map[string]struct {
		raw  string
		want events.Message // ID, Source, Type, Subject, Time and the stripe… fields
	}{
		"minimal": {
			`{"id":"evt_1","object":"event","created":1700000000,"type":"a.b"}`,
			events.Message{ID: "evt_1", Source: "/stripe/platform/test", Type: "stripe.a.b", Time: at, StripeType: "a.b"},
		},
		"null data": {
			`{"id":"evt_1","object":"event","created":1700000000,"type":"customer.subscription.updated","data":null,"livemode":null,"account":null}`,
			events.Message{ID: "evt_1", Source: "/stripe/platform/test", Type: "stripe.customer.subscription.updated", Time: at, StripeType: "customer.subscription.updated"},
		},
		"odd data": {
			`{"id":"evt_1","object":"event","created":1700000000,"type":"customer.subscription.updated","data":{"object":["sub_1"]}}`,
			events.Message{ID: "evt_1", Source: "/stripe/platform/test", Type: "stripe.customer.subscription.updated", Time: at, StripeType: "customer.subscription.updated"},
		},
		"created and livemode as strings": {
			`{"id":"evt_1","object":"event","created":"1700000000","type":"a.b","livemode":"true"}`,
			events.Message{ID: "evt_1", Source: "/stripe/platform/live", Type: "stripe.a.b", Time: at, StripeType: "a.b", Livemode: true},
		},
		"created as a whole float": {
			`{"id":"evt_1","object":"event","created":1.7e9,"type":"a.b","livemode":"false"}`,
			events.Message{ID: "evt_1", Source: "/stripe/platform/test", Type: "stripe.a.b", Time: at, StripeType: "a.b"},
		},
		"last of several keys": {
			`{"id":"evt_0","object":"event","created":1,"type":"a.b","i\u0064":"evt_1","created":1700000000}`,
			events.Message{ID: "evt_1", Source: "/stripe/platform/test", Type: "stripe.a.b", Time: at, StripeType: "a.b"},
		},
		"type that is not a valid subject": {
			`{"id":"evt_1","object":"event","created":1700000000,"type":"a..b >"}`,
			events.Message{ID: "evt_1", Source: "/stripe/platform/test", Type: "stripe.unknown", Time: at, StripeType: "a..b >"},
		},
		"connected account": {
			`{"id":"evt_1","object":"event","created":1700000000,"type":"a.b","account":"acct_1","user_id":"acct_2","livemode":true,"api_version":"2020-08-27","data":{"object":{"id":"ch_1"}}}`,
			events.Message{ID: "evt_1", Source: "/stripe/acct_1/live", Type: "stripe.a.b", Subject: "ch_1", Time: at, StripeType: "a.b", StripeAccount: "acct_1", StripeAPIVersion: "2020-08-27", Livemode: true},
		},
		"account in user_id": {
			`{"id":"evt_1","object":"event","created":1700000000,"type":"a.b","user_id":"acct_2"}`,
			events.Message{ID: "evt_1", Source: "/stripe/acct_2/test", Type: "stripe.a.b", Time: at, StripeType: "a.b", StripeAccount: "acct_2"},
		},
		"user_id that is not an account": {
			`{"id":"evt_1","object":"event","created":1700000000,"type":"a.b","user_id":"usr_2"}`,
			events.Message{ID: "evt_1", Source: "/stripe/platform/test", Type: "stripe.a.b", Time: at, StripeType: "a.b"},
		},
		"account in context": {
			`{"id":"evt_1","object":"event","created":1700000000,"type":"a.b","context":"acct_3","user_id":"acct_2"}`,
			events.Message{ID: "evt_1", Source: "/stripe/acct_3/test", Type: "stripe.a.b", Time: at, StripeType: "a.b", StripeAccount: "acct_3"},
		},
		"organization in context": {
			`{"id":"evt_1","object":"event","created":1700000000,"type":"a.b","context":"org_1"}`,
			events.Message{ID: "evt_1", Source: "/stripe/platform/test", Type: "stripe.a.b", Time: at, StripeType: "a.b"},
		},
		"thin": {
			`{"id":"evt_1","object":"v2.core.event","created":"2023-11-14T23:13:20+01:00","type":"v1.customer.subscription.updated","context":"org_1/acct_3","related_object":{"id":"sub_1"},"data":{"object":{"id":"no"}}}`,
			events.Message{ID: "evt_1", Source: "/stripe/acct_3/test", Type: "stripe.v1.customer.subscription.updated", Subject: "sub_1", Time: at, StripeType: "v1.customer.subscription.updated", StripeAccount: "acct_3"},
		},
		"thin with the name of a snapshot event": {
			`{"id":"evt_1","object":"v2.core.event","created":"2023-11-14T22:13:20Z","type":"customer.subscription.updated","related_object":{"id":"sub_1"},"data":{"object":{"id":"sub_1"}}}`,
			events.Message{ID: "evt_1", Source: "/stripe/platform/test", Type: "stripe.customer.subscription.updated", Subject: "sub_1", Time: at, StripeType: "customer.subscription.updated"},
		},
		"test event from the Dashboard": {
			`{"id":"evt_00000000000000","object":"event","created":1700000000,"type":"a.b"}`,
			events.Message{Source: "/stripe/platform/test", Type: "stripe.a.b", Time: at, StripeType: "a.b"},
		},
		"id without digits": {
			`{"id":"evt_","object":"event","created":1700000000,"type":"a.b"}`,
			events.Message{ID: "evt_", Source: "/stripe/platform/test", Type: "stripe.a.b", Time: at, StripeType: "a.b"},
		},
		"id with leading zeros": {
			`{"id":"evt_0001","object":"event","created":1700000000,"type":"a.b"}`,
			events.Message{ID: "evt_0001", Source: "/stripe/platform/test", Type: "stripe.a.b", Time: at, StripeType: "a.b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, sum := message(t, tt.raw), sha256.Sum256([]byte(tt.raw))
			roundTrip(t, got)
			if tt.want.ID == "" { // the id depends on the hash
				tt.want.ID = "evt_00000000000000" + hex.EncodeToString(sum[:])[:12]
			}
			tt.want.SpecVersion, tt.want.DataContentType, tt.want.StripeEndpoint = "1.0", "application/json", "main"
			tt.want.Data = events.Data{
				SchemaVersion: 1, Normalizer: normalize.Rules,
				EventSHA256: hex.EncodeToString(sum[:]),
				Origin:      events.OriginWebhook,
				ReceivedAt:  time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC),
				Event:       json.RawMessage(tt.raw),
				Warnings:    got.Data.Warnings, // tested separately
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnvelopeWarnings(t *testing.T) {
	t.Parallel()
	raw := `{"id":"evt_1","object":"event","created":1,"type":"customer.subscription.updated","livemode":"yes","api_version":1,"account":{},"context":[],"user_id":7,"data":{"object":{"id":{}}}}`
	want := []string{
		"api_version: not a string", "account: not a string", "context: not a string", "user_id: not a string",
		"livemode: not a boolean", "data.object.id: not a string", "data.object.id: missing, so the subscription is unknown",
	}
	if diff := cmp.Diff(want, message(t, raw).Data.Warnings); diff != "" {
		t.Error(diff)
	}
}

func TestInvalidUTF8IsReplacedButTheHashIsOfTheOriginal(t *testing.T) {
	t.Parallel()
	raw := event("customer.subscription.updated", "{\"id\":\"sub_1\",\"description\":\"a\xffb\"}")
	m := message(t, raw)
	roundTrip(t, m)
	if got, want := m.Data.Subscription.Description, "a\uFFFDb"; got != want {
		t.Errorf("description: got %q, want %q", got, want)
	}
	if sum := sha256.Sum256([]byte(raw)); m.Data.EventSHA256 != hex.EncodeToString(sum[:]) {
		t.Error("got a hash of other bytes than the original")
	}
	if diff := cmp.Diff([]string{"body: invalid UTF-8, replaced by U+FFFD"}, m.Data.Warnings); diff != "" {
		t.Error(diff)
	}
}

func TestDeepestEventFitsIntoAMessage(t *testing.T) {
	t.Parallel()
	raw := event("a.b", strings.Repeat(`[`, 9_980)+`{"client_secret":"x"}`+strings.Repeat(`]`, 9_980))
	m := message(t, raw)
	roundTrip(t, m)
	if len(m.Data.Redactions) != 1 || len(m.Data.Redactions[0]) > 500 {
		t.Errorf("redactions: got %q, want one short path", m.Data.Redactions)
	}
}

func TestAdmission(t *testing.T) {
	t.Parallel()
	raw := func(kind, more string) string {
		return strings.Replace(event(kind, `{"id":"sub_1"}`), `"livemode":false`, more, 1)
	}
	for name, tt := range map[string]struct {
		mode     string
		accounts []string
		event    string
		want     string // ignored
	}{
		"test in any":             {"any", []string{"any"}, `"livemode":false`, ""},
		"live in live":            {"live", []string{"platform"}, `"livemode":true`, ""},
		"test in live":            {"live", []string{"platform"}, `"livemode":false`, "livemode"},
		"live in test":            {"test", []string{"platform"}, `"livemode":true`, "livemode"},
		"no mode in live":         {"live", []string{"platform"}, `"pending_webhooks":1`, "livemode"},
		"account, only platform":  {"any", []string{"platform"}, `"account":"acct_1"`, "account"},
		"account in list":         {"any", []string{"platform", "acct_1"}, `"account":"acct_1"`, ""},
		"account not in list":     {"any", []string{"acct_2"}, `"account":"acct_1"`, "account"},
		"platform not in list":    {"any", []string{"acct_2"}, `"livemode":true`, "account"},
		"both wrong":              {"live", []string{"platform"}, `"account":"acct_1"`, "livemode"},
		"any account, wrong mode": {"test", []string{"any"}, `"account":"acct_1","livemode":true`, "livemode"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := normalizer(t, normalize.Options{Livemode: tt.mode, Accounts: tt.accounts, ClientReference: "off"})
			for kind, admitted := range map[string]string{
				"customer.subscription.deleted": "subscription.canceled",
				"invoice.paid":                  "stripe.invoice.paid",
			} {
				m, err := n.Event([]byte(raw(kind, tt.event)), receipt())
				if err != nil {
					t.Fatalf("Event: %v", err)
				}
				roundTrip(t, m)
				want := admitted
				if tt.want != "" {
					want = "stripe." + kind
				}
				if m.Type != want || m.Data.Ignored != tt.want {
					t.Errorf("got %s, ignored %q, want %s, ignored %q", m.Type, m.Data.Ignored, want, tt.want)
				}
				if has := m.Data.Subscription != nil; has != strings.HasPrefix(want, "subscription.") {
					t.Errorf("%s: got a subscription: %t", want, has)
				}
				if has := m.Data.Invoice != nil; has != (want == "stripe.invoice.paid" && tt.want == "") {
					t.Errorf("%s, ignored %q: got an invoice: %t", want, tt.want, has)
				}
			}
		})
	}
}

// TestAccountOfAnEvent checks whose event it is, and that an account that the operator
// has named is admitted.
func TestAccountOfAnEvent(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		event    string // with "context", "account" or nothing
		receipt  string // the account of the secret
		accounts []string
		account  string
		ignored  string
	}{
		"of the secret":                    {"", "acct_1", []string{"platform"}, "acct_1", ""},
		"of the secret, others listed":     {"", "acct_1", []string{"acct_2"}, "acct_1", ""},
		"of the platform":                  {"", "", []string{"platform"}, "", ""},
		"of the platform, only a list":     {"", "", []string{"acct_1"}, "", "account"},
		"organization's own":               {`"context":"org_1"`, "acct_1", []string{"platform"}, "acct_1", ""},
		"member":                           {`"context":"acct_3"`, "", []string{"platform"}, "acct_3", "account"},
		"member, by path":                  {`"context":"org_1/acct_3"`, "", []string{"acct_3"}, "acct_3", ""},
		"connected account of a member":    {`"context":"acct_3/acct_4"`, "", []string{"acct_3"}, "acct_4", "account"},
		"member, whatever the secret":      {`"context":"acct_3"`, "acct_1", []string{"any"}, "acct_3", ""},
		"member that a secret names":       {`"context":"acct_named"`, "", []string{"platform"}, "acct_named", ""},
		"account before context":           {`"account":"acct_4","context":"acct_3"`, "acct_1", []string{"any"}, "acct_4", ""},
		"connected, whatever the secret":   {`"account":"acct_4"`, "acct_1", []string{"platform"}, "acct_4", "account"},
		"no account, in a secret's or any": {`"account":null,"context":null`, "acct_1", []string{"platform"}, "acct_1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options()
			o.Accounts, o.Named = tt.accounts, func(account string) bool { return account == "acct_named" }
			raw := event("customer.subscription.updated", `{"id":"sub_1","object":"subscription"}`)
			if tt.event != "" {
				raw = strings.Replace(raw, `"livemode":false`, `"livemode":false,`+tt.event, 1)
			}
			r := receipt()
			r.Account = tt.receipt
			m, err := normalizer(t, o).Event([]byte(raw), r)
			if err != nil || m.StripeAccount != tt.account || m.Data.Ignored != tt.ignored {
				t.Fatalf("got account %q, ignored %q, %v, want %q, %q", m.StripeAccount, m.Data.Ignored, err, tt.account, tt.ignored)
			}
			roundTrip(t, m)
			if m.Data.Subscription != nil && m.Data.Subscription.AccountID != tt.account {
				t.Errorf("got a subscription of %q", m.Data.Subscription.AccountID)
			}
		})
	}
}

func TestContext(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{`{"context":"org_1/acct_3"}`: "org_1/acct_3", `{"context":7}`: "", `{}`: "", ``: ""} {
		if got := normalize.Context([]byte(raw)); got != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
}

func TestSubscriptionSubjects(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"customer.subscription.created":                "subscription.created",
		"customer.subscription.deleted":                "subscription.canceled",
		"customer.subscription.paused":                 "subscription.paused",
		"customer.subscription.pending_update_expired": "subscription.pending_update_expired",
		"customer.subscription.invented_later":         "subscription.invented_later",
		"customer.subscription.canceled":               "stripe.customer.subscription.canceled",
		"customer.subscription.snapshot":               "stripe.customer.subscription.snapshot",
		"customer.subscription.collection.paused":      "stripe.customer.subscription.collection.paused",
		"subscription_schedule.created":                "stripe.subscription_schedule.created",
	} {
		m := message(t, event(kind, `{"id":"sub_1"}`))
		if m.Type != want {
			t.Errorf("%s: got %s, want %s", kind, m.Type, want)
		}
	}
}

func TestNewRequiresOptions(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*normalize.Options){
		"mode":             func(o *normalize.Options) { o.Livemode = "" },
		"accounts":         func(o *normalize.Options) { o.Accounts = nil },
		"client reference": func(o *normalize.Options) { o.ClientReference = "" },
	} {
		o := options()
		remove(&o)
		if _, err := normalize.New(o); err == nil {
			t.Errorf("without %s: got no error", name)
		}
	}
}

// An item, an event of another API or something new can have a type like those of
// subscriptions.
func TestOnlySubscriptionsAreSubscriptions(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		`"subscription"`:      "subscription.updated",
		`null`:                "subscription.updated",
		`"subscription_item"`: "stripe.customer.subscription.updated",
		`""`:                  "stripe.customer.subscription.updated",
		`7`:                   "stripe.customer.subscription.updated",
	} {
		m := message(t, event("customer.subscription.updated", `{"id":"si_1","object":`+kind+`,"status":"active","metadata":{"user_id":"u_1"}}`))
		isOne := want == "subscription.updated"
		if m.Type != want || (m.Data.Subscription != nil) != isOne || (m.Data.Identity != nil) != isOne || (m.Data.Warnings == nil) != isOne {
			t.Errorf("object %s: got %s with %+v, want %s", kind, m.Type, m.Data, want)
		}
		roundTrip(t, m)
	}
	m := message(t, event("customer.subscription.updated", `{"id":"sub_1"}`))
	if m.Type != "subscription.updated" {
		t.Errorf("no type: got %s, want subscription.updated", m.Type)
	}
}
