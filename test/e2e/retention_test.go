package e2e_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/billbus/billbus/test/kit"
)

// TestRetentionRemovesOnlyWhatNoStateRestsOn sends events of months ago, and lets
// a subscriber forget them.
func TestRetentionRemovesOnlyWhatNoStateRestsOn(t *testing.T) {
	t.Parallel()
	c := newCluster(t).up(t)
	start := time.Now().Add(-100 * 24 * time.Hour).Unix()
	for n := range 30 {
		object := fmt.Sprintf(`{"id":"sub_%d","object":"subscription","status":"active","created":%d,"livemode":false,"metadata":{"n":"%d"},"items":{"object":"list","data":[]}}`, n%3, start, n)
		body := fmt.Sprintf(`{"id":"evt_%d","object":"event","api_version":"2023-10-16","created":%d,"livemode":false,"type":"customer.subscription.updated","data":{"object":%s}}`,
			n, start+int64(n)*86400, object)
		if got, answer := post(c.webhookURL, []byte(body)); got != http.StatusOK {
			t.Fatalf("got %d %s", got, answer)
		}
	}
	drained(t, jetStream(t, c.natsURL))
	db := database(t, c.mongoURI)
	before := comparable(t, db.Collection("subscriptions"))
	if err := c.subscriber.terminate(t); err != nil {
		t.Fatal(err)
	}
	c.subscriber.env = append(c.subscriber.env, "AUDIT_RETENTION=40d")
	c.subscriber.start(t)
	kit.Eventually(t, "the old ones are gone", func() bool {
		// The state of a subscription rests on its last event and the one before.
		n, err := db.Collection("webhook_events").CountDocuments(t.Context(), bson.D{})
		return err == nil && n == 6
	})
	kit.Eventually(t, "subscriber is ready again", func() bool { return status(c.subAdmin+"/readyz") == http.StatusOK })
	if code, findings, summary := c.verify(t); code != 0 || summary["unverifiable"] != 0.0 {
		t.Errorf("verify: got %d, %v, %v", code, summary, findings)
	}
	for key, doc := range comparable(t, db.Collection("subscriptions")) {
		if doc != before[key] {
			t.Errorf("%s changed from\n%s to\n%s", key, before[key], doc)
		}
	}
}
