package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/test/kit/natstest"
)

// dlq runs a command and returns its exit status and its lines of JSON.
func (c *cluster) dlq(t *testing.T, args ...string) (code int, lines []map[string]any) {
	t.Helper()
	code, stdout, stderr := execute(t, "subscriber", c.env(), append([]string{"dlq"}, append(args, "--json")...)...)
	for text := range strings.Lines(stdout) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v in\n%s%s", err, stdout, stderr)
		}
		lines = append(lines, line)
	}
	t.Logf("dlq %s: exit status %d\n%s%s", strings.Join(args, " "), code, stdout, stderr)
	return code, lines
}

// giveUp does what an older subscriber does with a message that it cannot read: it makes
// a letter, without the headers that are new, and acknowledges.
func giveUp(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	consumer, err := js.Consumer(t.Context(), "BILLBUS", durable)
	if err != nil {
		t.Fatal(err)
	}
	msg, err := consumer.Next()
	if err != nil {
		t.Fatal(err)
	}
	meta, err := msg.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	letter := &nats.Msg{Subject: "billbus.dlq." + msg.Subject(), Data: msg.Data(), Header: nats.Header{
		"Billbus-Dlq-Reason": {"schema_version 1 is newer than 0"}, "Billbus-Dlq-Code": {"unreadable"}, "Billbus-Dlq-Stream": {"BILLBUS"},
		"Billbus-Dlq-Sequence": {fmt.Sprint(meta.Sequence.Stream)}, "Billbus-Dlq-Subject": {msg.Subject()},
		"Billbus-Dlq-Consumer": {durable}, "Billbus-Dlq-Deliveries": {"1"}, "Billbus-Dlq-Time": {"2026-01-01T00:00:00Z"},
	}}
	if _, err := js.PublishMsg(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	if err := msg.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestDeadLettersAreAppliedAfterAnUpgrade also has a letter that no release can read.
func TestDeadLettersAreAppliedAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	js, db := c.jetStream(t), c.database(t)
	if err := c.subscriber.Terminate(t); err != nil {
		t.Fatal(err)
	}
	accept(t, c.webhookURL, event("evt_1", "sub_1", 1))
	giveUp(t, js)
	c.subscriber.Start(t)
	ready(t, c.subAdmin)
	if _, err := js.Publish(t.Context(), "subscription.updated", []byte("poison")); err != nil {
		t.Fatal(err)
	}
	c.drained(t)
	other, err := js.CreateConsumer(t.Context(), "BILLBUS", jetstream.ConsumerConfig{Durable: "other", FilterSubject: "subscription.*", DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	code, list := c.dlq(t, "list", "--code", "unreadable", "--since", "1h")
	if code != 0 || len(list) != 3 || list[0]["event_id"] != "evt_1" || list[1]["subject"] != "subscription.updated" || list[2]["letters"] != 2.0 {
		t.Fatalf("list: got %d, %v", code, list)
	}
	code, shown := c.dlq(t, "show", "1", "--payload")
	if code != 0 || !strings.Contains(fmt.Sprint(shown[0]["payload"]), `"id":"sub_1"`) {
		t.Errorf("show: got %d, %v", code, shown)
	}
	for _, want := range []map[string]any{{"redriven": 1.0, "failed": 1.0}, {"failed": 1.0}} {
		code, results := c.dlq(t, "redrive", "--all")
		if got := results[len(results)-1]["results"]; code != 1 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("redrive: got %d, %v, want 1, %v", code, got, want)
		}
	}
	if code, results := c.dlq(t, "redrive", "1"); code != 0 || results[0]["outcome"] != "earlier" {
		t.Errorf("redriving a letter again: got %d, %v", code, results)
	}
	if code, _, stderr := execute(t, "subscriber", c.env(), "dlq", "discard", "2"); code != 2 || !strings.Contains(stderr, "--yes") {
		t.Errorf("discard without a terminal: got %d, %s", code, stderr)
	}
	if code, _ := c.dlq(t, "discard", "2", "--yes", "--by", "ann"); code != 0 {
		t.Errorf("discard: got %d", code)
	}
	c.checkRedriven(t)
	if n := natstest.Count(t, js, "BILLBUS_DLQ"); n != 0 {
		t.Errorf("got %d dead letters, want none", n)
	}
	if info, err := other.Info(t.Context()); err != nil || info.NumPending+info.Delivered.Consumer != 0 {
		t.Errorf("another consumer got %+v, %v", info, err)
	}
	type record struct {
		Stream int64  `bson:"stream_sequence"`
		Code   string `bson:"code"`
		Action string `bson:"action"`
		Event  string `bson:"event_id"`
		By     string `bson:"by"`
		At     bson.DateTime
	}
	records := docs[record](t, db.Collection("dead_letters"))
	if len(records) != 2 || records[0].Event != "evt_1" || records[0].Action != "redriven" || !strings.Contains(records[0].By, "@") || records[0].At == 0 {
		t.Fatalf("got records %+v", records)
	}
	if r := records[1]; r.Action != "discarded" || r.By != "ann" || r.Stream != 2 || r.Code != "unreadable" {
		t.Errorf("got record %+v", r)
	}
}

// checkRedriven checks that the event is stored as if it had been delivered, once.
func (c *cluster) checkRedriven(t *testing.T) {
	t.Helper()
	type stored struct {
		Event    string `bson:"event_id"`
		Sequence int64  `bson:"stream_sequence"`
	}
	if found := audit[stored](t, c.database(t)); len(found) != 1 || found[0] != (stored{"evt_1", 1}) {
		t.Errorf("got audit documents %+v, want evt_1 of message 1", found)
	}
	type record struct {
		Version struct {
			N int64 `bson:"n"`
		} `bson:"version"`
	}
	if found := records[record](t, c.database(t)); len(found) != 1 || found[0].Version.N != 1 {
		t.Errorf("got records %+v, want one that was written once", found)
	}
	if code, findings, _ := c.verify(t); code != 0 || len(findings) != 0 {
		t.Errorf("verify: got %d, %v", code, findings)
	}
}
