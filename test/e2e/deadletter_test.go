package e2e_test

import (
	"testing"

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
	} {
		if _, err := js.Publish(t.Context(), "subscription.updated", []byte(payload)); err != nil {
			t.Fatal(err)
		}
	}
	accept(t, c.webhookURL, event("evt_good", "sub_good", 1))
	c.drained(t)
	if got := natstest.Count(t, js, "BILLBUS_DLQ"); got != 4 {
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
	for sequence := uint64(1); sequence <= 4; sequence++ {
		header := natstest.Message(t, js, "BILLBUS_DLQ", sequence).Header
		sequences[header.Get("Billbus-Dlq-Sequence")] = true
		if got := header.Get("Billbus-Dlq-Code"); got != "unreadable" {
			t.Errorf("got code %q, want unreadable", got)
		}
	}
	if len(sequences) != 4 {
		t.Errorf("got letters of %d messages, want 4", len(sequences))
	}
	if got := len(audit[auditDoc](t, c.database(t))); got != 1 {
		t.Errorf("got %d audit documents, want 1", got)
	}
}
