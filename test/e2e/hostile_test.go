package e2e_test

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"
)

// strange are metadata as applications and people write them.
func strange() map[string]string {
	return map[string]string{
		"a.b": "dot", "$set": "dollar", "$": "", "": "empty key", "emoji \U0001F9FE": "\U0001F600 \U00010348",
		"nul": "a\x00b", "nul\x00key": "x", "lines": "a\r\nb\n\tc", "quotes": `"\"<>&` + "\u2028", "__proto__": "x", "_id": "y", "constructor": "\u007f",
	}
}

func subscriptionEvent(t *testing.T, id, kind string, object map[string]any) []byte {
	t.Helper()
	raw, err := json.Marshal(map[string]any{
		"id": id, "object": "event", "created": 1_760_000_000, "livemode": false, "type": kind, "data": map[string]any{"object": object},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestMetadataComeThroughUnchanged(t *testing.T) {
	t.Parallel()
	a := runStandalone(t, t.TempDir())
	object := map[string]any{
		"id": "sub_1", "object": "subscription", "status": "active", "created": 1_760_000_000, "metadata": strange(),
		"items": map[string]any{"data": []any{map[string]any{"id": "si_1", "metadata": strange(), "price": map[string]any{"id": "price_1"}}}},
	}
	if got, answer := post(a.webhookURL, subscriptionEvent(t, "evt_1", "customer.subscription.created", object)); got != http.StatusOK {
		t.Fatalf("got %d %s", got, answer)
	}
	js := jetStream(t, a.natsURL)
	drained(t, js)
	sub := consumeAll(t, js, 1)[0].Data.Subscription
	db := database(t, a.mongoURI)
	record := rows[stateMetadata](t, db.Collection("subscriptions"))[0]
	audit := rows[bson.M](t, db.Collection("webhook_events"))[0]
	var payload struct {
		Data struct {
			Object struct{ Metadata map[string]string }
		}
	}
	if err := json.Unmarshal([]byte(audit["payload"].(string)), &payload); err != nil {
		t.Fatal(err)
	}
	for where, got := range map[string]map[string]string{
		"stream": sub.Metadata, "stream, item": sub.Items[0].Metadata, "payload in the audit": payload.Data.Object.Metadata,
		"record": record.Metadata.asMap(), "record, item": record.Items[0].Metadata.asMap(),
	} {
		if diff := cmp.Diff(strange(), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", where, diff)
		}
	}
}

type pairs []struct{ K, V string }

func (p pairs) asMap() map[string]string {
	m := make(map[string]string, len(p))
	for _, each := range p {
		m[each.K] = each.V
	}
	return m
}

type stateMetadata struct {
	Metadata pairs
	Items    []struct{ Metadata pairs }
}

// What is hostile in an event is data and stays data: nothing of it becomes a
// part of a subject, a header or a key, and the event is kept all the same.
func TestHostileIdentifiersStayData(t *testing.T) {
	t.Parallel()
	a := runStandalone(t, t.TempDir(), "WEBHOOK_ACCOUNTS=any")
	hostile := map[string]string{
		"wildcards": "sub_>.*", "long": strings.Repeat("x", 5000), "control characters": "sub_\x00\r\nNats-Rollup: all\r\n", "other letters": "süb_é",
		"key of another": "sub_1:x/../y", "spaces": " ",
	}
	sent := 0
	for name, id := range hostile {
		for _, object := range []map[string]any{
			{"id": id, "object": "subscription", "status": "active", "customer": id, "metadata": map[string]any{"user_id": id}},
			{"id": "sub_" + name[:1], "object": "subscription", "status": "active", "customer": id},
		} {
			sent++
			body := subscriptionEvent(t, "evt_"+id+string(rune('a'+sent)), "customer.subscription.updated", object)
			if got, answer := post(a.webhookURL, body); got != http.StatusOK {
				t.Errorf("%s: got %d %s", name, got, answer)
			}
		}
		for _, body := range [][]byte{
			subscriptionEvent(t, "evt_type_"+name[:3], "customer.subscription."+id, map[string]any{"id": "sub_2"}),
			subscriptionEvent(t, "evt_kind_"+name[:3], id, map[string]any{"id": id}),
		} {
			sent++
			if got, answer := post(a.webhookURL, body); got != http.StatusOK {
				t.Errorf("%s: got %d %s", name, got, answer)
			}
		}
		sent++
		account := []byte(strings.Replace(string(subscriptionEvent(t, "evt_account_"+name[:3], "invoice.paid", map[string]any{"id": "in_1"})), `"livemode"`, `"account":`+quoted(t, id)+`,"livemode"`, 1))
		if got, answer := post(a.webhookURL, account); got != http.StatusOK {
			t.Errorf("%s: account: got %d %s", name, got, answer)
		}
	}
	js := jetStream(t, a.natsURL)
	drained(t, js)
	checkPlaces(t, js, sent)
	db := database(t, a.mongoURI)
	key := regexp.MustCompile(`^test:[A-Za-z0-9_]{1,255}:[A-Za-z0-9_-]{1,255}$`)
	audit, records := byKey(rows[bson.M](t, db.Collection("webhook_events"))), byKey(rows[bson.M](t, db.Collection("subscriptions")))
	if len(audit) != sent {
		t.Errorf("got %d audit documents for %d events", len(audit), sent)
	}
	for _, docs := range []map[any]bson.M{audit, records} {
		for id := range docs {
			if !key.MatchString(id.(string)) {
				t.Errorf("got key %q", id)
			}
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

// checkPlaces reads subjects and headers as the server has them.
func checkPlaces(t *testing.T, js jetstream.JetStream, want int) {
	t.Helper()
	stream, err := js.Stream(t.Context(), "BILLBUS")
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != uint64(want) {
		t.Errorf("the stream has %d messages, want %d", got, want)
	}
	subject := regexp.MustCompile(`^(subscription|stripe)(\.[A-Za-z0-9_-]{1,255})+$`)
	header := regexp.MustCompile(`^[A-Za-z0-9_:./+-]{1,511}$`)
	for sequence := uint64(1); sequence <= stream.CachedInfo().State.LastSeq; sequence++ {
		m := storedMessage(t, stream, sequence)
		if !subject.MatchString(m.Subject) {
			t.Errorf("got subject %q", m.Subject)
		}
		for name, values := range m.Header {
			if !header.MatchString(name) || len(values) != 1 || !header.MatchString(values[0]) {
				t.Errorf("got header %q: %q", name, values)
			}
		}
	}
}

func storedMessage(t *testing.T, stream jetstream.Stream, sequence uint64) *nats.Msg {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	raw, err := stream.GetMsg(ctx, sequence)
	if err != nil {
		t.Fatal(err)
	}
	return &nats.Msg{Subject: raw.Subject, Header: raw.Header, Data: raw.Data}
}
