package e2e_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
)

const epoch = 1760000000

// event renders the n-th update of a subscription.
func event(id, subscription string, n int) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","type":"customer.subscription.updated","created":%d,"livemode":false,`+
		`"api_version":"2025-09-30.clover","pending_webhooks":1,"request":{"id":"req_1","idempotency_key":"key_1"},`+
		`"data":{"object":{"id":%q,"object":"subscription","status":"active","customer":"cus_1","created":%d,`+
		`"metadata":{"user_id":"user_1","n":"%d","email":"private@example.com"},"items":{"object":"list","data":[`+
		`{"id":"si_1","object":"subscription_item","quantity":1,"price":{"id":"price_1","product":"prod_1","unit_amount":1000}}]}}}}`,
		id, epoch+10*n, subscription, epoch, n)
}

func sign(body []byte, at time.Time) string {
	h := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(h, "%d.", at.Unix())
	h.Write(body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(h.Sum(nil)))
}

// post sends a signed webhook; status 0 means that there was no answer.
func post(url string, body []byte) (status int, answer string) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	req.Header.Set("Stripe-Signature", sign(body, time.Now()))
	resp, err := (&http.Client{Timeout: 10 * time.Second}).Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(text)
}

// load posts events of some subscriptions until stop, sending each again until
// it is answered 200, as Stripe does, and remembers which were. Each worker
// pauses between events: what piles up in an outage has to be caught up with.
type load struct {
	sent     atomic.Int64
	mu       sync.Mutex
	accepted map[string]bool
	refused  map[int]int // answers other than 200, by status
	work     sync.WaitGroup
	ending   chan struct{}
}

const subscriptions = 20

func startLoad(t *testing.T, url string, workers int, pause time.Duration) *load {
	t.Helper()
	l := &load{accepted: map[string]bool{}, refused: map[int]int{}, ending: make(chan struct{})}
	for w := range workers {
		l.work.Go(func() {
			for n := 0; !l.ended(); n++ {
				sub := (w + n*workers) % subscriptions
				id := fmt.Sprintf("evt_%d_%d", w, n)
				l.deliver(url, id, event(id, fmt.Sprintf("sub_%d", sub), n))
				time.Sleep(pause)
			}
		})
	}
	return l
}

func (l *load) ended() bool {
	select {
	case <-l.ending:
		return true
	default:
		return false
	}
}

func (l *load) deliver(url, id string, body []byte) {
	for {
		status, _ := post(url, body)
		l.note(id, status)
		if status == http.StatusOK || l.ended() {
			return
		}
		time.Sleep(20 * time.Millisecond) // Stripe waits longer
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

// stop ends the load and returns the ids that were answered 200.
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
