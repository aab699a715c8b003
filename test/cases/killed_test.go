package cases_test

import (
	"sync"
	"testing"
	"time"
)

// TestKilledBetween kills standalone while it receives copies of an event, starts it again, and
// sends all of them again.
func TestKilledBetween(t *testing.T) {
	t.Parallel()
	const copies = 60
	random, s := seeded(t), loadStory(t, "killed-between")
	var orders []order
	for range copies {
		orders = append(orders, order{s, []int{0}, s.renamed(random, false)})
	}
	a := startAlone(t, t.TempDir(), "WEBHOOK_LIVEMODE=any")
	var sending sync.WaitGroup
	for _, o := range orders {
		// Some are answered, and others are not.
		sending.Go(func() { _, _ = a.send(o.bodies()[0]) })
	}
	<-time.After(80 * time.Millisecond)
	a.process.Kill(t)
	sending.Wait()
	a.start(t)
	began := time.Now()
	a.sendAll(t, orders)
	a.settle(t)
	t.Logf("everything was stored %s after the restart", time.Since(began).Round(time.Millisecond))
	c := a.content(t)
	check(t, c, orders)
	for what, got := range map[string]map[string][]any{"messages": c.messages, "records": c.records, "audit documents": c.audit} {
		n := 0
		for _, docs := range got {
			n += len(docs)
		}
		if n != copies {
			t.Errorf("got %d %s of %d events", n, what, copies)
		}
	}
}
