package verdict

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/test/kit/natstest"
)

func TestWhatIsReadFromNATS(t *testing.T) {
	t.Parallel()
	js := natstest.JetStream(t, natstest.Start(t).URL())
	want := fill(t, js)
	var got evidence
	run := Run{JS: js, Stream: "BILLBUS"}
	for _, err := range []error{got.readView(t.Context(), js), got.readMessages(t.Context(), run), got.readLetters(t.Context(), js)} {
		if err != nil {
			t.Error(err)
		}
	}
	if got.begins.IsZero() || time.Since(got.begins) > time.Hour {
		t.Errorf("the stream begins at %s", got.begins)
	}
	want.begins = got.begins
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(evidence{}, letter{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	run.Stream = "MISSING"
	if err := got.readMessages(t.Context(), run); err == nil {
		t.Error("a stream that does not exist: got no error")
	}
}

// fill makes streams and the bucket, and returns what should be read from them.
func fill(t *testing.T, js jetstream.JetStream) evidence {
	t.Helper()
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "BILLBUS", Subjects: []string{"access.*", "stripe.>"}}, {Name: deadLetters, Subjects: []string{"billbus.dlq.>"}},
	} {
		if _, err := js.CreateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	record := events.Record{Subscription: events.Subscription{ID: "sub_1", UserID: "user_1"}, Version: events.RecordVersion{N: 2}}
	doc, before := events.AccessDocument{Access: events.AccessGranted, Revision: 2}, events.AccessDocument{Access: events.AccessNone, Revision: 1}
	m := events.Message{
		SpecVersion: events.SpecVersion, ID: "access_1", Type: events.SubjectAccessGranted, Source: events.Source(false, ""), Time: began,
		DataContentType: events.DataContentType,
		Data:            events.Data{SchemaVersion: events.SchemaVersion, Access: &doc, Origin: events.OriginRecord, ReceivedAt: began},
	}
	encoded, err := events.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, js, "stripe.invoice.paid", nil)
	publish(t, js, m.Type, encoded)
	publish(t, js, "stripe.invoice.paid", nil)
	publish(t, js, "billbus.dlq.stripe.invoice.paid", nil)
	put(t, js, map[string]any{
		"test.platform.sub_1": record, "test.platform.sub_2": 7, "gaps": map[string]any{},
		"access.test.platform.user.user_1": accessEntry{doc, before},
	})
	return evidence{
		states:   map[string]events.Record{"test:platform:sub_1": record, "test:platform:sub_2": {}},
		entries:  map[string]accessEntry{"access:test:platform:user:user_1": {doc, before}},
		messages: []events.Message{m}, letters: []letter{{"billbus.dlq.stripe.invoice.paid", "too large", 1}},
	}
}

func publish(t *testing.T, js jetstream.JetStream, subject string, data []byte) {
	t.Helper()
	msg := &nats.Msg{Subject: subject, Data: data, Header: nats.Header{"Billbus-Dlq-Reason": {"too large"}}}
	if _, err := js.PublishMsg(t.Context(), msg); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, js jetstream.JetStream, values map[string]any) {
	t.Helper()
	bucket, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: events.StateBucket})
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range values {
		raw, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bucket.Put(t.Context(), key, raw); err != nil {
			t.Fatal(err)
		}
	}
}
