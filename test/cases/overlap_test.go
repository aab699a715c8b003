package cases_test

import (
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
)

// TestVersionIsUpgraded sends each event through two endpoints, in two versions. The newer
// one has a field that the older one lacks. It counts, whichever comes first, and consumers
// get both.
func TestVersionIsUpgraded(t *testing.T) {
	t.Parallel()
	const old, newer = "whsec_old_0123456789", "whsec_new_0123456789"
	a := startAlone(t, t.TempDir(), "WEBHOOK_LIVEMODE=any", "STRIPE_WEBHOOK_SECRETS=old="+old+",new="+newer)
	for i := range 20 {
		deliveries := []struct {
			secret string
			body   []byte
		}{{old, rendering(i, "2018-11-08", "")}, {newer, rendering(i, "2026-06-24.dahlia", `"description": "new", `)}}
		if i%2 == 1 {
			deliveries[0], deliveries[1] = deliveries[1], deliveries[0]
		}
		for _, d := range append(deliveries, deliveries...) {
			resp, err := kit.Post(a.webhookURL, d.body, kit.Sign(d.body, d.secret, time.Now()))
			if err != nil || resp.Status != http.StatusOK {
				t.Fatalf("got %d %s, %v", resp.Status, resp.Body, err)
			}
		}
	}
	a.settle(t)
	c := a.content(t)
	for i := range 20 {
		sub, id := fmt.Sprintf("sub_overlap%d", i), fmt.Sprintf("evt_overlap_%d", i)
		if records := c.records[sub]; len(records) != 1 || lookup(records[0], "description") != "new" {
			t.Errorf("%s: got %v, want one record of the newer version", sub, records)
		}
		if docs := c.audit[id]; len(docs) != 1 || lookup(docs[0], "api_version") != "2026-06-24.dahlia" || lookup(docs[0], "endpoint") != "new" {
			t.Errorf("%s: got %v, want one document of the newer version", id, docs)
		}
		if messages := c.messages[id]; len(messages) != 2 {
			t.Errorf("%s: got %d messages, want 2", id, len(messages))
		}
	}
	if metrics := kit.Get(a.url + "/metrics").Body; !regexp.MustCompile(`(?m)^billbus_endpoint_overlap_total 20$`).MatchString(metrics) {
		t.Errorf("got %s, want 20 overlaps", grep(metrics, "billbus_endpoint_overlap_total"))
	}
	a.checkVerify(t, nil)
}

// rendering returns an event of a subscription of its own, with further members of the
// subscription.
func rendering(i int, version, members string) []byte {
	return fmt.Appendf(nil, `{
  "id": "evt_overlap_%d", "object": "event", "type": "customer.subscription.updated", "created": 1760000000, "livemode": false,
  "api_version": %q, "data": {"object": {"id": "sub_overlap%d", "object": "subscription", %s"status": "active", "customer": "cus_1",
  "created": 1750000000}, "previous_attributes": {"status": "past_due"}}
}`, i, version, i, members)
}
