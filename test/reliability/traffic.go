package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/billbus/billbus/internal/stripesim"
)

// duplicates is the share of events that Stripe sends more than once.
const duplicates = 0.05

// history returns events of simulated subscriptions: about so many, with the repetitions.
func history(seed uint64, events int) stripesim.History {
	cfg := stripesim.Config{Seed: seed, Ties: 0.3, UserIDs: true, Subscriptions: 100}
	sample := len(stripesim.Generate(cfg).Deliveries)
	cfg.Subscriptions = max(int(float64(events*cfg.Subscriptions)/float64(sample)/(1+1.5*duplicates)), 1)
	return stripesim.Generate(cfg)
}

// sending is traffic that has begun.
type sending struct {
	report stripesim.Report
	err    error
	done   chan struct{}
}

// deliver sends more events as fast as possible, and waits until they are accepted.
func (d *deployment) deliver(more []stripesim.Delivery) {
	s := d.send(d.Context(), stripesim.History{Deliveries: more}, 0)
	<-s.done
	d.traffic = append(d.traffic, s)
	d.history.Deliveries = append(d.history.Deliveries, more...)
}

// send sends a history until all of it is accepted, as Stripe does, but without Stripe's
// long pauses between attempts.
func (d *deployment) send(ctx context.Context, h stripesim.History, rate float64) *sending {
	s := &sending{done: make(chan struct{})}
	cfg := stripesim.SendConfig{URL: d.bridge.Webhooks, Secret: secret, Rate: rate, Duplicates: duplicates, Disorder: true, Workers: 64}
	go func() {
		defer close(s.done)
		s.report, s.err = stripesim.Send(ctx, h, cfg)
	}()
	return s
}

// crowd keeps so many connections to the bridge, for the length of the fault. Each does
// something, and begins again after a pause.
func (d *deployment) crowd(connections int, pause time.Duration, do func(context.Context, net.Conn)) {
	ctx, end := context.WithTimeout(d.Context(), d.length())
	defer end()
	address := strings.TrimSuffix(strings.TrimPrefix(d.bridge.Webhooks, "http://"), "/webhooks/stripe")
	var work sync.WaitGroup
	for range connections {
		work.Go(func() {
			for ctx.Err() == nil {
				visit(ctx, address, do)
				select {
				case <-time.After(pause):
				case <-ctx.Done():
				}
			}
		})
	}
	work.Wait()
}

func visit(ctx context.Context, address string, do func(context.Context, net.Conn)) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	do(ctx, conn)
	_ = conn.Close()
}

const largeBody = 990_000

var zeros = bytes.Repeat([]byte{'0'}, largeBody)

func largeForgery(_ context.Context, conn net.Conn) {
	request(conn, "Stripe-Signature: "+forged()+"\r\n", zeros)
	readAll(conn)
}

func unsigned(_ context.Context, conn net.Conn) {
	request(conn, "", []byte("{}"))
	readAll(conn)
}

// neverReads sends requests until the bridge closes the connection.
func neverReads(ctx context.Context, conn net.Conn) {
	for ctx.Err() == nil {
		if !request(conn, "Stripe-Signature: "+forged()+"\r\n", []byte("{}")) {
			return
		}
	}
}

// forged returns a signature that looks right.
func forged() string { return fmt.Sprintf("t=%d,v1=%064x", time.Now().Unix(), 1) }

func request(conn net.Conn, header string, body []byte) bool {
	_, err := fmt.Fprintf(conn, "POST /webhooks/stripe HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n", header, len(body))
	if err == nil {
		_, err = conn.Write(body)
	}
	return err == nil
}

// readAll reads until the bridge closes the connection, as it does after a refusal.
func readAll(conn net.Conn) {
	buf := make([]byte, 4096)
	for {
		if _, err := conn.Read(buf); err != nil {
			return
		}
	}
}

const (
	burstEvents = 1800
	burstKey    = "test:platform:sub_burst"
)

// burst changes the quantity of one subscription from 1 to 1801, all in one second.
func burst() []stripesim.Delivery {
	now := time.Now().Unix()
	const item = `{"object":"list","data":[{"id":"si_1","object":"subscription_item","quantity":%d,"price":{"id":"price_1","product":"prod_1"}}]}`
	var all []stripesim.Delivery
	for n := 1; n <= burstEvents; n++ {
		all = append(all, delivery("sub_burst", fmt.Sprintf("evt_burst_%d", n), fmt.Appendf(nil,
			`{"id":"evt_burst_%d","object":"event","type":"customer.subscription.updated","created":%d,"livemode":false,"api_version":"2025-09-30.clover",`+
				`"data":{"object":{"id":"sub_burst","object":"subscription","status":"active","customer":"cus_1","created":%d,"metadata":{},"items":`+item+`},`+
				`"previous_attributes":{"items":`+item+`,"quantity":%d}}}`, n, now, now-1000, n+1, n, n)))
	}
	return all
}

// largeEvents are events as large as a webhook can be.
func largeEvents() []stripesim.Delivery {
	var all []stripesim.Delivery
	for n := range 200 {
		id := fmt.Sprintf("evt_large_%d", n)
		all = append(all, delivery("", id, fmt.Appendf(nil,
			`{"id":%q,"object":"event","type":"product.updated","created":%d,"livemode":false,"data":{"object":{"id":"prod_1","object":"product","description":%q}}}`,
			id, time.Now().Unix(), strings.Repeat("x", 980_000))))
	}
	return all
}

func delivery(subscription, id string, body []byte) stripesim.Delivery {
	return stripesim.Delivery{ID: id, SubscriptionID: subscription, Body: body}
}
