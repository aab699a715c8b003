// Package attack is what hostile clients do to the bridge, as values. Its tests and
// test/reliability run each while Stripe's webhooks keep coming. Only tests import it.
package attack

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/billbus/billbus/test/kit"
)

// Attack is many clients that do the same.
type Attack struct {
	Name, Title string
	Clients     int
	Pause       time.Duration // until a client connects again
	// Do does it on a new connection, which is closed when it returns, or when ctx is done.
	Do func(ctx context.Context, conn net.Conn)
}

const (
	largest = 990_000   // a body that is just not too large
	huge    = 100 << 20 // one that is
	tick    = 100 * time.Millisecond
)

// All returns every attack on the bridge's path. Those that need a signature have one by
// the secret.
func All(path, secret string) []Attack {
	to := "POST " + path + " HTTP/1.1\r\nHost: x\r\n"
	forged := func() string {
		return to + fmt.Sprintf("Stripe-Signature: t=%d,v1=%064x\r\n", time.Now().Unix(), 1)
	}
	body := bytes.Repeat([]byte{'0'}, largest)
	nested := Nested(9_000, largest)
	long, many := []byte(strings.Repeat("x", 200<<10)+"\r\n\r\n"), []byte(strings.Repeat("X-Header: some value\r\n", 10_000)+"\r\n")
	hugeBody, hugeChunks := repeated(body), repeated(chunk(body))
	return []Attack{
		{"slow-headers", "500 clients send a header, a byte every 0.1 s", 500, 0, func(ctx context.Context, c net.Conn) {
			trickle(ctx, c, to+"X: ")
		}},
		{"slow-bodies", "500 clients send a body, a byte every 0.1 s", 500, 0, func(ctx context.Context, c net.Conn) {
			trickle(ctx, c, forged()+length(largest))
		}},
		{"connections", "10,000 clients connect and send nothing", 10_000, 5 * time.Second, func(_ context.Context, c net.Conn) { answers(c) }},
		{"slow-crowd", "5,000 clients send a body, a byte every 0.1 s", 5_000, 5 * time.Second, func(ctx context.Context, c net.Conn) {
			trickle(ctx, c, forged()+length(largest))
		}},
		{"largest", "2,000 clients send bodies of 990 kB with wrong signatures", 2_000, time.Second, func(_ context.Context, c net.Conn) {
			send(c, forged()+length(largest), body)
		}},
		{"huge", "100 clients send bodies of 100 MB", 100, time.Second, func(_ context.Context, c net.Conn) {
			send(c, forged()+length(huge), hugeBody...)
		}},
		{"huge-chunked", "100 clients send bodies of 100 MB in chunks", 100, time.Second, func(_ context.Context, c net.Conn) {
			send(c, forged()+"Transfer-Encoding: chunked\r\n\r\n", hugeChunks...)
		}},
		{"long-headers", "500 clients send a header of 200 kB", 500, time.Second, func(_ context.Context, c net.Conn) {
			send(c, to+"X: ", long)
		}},
		{"many-headers", "500 clients send 10,000 headers", 500, time.Second, func(_ context.Context, c net.Conn) {
			send(c, to, many)
		}},
		{"never-reading", "500 clients send webhooks and never read an answer", 500, time.Second, func(ctx context.Context, c net.Conn) {
			for ctx.Err() == nil && write(c, []byte(forged()+length(2)+"{}")) {
			}
		}},
		{"nested", "20 clients send signed events of 990 kB, nested 9,000 levels deep", 20, tick, func(_ context.Context, c net.Conn) {
			send(c, to+"Stripe-Signature: "+kit.Sign(nested, secret, time.Now())+"\r\n"+length(len(nested)), nested)
		}},
	}
}

// Nested returns an event of about so many bytes, which is nested so deep.
func Nested(levels, size int) []byte {
	inner := strings.Repeat("[", levels) + strings.Repeat("]", levels)
	return fmt.Appendf(nil, `{"id":"evt_nested","object":"event","type":"customer.subscription.updated","created":1760000000,"livemode":false,`+
		`"data":{"object":{"id":"sub_nested","object":"subscription","status":"active","x":%s,"y":[1%s]}}}`, inner, strings.Repeat(",1", (size-2*levels)/2))
}

// Run has the clients attack the address until ctx is done. It calls began once, when
// each has been connected.
func (a Attack) Run(ctx context.Context, addr string, began func()) {
	var work sync.WaitGroup
	var connected atomic.Int64
	clients := min(a.Clients, available())
	for range clients {
		work.Go(func() {
			for first := true; ctx.Err() == nil; {
				if a.visit(ctx, addr, func() {
					if first && connected.Add(1) == int64(clients) {
						began()
					}
					first = false
				}) != nil {
					pause(ctx, tick)
				}
				pause(ctx, a.Pause)
			}
		})
	}
	work.Wait()
}

// available is how many connections this process may have, with some left for itself.
func available() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 500
	}
	return int(limit.Cur) - 500
}

func (a Attack) visit(ctx context.Context, addr string, connected func()) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	connected()
	a.Do(ctx, conn)
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func length(n int) string { return fmt.Sprintf("Content-Length: %d\r\n\r\n", n) }

func chunk(data []byte) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(data), data) }

// repeated returns data so many times that it is a huge body.
func repeated(data []byte) [][]byte {
	all := make([][]byte, huge/len(data)+1)
	for i := range all {
		all[i] = data
	}
	return all
}

// trickle sends the beginning, and then a byte at a time until the connection is closed.
func trickle(ctx context.Context, conn net.Conn, begin string) {
	for ok := write(conn, []byte(begin)); ok; ok = write(conn, []byte{'x'}) {
		pause(ctx, tick)
	}
}

// send sends a request as far as it is read, and reads the answers until the connection
// is closed.
func send(conn net.Conn, header string, parts ...[]byte) {
	ok := write(conn, []byte(header))
	for i := 0; ok && i < len(parts); i++ {
		ok = write(conn, parts[i])
	}
	answers(conn)
}

func write(conn net.Conn, data []byte) bool {
	_, err := conn.Write(data)
	return err == nil
}

func answers(conn net.Conn) { _, _ = io.Copy(io.Discard, bufio.NewReader(conn)) }
