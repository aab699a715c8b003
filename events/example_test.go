package events_test

import (
	"fmt"

	"github.com/billbus/billbus/events"
)

// A consumer binds subscription.* and decodes what it receives. A message can be delivered
// twice: Source and ID identify it.
func ExampleDecode() {
	payload := []byte(`{
		"specversion": "1.0", "id": "evt_1", "source": "/stripe/platform/live", "type": "subscription.updated",
		"time": "2026-01-01T00:00:00Z", "stripetype": "customer.subscription.updated", "livemode": true,
		"data": {
			"schema_version": 1, "origin": "webhook",
			"subscription": {"id": "sub_1", "user_id": "7", "status": "past_due", "access": "grace", "livemode": true}
		}
	}`)

	msg, err := events.Decode(payload)
	if err != nil {
		fmt.Println("never readable, do not try again:", err)
		return
	}
	if sub := msg.Data.Subscription; sub != nil {
		fmt.Printf("%s: user %s now has access %q\n", msg.Key(), sub.UserID, sub.Access)
	}
	// Output: live:platform:evt_1: user 7 now has access "grace"
}
