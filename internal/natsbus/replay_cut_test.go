package natsbus_test

import (
	"io"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
)

// cutter is a proxy to a server. It breaks one connection after it has passed on
// a number of bytes from the server.
type cutter struct {
	listener net.Listener
	left     atomic.Int64
}

func newCutter(t *testing.T, serverURL string) *cutter {
	t.Helper()
	server, err := url.Parse(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: listener}
	c.left.Store(1 << 40)
	t.Cleanup(func() { _ = listener.Close() })
	go c.accept(server.Host)
	return c
}

func (c *cutter) accept(server string) {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return
		}
		conn, err := net.Dial("tcp", server)
		if err != nil {
			_ = client.Close()
			continue
		}
		go func() { _, _ = io.Copy(conn, client); _ = conn.Close() }()
		go c.answers(client, conn)
	}
}

func (c *cutter) answers(client, server net.Conn) {
	defer func() { _ = client.Close(); _ = server.Close() }()
	buf := make([]byte, 4096)
	for {
		n, err := server.Read(buf)
		if c.left.Add(int64(-n)) < 0 {
			c.left.Store(1 << 40)
			return
		}
		if _, writeErr := client.Write(buf[:n]); err != nil || writeErr != nil {
			return
		}
	}
}

// For the server, what it sent into a broken connection is delivered. The replay must
// not continue after that.
func TestReplayLosesNothingWhenTheConnectionBreaks(t *testing.T) {
	t.Parallel()
	const total = 100
	rig := newRig(t)
	for i := range total {
		msg := nats.NewMsg("stripe.x")
		msg.Data = []byte(strings.Repeat("x", 8000))
		msg.Header.Set(nats.MsgIdHdr, "evt_"+strings.Repeat("i", i+1))
		if _, err := rig.js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	proxy := newCutter(t, rig.url)
	bus := connected(t, "nats://"+proxy.listener.Addr().String())
	r := openReplay(t, bus, replayConfig("the beginning"))
	proxy.left.Store(200_000) // in the middle of the first batch
	seen := map[uint64]bool{}
	for {
		batch := next(t, r, 50)
		if batch == nil {
			break
		}
		for _, sequence := range batch {
			seen[sequence] = true
		}
		done(t, r)
	}
	if len(seen) != total {
		t.Errorf("got %d messages, want %d", len(seen), total)
	}
	if proxy.left.Load() < 1<<39 {
		t.Error("the connection did not break")
	}
}
