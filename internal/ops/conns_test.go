package ops_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/test/kit"
)

// limited serves with at most n connections, and sends what it was asked for.
func limited(t *testing.T, n int) (addr string, paths <-chan string) {
	t.Helper()
	return serving(t, limit(t, n))
}

func limit(t *testing.T, n int) net.Listener {
	t.Helper()
	ln, err := ops.Listen("LISTEN_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ops.Limit(ln, n)
}

func serving(t *testing.T, ln net.Listener) (addr string, paths <-chan string) {
	t.Helper()
	asked := make(chan string, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- ops.Serve(ctx, ln, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/stranger" {
				ops.Trust(r.Context())
			}
			asked <- r.URL.Path
		}), time.Minute, discard())
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String(), asked
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn
}

func write(t *testing.T, conn net.Conn, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, format, args...); err != nil {
		t.Fatal(err)
	}
}

func status(conn net.Conn) int {
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

func TestConnectionWaitsForThoseThatAreTrusted(t *testing.T) {
	t.Parallel()
	addr, paths := limited(t, 1)
	first := dial(t, addr)
	write(t, first, "GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := status(first); got != http.StatusOK || <-paths != "/first" {
		t.Fatalf("got %d", got)
	}
	second := dial(t, addr)
	write(t, second, "GET /second HTTP/1.1\r\nHost: x\r\n\r\n")
	write(t, first, "GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := status(first); got != http.StatusOK || <-paths != "/first" || len(paths) > 0 {
		t.Errorf("got %d, or the second connection was served, too", got)
	}
	_ = first.Close()
	if got := status(second); got != http.StatusOK || <-paths != "/second" {
		t.Errorf("got %d after the first connection was closed", got)
	}
}

func TestConnectionIsTrustedOverTLS(t *testing.T) {
	t.Parallel()
	cert, key := filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	authority := kit.NewAuthority(t)
	authority.Issue(t, cert, key, "x")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	addr, _ := serving(t, tls.NewListener(limit(t, 2), &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}))
	config := trusting(t, authority).TLSClientConfig
	config.ServerName = "127.0.0.1"
	trusted := tls.Client(dial(t, addr), config)
	write(t, trusted, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := status(trusted); got != http.StatusOK {
		t.Fatalf("got %d", got)
	}
	stranger := dial(t, addr)
	dial(t, addr)
	if got := status(stranger); got != 0 {
		t.Errorf("got %d, want the stranger dismissed", got)
	}
	write(t, trusted, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := status(trusted); got != http.StatusOK {
		t.Errorf("got %d, want the connection that is trusted served", got)
	}
}

// Each long header takes memory before anything is known about its sender.
func TestFewConnectionsSendLongHeaders(t *testing.T) {
	t.Parallel()
	const most, more = 64, 10
	addr, _ := limited(t, 1000)
	begin := "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 20<<10)
	statuses := make(chan int, most+more)
	var conns []net.Conn
	for range most + more {
		conn := dial(t, addr)
		_, _ = fmt.Fprint(conn, begin)
		conns = append(conns, conn)
		go func() { statuses <- status(conn) }()
	}
	for range more {
		if got := <-statuses; got != 0 {
			t.Errorf("got %d, want the connection closed", got)
		}
	}
	short := dial(t, addr)
	if write(t, short, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); status(short) != http.StatusOK {
		t.Error("a short header was not served meanwhile")
	}
	for _, conn := range conns {
		_, _ = fmt.Fprint(conn, "\r\n\r\n")
	}
	for range most {
		if got := <-statuses; got != http.StatusOK {
			t.Errorf("got %d, want the request served", got)
		}
	}
	late := dial(t, addr)
	kit.Eventually(t, "a long header is served again", func() bool {
		_, _ = fmt.Fprint(late, begin, "\r\n\r\n")
		if status(late) == http.StatusOK {
			return true
		}
		late = dial(t, addr)
		return false
	})
}

// Those who only open connections do not keep others out.
func TestNewConnectionTakesThePlaceOfTheOldestStranger(t *testing.T) {
	t.Parallel()
	addr, paths := limited(t, 2)
	trusted, oldest := dial(t, addr), dial(t, addr)
	write(t, trusted, "GET /trusted HTTP/1.1\r\nHost: x\r\n\r\n")
	if got := status(trusted); got != http.StatusOK || <-paths != "/trusted" {
		t.Fatalf("got %d", got)
	}
	second, third := dial(t, addr), dial(t, addr)
	for name, conn := range map[string]net.Conn{"oldest": oldest, "second": second} {
		if got := status(conn); got != 0 {
			t.Errorf("%s: got %d, want the connection closed", name, got)
		}
	}
	for name, conn := range map[string]net.Conn{"trusted": trusted, "third": third} {
		write(t, conn, "GET /trusted HTTP/1.1\r\nHost: x\r\n\r\n")
		if got := status(conn); got != http.StatusOK {
			t.Errorf("%s: got %d, want it served", name, got)
		}
	}
}

func TestClosedListenerAcceptsNothingMore(t *testing.T) {
	t.Parallel()
	ln, err := ops.Listen("LISTEN_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	one := ops.Limit(ln, 1)
	dial(t, ln.Addr().String())
	first, err := one.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() { _, err := one.Accept(); accepted <- err }()
	waiting := dial(t, ln.Addr().String())
	if got := status(first); got != 0 {
		t.Errorf("got %d, want the first dismissed", got)
	}
	_ = one.Close()
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want that the listener is closed", err)
	}
	if got := status(waiting); got != 0 {
		t.Errorf("got %d of the connection that waited", got)
	}
}

func TestHeaderOfThousandsOfLinesIsNotRead(t *testing.T) {
	t.Parallel()
	addr, _ := limited(t, 10)
	for lines, want := range map[int]int{900: http.StatusOK, 1100: 0} {
		conn := dial(t, addr)
		_, _ = fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: x\r\n", strings.Repeat("A: b\r\n", lines), "\r\n")
		if got := status(conn); got != want {
			t.Errorf("%d lines: got %d, want %d", lines, got, want)
		}
	}
}
