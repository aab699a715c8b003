package e2e_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/test/kit/natstest"
)

// unusual returns metadata with unusual keys and values.
func unusual() map[string]string {
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

func TestMetadataIsUnchangedEverywhere(t *testing.T) {
	t.Parallel()
	a := runStandalone(t, t.TempDir())
	object := map[string]any{
		"id": "sub_1", "object": "subscription", "status": "active", "created": 1_760_000_000, "metadata": unusual(),
		"items": map[string]any{"data": []any{map[string]any{"id": "si_1", "metadata": unusual(), "price": map[string]any{"id": "price_1"}}}},
	}
	accept(t, a.webhookURL, subscriptionEvent(t, "evt_1", "customer.subscription.created", object))
	sub := consumeAll(t, a.drained(t), 1)[0].Data.Subscription
	db := a.database(t)
	record := records[recordMetadata](t, db)[0]
	audited := audit[bson.M](t, db)[0]
	var payload struct {
		Data struct {
			Object struct{ Metadata map[string]string }
		}
	}
	if err := json.Unmarshal([]byte(audited["payload"].(string)), &payload); err != nil {
		t.Fatal(err)
	}
	for where, got := range map[string]map[string]string{
		"stream": sub.Metadata, "stream, item": sub.Items[0].Metadata, "payload in the audit trail": payload.Data.Object.Metadata,
		"record": record.Metadata.asMap(), "record, item": record.Items[0].Metadata.asMap(),
	} {
		if diff := cmp.Diff(unusual(), got); diff != "" {
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

type recordMetadata struct {
	Metadata pairs
	Items    []struct{ Metadata pairs }
}

// A hostile id does not become part of a subject, a header or a key, and the event is
// stored nevertheless.
func TestHostileIDsStayInThePayload(t *testing.T) {
	t.Parallel()
	a := runStandalone(t, t.TempDir(), "WEBHOOK_ACCOUNTS=any")
	sent := 0
	send := func(name string, body []byte) {
		sent++
		if got, answer := post(a.webhookURL, body); got != http.StatusOK {
			t.Errorf("%s: got %d %s", name, got, answer)
		}
	}
	hostile := map[string]string{
		"wildcards": "sub_>.*", "long": strings.Repeat("x", 5000), "control characters": "sub_\x00\r\nNats-Rollup: all\r\n", "other letters": "süb_é",
		"key of another": "sub_1:x/../y", "spaces": " ",
	}
	for name, id := range hostile {
		for _, object := range []map[string]any{
			{"id": id, "object": "subscription", "status": "active", "customer": id, "metadata": map[string]any{"user_id": id}},
			{"id": "sub_" + name[:1], "object": "subscription", "status": "active", "customer": id},
		} {
			send(name, subscriptionEvent(t, "evt_"+id+string(rune('a'+sent)), "customer.subscription.updated", object))
		}
		send(name, subscriptionEvent(t, "evt_type_"+name[:3], "customer.subscription."+id, map[string]any{"id": "sub_2"}))
		send(name, subscriptionEvent(t, "evt_kind_"+name[:3], id, map[string]any{"id": id}))
		invoice := string(subscriptionEvent(t, "evt_account_"+name[:3], "invoice.paid", map[string]any{"id": "in_1"}))
		send(name, []byte(strings.Replace(invoice, `"livemode"`, `"account":`+quoted(t, id)+`,"livemode"`, 1)))
	}
	checkSubjectsAndHeaders(t, a.drained(t), sent)
	db := a.database(t)
	key := regexp.MustCompile(`^test:[A-Za-z0-9_]{1,255}:[A-Za-z0-9_-]{1,255}$`)
	audited := byKey(audit[bson.M](t, db))
	if len(audited) != sent {
		t.Errorf("got %d audit documents for %d events", len(audited), sent)
	}
	for _, docs := range []map[any]bson.M{audited, byKey(records[bson.M](t, db))} {
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

func checkSubjectsAndHeaders(t *testing.T, js jetstream.JetStream, want int) {
	t.Helper()
	if got := natstest.Count(t, js, "BILLBUS"); got != uint64(want) {
		t.Errorf("the stream has %d messages, want %d", got, want)
	}
	subject := regexp.MustCompile(`^(subscription|stripe|access)(\.[A-Za-z0-9_-]{1,255})+$`)
	header := regexp.MustCompile(`^[A-Za-z0-9_:./+-]{1,511}$`)
	info, err := js.Stream(t.Context(), "BILLBUS")
	if err != nil {
		t.Fatal(err)
	}
	for sequence := range info.CachedInfo().State.LastSeq {
		m := natstest.Message(t, js, "BILLBUS", sequence+1)
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
