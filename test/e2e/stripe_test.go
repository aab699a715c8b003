package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
)

const epoch = 1760000000

// event returns the n-th update of a subscription.
func event(id, subscription string, n int) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","type":"customer.subscription.updated","created":%d,"livemode":false,`+
		`"api_version":"2025-09-30.clover","pending_webhooks":1,"request":{"id":"req_1","idempotency_key":"key_1"},`+
		`"data":{"object":{"id":%q,"object":"subscription","status":"active","customer":"cus_1","created":%d,`+
		`"metadata":{"user_id":"user_1","n":"%d","email":"private@example.com"},"items":{"object":"list","data":[`+
		`{"id":"si_1","object":"subscription_item","quantity":1,"price":{"id":"price_1","product":"prod_1","unit_amount":1000}}]}}}}`,
		id, epoch+10*n, subscription, epoch, n)
}

// post sends a signed webhook. Status 0 means that there was no answer.
func post(url string, body []byte) (status int, answer string) {
	resp, err := kit.Post(url, body, kit.Sign(body, secret, time.Now()))
	if err != nil {
		return 0, err.Error()
	}
	return resp.Status, resp.Body
}

// accept sends a webhook that must be answered 200, and returns the answer.
func accept(t *testing.T, url string, body []byte) string {
	t.Helper()
	status, answer := post(url, body)
	if status != http.StatusOK {
		t.Fatalf("got %d %s", status, answer)
	}
	return answer
}

// load sends events of some subscriptions until stop is called. Like Stripe it sends
// each again until it is answered 200, and it remembers those. Each worker pauses
// between events, because the subscriber has to catch up after an outage.
type load struct {
	url      string
	sent     atomic.Int64
	mu       sync.Mutex
	accepted map[string]bool
	refused  map[int]int // number of answers other than 200, by status
	work     sync.WaitGroup
	ending   chan struct{}
}

const subscriptions = 20

func startLoad(url string, workers int, pause time.Duration) *load {
	l := &load{url: url, accepted: map[string]bool{}, refused: map[int]int{}, ending: make(chan struct{})}
	for w := range workers {
		l.work.Go(func() {
			for n := 0; l.wait(pause); n++ {
				id := fmt.Sprintf("evt_%d_%d", w, n)
				l.deliver(id, event(id, fmt.Sprintf("sub_%d", (w+n*workers)%subscriptions), n))
			}
		})
	}
	return l
}

// wait pauses, and reports false when the load ends.
func (l *load) wait(pause time.Duration) bool {
	select {
	case <-l.ending:
		return false
	case <-time.After(pause):
		return true
	}
}

func (l *load) deliver(id string, body []byte) {
	for {
		status, _ := post(l.url, body)
		l.note(id, status)
		if status == http.StatusOK || !l.wait(20*time.Millisecond) { // Stripe waits longer
			return
		}
	}
}

func (l *load) note(id string, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if status == http.StatusOK {
		l.accepted[id] = true
		l.sent.Add(1)
		return
	}
	l.refused[status]++
}

// stop ends the load and returns the ids of the events that were answered 200.
func (l *load) stop(t *testing.T) map[string]bool {
	t.Helper()
	close(l.ending)
	l.work.Wait()
	for status, n := range l.refused {
		if status != 0 && status != http.StatusServiceUnavailable {
			t.Errorf("%d webhooks were answered %d", n, status)
		}
	}
	return l.accepted
}

// more waits until n more events are accepted.
func (l *load) more(t *testing.T, n int64) {
	t.Helper()
	target := l.sent.Load() + n
	kit.Eventually(t, fmt.Sprintf("%d more events are accepted", n), func() bool { return l.sent.Load() >= target })
}
