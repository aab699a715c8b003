package ops_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/billbus/billbus/internal/ops"
	"github.com/billbus/billbus/test/kit"
)

// server runs until stop. Its handler holds requests to /slow until release.
type server struct {
	url     string
	arrived chan struct{}
	release chan struct{}
	stop    context.CancelFunc
	stopped chan error
}

// start runs a server. Its handler answers /slow after release, and panics at other requests.
func start(t *testing.T, grace time.Duration, log *slog.Logger) *server {
	t.Helper()
	ln, err := ops.Listen("LISTEN_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{
		url: "http://" + ln.Addr().String(), arrived: make(chan struct{}),
		release: make(chan struct{}), stopped: make(chan error, 1),
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	t.Cleanup(cancel)
	go func() { s.stopped <- ops.Serve(ctx, ln, s, grace, log) }()
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/slow" {
		panic("boom")
	}
	close(s.arrived)
	select {
	case <-s.release:
		_, _ = io.WriteString(w, "finished")
	case <-r.Context().Done():
	}
}

type answer struct {
	body string
	err  error
}

// get sends a request in the background, on its own connection.
func (s *server) get(t *testing.T, path string, header http.Header) <-chan answer {
	t.Helper()
	answers := make(chan answer, 1)
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	go func() {
		resp, err := client.Do(req)
		if err != nil {
			answers <- answer{err: err}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		answers <- answer{body: string(body), err: err}
	}()
	return answers
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestServeFinishesRequestsInFlight(t *testing.T) {
	t.Parallel()
	s := start(t, time.Minute, discard())
	answers := s.get(t, "/slow", nil)
	<-s.arrived
	s.stop()
	refused(t, strings.TrimPrefix(s.url, "http://"))
	close(s.release)
	if got := <-answers; got.err != nil || got.body != "finished" {
		t.Errorf("got %+v, want the request in flight finished", got)
	}
	if err := <-s.stopped; err != nil {
		t.Errorf("got %v, want a clean stop", err)
	}
}

// refused waits until the address refuses connections.
func refused(t *testing.T, addr string) {
	t.Helper()
	kit.Eventually(t, "connections are refused", func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

func TestServeGivesUpAfterItsGrace(t *testing.T) {
	t.Parallel()
	s := start(t, time.Millisecond, discard())
	answers := s.get(t, "/slow", nil)
	<-s.arrived
	s.stop()
	if err := <-s.stopped; err == nil || !strings.Contains(err.Error(), "did not finish within 1ms") {
		t.Errorf("got %v, want the error to say what did not finish", err)
	}
	if got := <-answers; got.err == nil {
		t.Errorf("got %+v, want the request cut off", got)
	}
}

func TestServeAcceptsAHeaderWithAThousandSignatures(t *testing.T) {
	t.Parallel()
	s := start(t, time.Minute, discard())
	signature := "t=1" + strings.Repeat(",v1="+strings.Repeat("a", 64), 1000)
	answers := s.get(t, "/slow", http.Header{"Stripe-Signature": {signature}})
	close(s.release)
	if got := <-answers; got.body != "finished" {
		t.Errorf("got %+v, want the request served", got)
	}
}

func TestServeLogsAPanic(t *testing.T) {
	t.Parallel()
	out := new(kit.Buffer)
	s := start(t, time.Minute, ops.NewLogger(out, slog.LevelInfo, "json"))
	<-s.get(t, "/panic", nil)
	s.stop()
	if err := <-s.stopped; err != nil {
		t.Errorf("got %v, want a clean stop", err)
	}
	if got := out.String(); !strings.Contains(got, `"level":"WARN","msg":"http: panic serving`) {
		t.Errorf("got %q, want the panic in the log", got)
	}
}

func TestServeReportsAClosedListener(t *testing.T) {
	t.Parallel()
	ln, err := ops.Listen("LISTEN_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.Close()
	if err := ops.Serve(t.Context(), ln, http.NotFoundHandler(), time.Second, discard()); err == nil {
		t.Error("got no error, want an error for the closed listener")
	}
}

func TestListenNamesTheSettingOfATakenPort(t *testing.T) {
	t.Parallel()
	ln, err := ops.Listen("LISTEN_ADDR", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, err = ops.Listen("ADMIN_ADDR", ln.Addr().String())
	want := fmt.Sprintf("the port of %s is taken: stop the program that listens there or set ADMIN_ADDR to another address", ln.Addr())
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestListenNamesTheSettingOfABadAddress(t *testing.T) {
	t.Parallel()
	_, err := ops.Listen("ADMIN_ADDR", "127.0.0.1:http-nonsense")
	if err == nil || !strings.Contains(err.Error(), "set by ADMIN_ADDR") {
		t.Errorf("got %v, want the setting's name", err)
	}
}

func TestServeDoesNotWaitForUnusedConnections(t *testing.T) {
	ln, err := ops.Listen("X", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- ops.Serve(ctx, ln, http.NotFoundHandler(), 2*time.Second, slog.New(slog.DiscardHandler))
	}()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// An answer on a second connection shows that the server has accepted the first one.
	resp, err := http.Get("http://" + ln.Addr().String()) //nolint:noctx // a local server
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	cancel()
	if err := <-served; err != nil {
		t.Errorf("got %v, want a clean stop", err)
	}
}
