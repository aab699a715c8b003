package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
)

const (
	bodySize = 990_000
	most     = 200_000 // kB of memory that the bridge may use
)

// Strangers can write signatures that look right, so their bodies have to be read.
func TestLargeBodiesDoNotUseUpTheMemory(t *testing.T) {
	large := largeEvent()
	for name, tt := range map[string]struct {
		clients   int
		signature string
		sent      int // bytes of the body
	}{
		"wrong signatures":              {1000, fmt.Sprintf("t=%d,v1=%064x", time.Now().Unix(), 1), bodySize},
		"bodies without their ends":     {1000, fmt.Sprintf("t=%d,v1=%064x", time.Now().Unix(), 1), bodySize - 1},
		"bodies that do not begin":      {1000, fmt.Sprintf("t=%d,v1=%064x", time.Now().Unix(), 1), 0},
		"long headers":                  {1000, strings.Repeat("x", 250_000), 0},
		"events that Stripe has signed": {200, kit.Sign(large, secret, time.Now()), bodySize},
	} {
		t.Run(name, func(t *testing.T) {
			p, at := startBridge(t, "NATS_URL="+natstest.Start(t).URL())
			f := &flood{addr: at.webhooks, signature: tt.signature, body: large[:tt.sent], end: make(chan struct{}), statuses: map[string]int{}}
			f.start(t, tt.clients)
			for i := range 100 {
				event := smallEvent(i)
				got, err := kit.Post("http://"+at.webhooks+"/webhooks/stripe", event, kit.Sign(event, secret, time.Now()))
				if err != nil || got.Status != http.StatusOK {
					t.Fatalf("a signed webhook during the flood: got %d %s, %v", got.Status, got.Body, err)
				}
			}
			close(f.end)
			f.clients.Wait()
			peak, err := p.PeakMemory()
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("peak %d kB, answers %v", peak, f.statuses)
			if peak > most {
				t.Errorf("got %d kB of memory at the peak, want at most %d", peak, most)
			}
		})
	}
}

// flood is many clients at the same time that send large bodies, or a part of them.
type flood struct {
	addr      string
	signature string
	body      []byte
	end       chan struct{}
	clients   sync.WaitGroup

	mu       sync.Mutex
	statuses map[string]int
}

// start returns when all clients have sent the headers of their requests.
func (f *flood) start(t *testing.T, clients int) {
	t.Helper()
	var begun sync.WaitGroup
	begun.Add(clients)
	for range clients {
		f.clients.Go(func() {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", f.addr)
			if err != nil {
				t.Error(err)
				begun.Done()
				return
			}
			defer func() { _ = conn.Close() }()
			_, _ = fmt.Fprintf(conn, "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nStripe-Signature: %s\r\n\r\n", bodySize, f.signature)
			begun.Done()
			f.send(conn)
		})
	}
	begun.Wait()
}

func (f *flood) send(conn net.Conn) {
	_, _ = conn.Write(f.body)
	if len(f.body) < bodySize {
		<-f.end
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	status := "no answer"
	if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err == nil {
		_ = answer.Body.Close()
		status = answer.Status
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses[status]++
}

func smallEvent(i int) []byte {
	return fmt.Appendf(nil, `{"id":"evt_%d","object":"event","type":"customer.updated","created":1760000000,"livemode":false,`+
		`"data":{"object":{"id":"cus_1","object":"customer"}}}`, i)
}

// largeEvent returns an event of a subscription with as many items as fit.
func largeEvent() []byte {
	const begin = `{"id":"evt_large","object":"event","type":"customer.subscription.updated","created":1760000000,"livemode":false,` +
		`"data":{"object":{"id":"sub_1","object":"subscription","status":"active","items":{"data":[`
	const item, end = `{"id":"si_1","quantity":1,"metadata":{"seat":"a"},"price":{"id":"price_1","unit_amount":100}},`, `{"id":"si_2"}]}}}}`
	event := begin + strings.Repeat(item, (bodySize-len(begin)-len(end))/len(item)) + end
	return append([]byte(event), bytes.Repeat([]byte(" "), bodySize-len(event))...)
}
