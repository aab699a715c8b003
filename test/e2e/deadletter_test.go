package e2e_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/billbus/billbus/test/kit/natstest"
)

func TestUnreadableMessagesBecomeDeadLettersOnce(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	js := c.jetStream(t)
	for _, payload := range []string{
		"not JSON",
		`{"specversion":"1.0","id":"evt_1"}`,
		`{"specversion":"1.0","id":"evt_1","source":"/stripe/platform/test","type":"subscription.updated","time":"2026-01-01T00:00:00Z","livemode":false,"data":{"schema_version":99,"origin":"webhook"}}`,
		"\xff\xfe",
		strings.Repeat("[", 900_000),
		`{"specversion":"1.0","id":1e999999,"data":{"schema_version":` + strings.Repeat("9", 400) + `}}`,
	} {
		msg := nats.NewMsg("subscription.updated")
		msg.Data, msg.Header = []byte(payload), nats.Header{"Billbus-Account": {strings.Repeat("x", 60_000), "y"}, "Billbus-Dlq-Code": {"x"}}
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	accept(t, c.webhookURL, event("evt_good", "sub_good", 1))
	c.drained(t)
	if got := natstest.Count(t, js, "BILLBUS_DLQ"); got != 6 {
		t.Errorf("got %d dead letters, want 6", got)
	}
	consumer, err := js.Consumer(t.Context(), "BILLBUS", durable)
	if err != nil {
		t.Fatal(err)
	}
	if floor := consumer.CachedInfo().AckFloor.Stream; floor != 7 {
		t.Errorf("got ack floor %d, want 7", floor)
	}
	sequences := map[string]bool{}
	for sequence := uint64(1); sequence <= 6; sequence++ {
		header := natstest.Message(t, js, "BILLBUS_DLQ", sequence).Header
		sequences[header.Get("Billbus-Dlq-Sequence")] = true
		if got := header.Get("Billbus-Dlq-Code"); got != "unreadable" {
			t.Errorf("got code %q, want unreadable", got)
		}
	}
	if len(sequences) != 6 {
		t.Errorf("got letters of %d messages, want 6", len(sequences))
	}
	if got := len(audit[auditDoc](t, c.database(t))); got != 1 {
		t.Errorf("got %d audit documents, want 1", got)
	}
}
