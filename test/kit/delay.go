package kit

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Delayed returns the address of a proxy that passes on to addr what clients send, a while
// later.
func Delayed(t testing.TB, addr string, by time.Duration) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); work.Wait() })
	work.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() { passOn(client, addr, by) })
		}
	})
	return listener.Addr().String()
}

func passOn(client net.Conn, addr string, by time.Duration) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", addr) //nolint:noctx // closed with the client's
	if err != nil {
		return
	}
	type sent struct {
		at   time.Time
		data []byte
	}
	waiting := make(chan sent, 1000)
	var work sync.WaitGroup
	work.Go(func() {
		defer func() { _ = server.Close() }()
		for s := range waiting {
			<-time.After(time.Until(s.at.Add(by)))
			_, _ = server.Write(s.data) // after an error, reading fails as well
		}
	})
	work.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
	buf := make([]byte, 1<<16)
	for {
		n, err := client.Read(buf)
		if n > 0 {
			waiting <- sent{time.Now(), append([]byte{}, buf[:n]...)}
		}
		if err != nil {
			close(waiting)
			work.Wait()
			return
		}
	}
}
