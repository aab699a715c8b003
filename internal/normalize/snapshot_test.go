package normalize_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/normalize"
)

const subscriptionRead = `{"id":"sub_1","object":"subscription","livemode":false,"status":"active","customer":"cus_1",` +
	`"latest_invoice":{"id":"in_1","hosted_invoice_url":"https://pay.example/secret"},` +
	`"items":{"object":"list","data":[{"id":"si_1","price":{"id":"price_1"}}],"has_more":false}}`

func reading() normalize.Reading {
	at := time.Date(2026, 1, 2, 4, 4, 5, 678_901_234, time.FixedZone("CET", 3600))
	return normalize.Reading{
		APIVersion: "2025-09-30.clover", At: at, Origin: events.OriginThin, Reason: events.ReasonThin, ReceivedAt: at.Add(time.Second),
	}
}

func snapshot(t *testing.T, raw string, r normalize.Reading) events.Message {
	t.Helper()
	m, err := normalizer(t, options()).Snapshot([]byte(raw), r)
	if err != nil {
		t.Fatalf("Snapshot: %v", err)
	}
	return m
}

func TestSnapshotMessage(t *testing.T) {
	t.Parallel()
	got := snapshot(t, subscriptionRead, reading())
	if !regexp.MustCompile(`^snap_[0-9a-f]{32}$`).MatchString(got.ID) {
		t.Errorf("got id %q", got.ID)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	sum := sha256.Sum256([]byte(subscriptionRead))
	want := events.Message{
		SpecVersion: events.SpecVersion, ID: got.ID, Source: "/stripe/platform/test", Type: "subscription.snapshot", Subject: "sub_1",
		Time: at, DataContentType: events.DataContentType, StripeAPIVersion: "2025-09-30.clover",
		Data: events.Data{
			SchemaVersion: events.SchemaVersion, Normalizer: normalize.Rules, Origin: "thin", Reason: "thin", ReadAt: at,
			EventSHA256: hex.EncodeToString(sum[:]), Redactions: []string{"latest_invoice.hosted_invoice_url"},
			ReceivedAt: time.Date(2026, 1, 2, 3, 4, 6, 678_000_000, time.UTC),
			Object: json.RawMessage(`{"id":"sub_1","object":"subscription","livemode":false,"status":"active","customer":"cus_1",` +
				`"latest_invoice":{"id":"in_1","hosted_invoice_url":"[redacted]"},` +
				`"items":{"object":"list","data":[{"id":"si_1","price":{"id":"price_1"}}],"has_more":false}}`),
			Subscription: &events.Subscription{
				ID: "sub_1", CustomerID: "cus_1", Status: "active", Access: "granted", LatestInvoiceID: "in_1",
				Items: []events.Item{{ID: "si_1", PriceID: "price_1"}},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	encoded, err := events.Encode(got)
	if err != nil {
		t.Fatal(err)
	}
	if decoded, err := events.Decode(encoded); err != nil || !cmp.Equal(decoded, got) {
		t.Errorf("decoded: got %v (-want +got):\n%s", err, cmp.Diff(got, decoded))
	}
}

// The same state, read again within a second, is the same message.
func TestSnapshotIDDependsOnStateAndSecond(t *testing.T) {
	t.Parallel()
	first := snapshot(t, subscriptionRead, reading()).ID
	same := reading()
	same.At = same.At.Add(300 * time.Millisecond)
	same.Reason, same.APIVersion = events.ReasonItemsTruncated, "2026-06-24.dahlia"
	if got := snapshot(t, `{"unknown":1,`+subscriptionRead[1:], same).ID; got != first {
		t.Errorf("got %s and %s for one state in one second", first, got)
	}
	ids := map[string]bool{first: true}
	later, connected, because := reading(), reading(), reading()
	because.BecauseOf = "evt_1"
	if got := snapshot(t, subscriptionRead, because); got.ID == first || got.Data.BecauseOf != "evt_1" {
		t.Errorf("got %s because of %q", got.ID, got.Data.BecauseOf)
	}
	later.At = later.At.Add(time.Second)
	connected.Account = "acct_1"
	for raw, r := range map[string]normalize.Reading{
		subscriptionRead: later, subscriptionRead + " ": connected,
		`{"id":"sub_2","object":"subscription","livemode":false}`:                   reading(),
		`{"id":"sub_2","object":"subscription","livemode":true}`:                    reading(),
		`{"id":"sub_2","object":"subscription","livemode":false,"status":"paused"}`: reading(),
	} {
		ids[snapshot(t, raw, r).ID] = true
	}
	if len(ids) != 6 {
		t.Errorf("got %d ids, want 6 different ones", len(ids))
	}
}

func TestSnapshotUsesTheModeOfTheRequestIfTheObjectHasNone(t *testing.T) {
	t.Parallel()
	r := reading()
	r.Livemode, r.Account = true, "acct_1"
	got := snapshot(t, `{"id":"sub_1","object":"subscription"}`, r)
	if got.Source != "/stripe/acct_1/live" || !got.Data.Subscription.Livemode || got.Data.Subscription.AccountID != "acct_1" {
		t.Errorf("got source %s, subscription %+v", got.Source, got.Data.Subscription)
	}
	if got := snapshot(t, subscriptionRead, r); got.Livemode {
		t.Error("got live mode for an object in test mode")
	}
}

func TestSnapshotThatIsNotAdmittedCannotBePublished(t *testing.T) {
	t.Parallel()
	o := options()
	o.Livemode, o.Accounts = normalize.Live, []string{normalize.Platform}
	connected := reading()
	connected.Account, connected.Livemode = "acct_1", true
	for raw, tt := range map[string]struct {
		reading normalize.Reading
		want    string
	}{
		subscriptionRead:                         {reading(), events.IgnoredLivemode},
		`{"id":"sub_1","object":"subscription"}`: {connected, events.IgnoredAccount},
	} {
		got, err := normalizer(t, o).Snapshot([]byte(raw), tt.reading)
		if err != nil || got.Data.Ignored != tt.want {
			t.Errorf("got ignored %q, %v, want %s", got.Data.Ignored, err, tt.want)
		}
		if _, err := events.Encode(got); err == nil {
			t.Errorf("%s: got a message that can be published", tt.want)
		}
	}
}

func TestSnapshotOfAnAccountThatASecretNamesIsAdmitted(t *testing.T) {
	t.Parallel()
	o := options()
	o.Accounts, o.Named = []string{normalize.Platform}, func(account string) bool { return account == "acct_1" }
	r := reading()
	r.Account = "acct_1"
	got, err := normalizer(t, o).Snapshot([]byte(subscriptionRead), r)
	if err != nil || got.Data.Ignored != "" || got.StripeAccount != "acct_1" {
		t.Errorf("got ignored %q of %q, %v", got.Data.Ignored, got.StripeAccount, err)
	}
}

func TestSnapshotOfSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"not JSON": `{`, "null": `null`, "list": `[]`, "another object": `{"id":"in_1","object":"invoice"}`,
		"no id": `{"object":"subscription"}`, "deleted": `{"id":"in_1","object":"invoice","deleted":true}`,
	} {
		if _, err := normalizer(t, options()).Snapshot([]byte(raw), reading()); !errors.Is(err, normalize.ErrNotSnapshot) {
			t.Errorf("%s: got %v, want ErrNotSnapshot", name, err)
		}
	}
	r := reading()
	r.At = time.Time{}
	if _, err := normalizer(t, options()).Snapshot([]byte(subscriptionRead), r); err == nil {
		t.Error("got a snapshot without a time")
	}
}

func TestEventWithoutAccountBelongsToTheOneItWasReadFrom(t *testing.T) {
	t.Parallel()
	r := receipt()
	r.Account = "acct_asked"
	for body, want := range map[string]string{
		`{"id":"evt_1","object":"event","type":"a.b","created":1700000000}`:                       "acct_asked",
		`{"id":"evt_1","object":"event","type":"a.b","created":1700000000,"account":"acct_says"}`: "acct_says",
	} {
		got, err := normalizer(t, options()).Event([]byte(body), r)
		if err != nil || got.StripeAccount != want || got.Source != "/stripe/"+want+"/test" {
			t.Errorf("got account %q, source %s, %v, want %s", got.StripeAccount, got.Source, err, want)
		}
	}
}

func TestSnapshotEvent(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"snapshot_event":"evt_1"}`:                                   "evt_1",
		`{"snapshot_event":{"id":"evt_1","object":"event"}}`:           "evt_1",
		`{"data":{"snapshot_event":"evt_1"}}`:                          "evt_1",
		`{"snapshot_event":null,"data":{"snapshot_event":"evt_1"}}`:    "evt_1",
		`{"snapshot_event":"evt_1","data":{"snapshot_event":"evt_2"}}`: "evt_1",
		`{"snapshot_event":7,"data":[]}`:                               "",
		`{"data":null}`:                                                "",
		`[]`:                                                           "",
		`{`:                                                            "",
		``:                                                             "",
	} {
		if got := normalize.SnapshotEvent(json.RawMessage(raw)); got != want {
			t.Errorf("%s: got %q, want %q", raw, got, want)
		}
	}
}
