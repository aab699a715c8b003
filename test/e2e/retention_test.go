package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/test/kit"
)

// TestRetentionKeepsWhatRecordsNeed sends old events, and restarts the subscriber with a
// retention period.
func TestRetentionKeepsWhatRecordsNeed(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	start := time.Now().Add(-100 * 24 * time.Hour).Unix()
	for n := range 30 {
		object := fmt.Sprintf(`{"id":"sub_%d","object":"subscription","status":"active","created":%d,"livemode":false,"metadata":{"n":"%d"},"items":{"object":"list","data":[]}}`, n%3, start, n)
		body := fmt.Sprintf(`{"id":"evt_%d","object":"event","api_version":"2023-10-16","created":%d,"livemode":false,"type":"customer.subscription.updated","data":{"object":%s}}`,
			n, start+int64(n)*86400, object)
		accept(t, c.webhookURL, []byte(body))
	}
	c.drained(t)
	db := c.database(t)
	before := comparable(t, db.Collection("subscriptions"))
	if err := c.subscriber.Terminate(t); err != nil {
		t.Fatal(err)
	}
	c.subscriber.Env = append(c.subscriber.Env, "AUDIT_RETENTION=40d")
	c.subscriber.Start(t)
	kit.Eventually(t, "old events are removed", func() bool {
		// Each of the 3 records needs its last event and the one before.
		n, err := db.Collection("webhook_events").CountDocuments(t.Context(), bson.D{})
		return err == nil && n == 6
	})
	ready(t, c.subAdmin)
	if code, findings, summary := c.verify(t); code != 0 || summary["unverifiable"] != 0.0 {
		t.Errorf("verify: got %d, %v, %v", code, summary, findings)
	}
	for key, doc := range comparable(t, db.Collection("subscriptions")) {
		if doc != before[key] {
			t.Errorf("%s changed from\n%s to\n%s", key, before[key], doc)
		}
	}
}
