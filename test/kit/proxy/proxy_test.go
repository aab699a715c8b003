package proxy_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/proxy"
)

// echo returns the address of a server that answers with what it gets.
func echo(t *testing.T) string {
	t.Helper()
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", kit.FreeAddr(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn); _ = conn.Close() }()
		}
	}()
	return ln.Addr().String()
}

func dial(t *testing.T, addr string) (net.Conn, error) {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, err
}

// say sends a byte, and waits up to patience for the answer.
func say(conn net.Conn, patience time.Duration) error {
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

func TestProxy(t *testing.T) {
	t.Parallel()
	const long = 30 * time.Second
	p := proxy.New(t, echo(t))
	connected := func() net.Conn {
		conn, err := dial(t, p.Addr)
		if err != nil {
			t.Fatal(err)
		}
		if err := say(conn, long); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}

	conn := connected()
	must(p.Cut())
	if err := say(conn, long); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection that was cut: got %v", err)
	}
	if _, err := dial(t, p.Addr); err == nil {
		t.Error("a new connection is accepted")
	}
	must(p.Heal())

	conn = connected()
	must(p.Swallow())
	if err := say(conn, 100*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a connection that swallows: got %v", err)
	}
	must(p.Heal())

	conn = connected()
	must(p.Delay(100 * time.Millisecond))
	began := time.Now()
	must(say(conn, long))
	if took := time.Since(began); took < 100*time.Millisecond {
		t.Errorf("the answer came after %s", took)
	}
	must(p.Heal())
	must(p.Heal())
	must(say(conn, long))
}
