package e2e_test

import (
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

// What a subscriber that was killed had in flight comes again after the ack wait, and not
// before. The test prints how long it takes.
func TestSubscriberThatWasKilledCatchesUp(t *testing.T) {
	t.Parallel()
	c := newFragileCluster(t)
	l := startLoad(c.webhookURL, 8, pause/5)
	l.more(t, 300)
	c.subscriber.Kill(t)
	accepted := l.stop(t)
	js := c.jetStream(t)
	pending, inFlight := waiting(t, c)
	start := time.Now()
	c.subscriber.Start(t)
	kit.Drained(t, "the subscriber has caught up", func() (uint64, error) { return natstest.Unsettled(t, js, "BILLBUS", durable) })
	t.Logf("%d messages in flight when the subscriber was killed, %d more waiting; caught up %.1f s after the restart",
		inFlight, pending, time.Since(start).Seconds())
	c.check(t, accepted)
}

func waiting(t *testing.T, c *cluster) (pending uint64, inFlight int) {
	t.Helper()
	consumer, err := c.jetStream(t).Consumer(t.Context(), "BILLBUS", durable)
	if err != nil {
		t.Fatal(err)
	}
	info := consumer.CachedInfo()
	return info.NumPending, info.NumAckPending
}
