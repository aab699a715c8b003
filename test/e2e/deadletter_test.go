package e2e_test

import (
	"net/http"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestUnreadableMessagesBecomeDeadLettersOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t).up(t)
	js := jetStream(t, c.natsURL)
	for _, payload := range []string{
		"not JSON",
		`{"specversion":"1.0","id":"evt_1"}`,
		`{"specversion":"1.0","id":"evt_1","source":"/stripe/platform/test","type":"subscription.updated","time":"2026-01-01T00:00:00Z","livemode":false,"data":{"schema_version":99,"origin":"webhook"}}`,
		"\xff\xfe",
	} {
		if _, err := js.Publish(t.Context(), "subscription.updated", []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	if got, body := post(c.webhookURL, event("evt_good", "sub_good", 1)); got != http.StatusOK {
		t.Fatalf("got %d %s", got, body)
	}
	drained(t, js)
	if got := count(t, js, "BILLBUS_DLQ"); got != 4 {
		t.Errorf("got %d dead letters, want 4", got)
	}
	consumer, err := js.Consumer(t.Context(), "BILLBUS", durable)
	if err != nil {
		t.Fatal(err)
	}
	if floor := consumer.CachedInfo().AckFloor.Stream; floor != 5 {
		t.Errorf("got ack floor %d, want 5", floor)
	}
	sequences := map[string]bool{}
	stream, err := js.Stream(t.Context(), "BILLBUS_DLQ")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 4; seq++ {
		var letter *jetstream.RawStreamMsg
		if letter, err = stream.GetMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
		sequences[letter.Header.Get("Billbus-Dlq-Sequence")] = true
	}
	if len(sequences) != 4 {
		t.Errorf("got letters of %d messages, want 4", len(sequences))
	}
	if got := len(rows[auditRow](t, database(t, c.mongoURI).Collection("webhook_events"))); got != 1 {
		t.Errorf("got %d audit documents, want 1", got)
	}
}
