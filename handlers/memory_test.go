package handlers_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
)

// malformed is a verifier that refuses every header.
type malformed struct{ verify }

func (malformed) Check(string) error {
	return fault.New(fault.Rejected, fault.Malformed, errors.New("malformed"))
}

func TestWebhookReadsNothingBehindAMalformedSignature(t *testing.T) {
	t.Parallel()
	s := newWebhookTest()
	s.Verifier = malformed{}
	body := &endless{}
	w := s.serve(t, chunked(body))
	if w.Code != http.StatusBadRequest || w.Body.String() != notVerified || body.n != 0 {
		t.Errorf("got %d %s after %d bytes, want it refused before the body is read", w.Code, w.Body, body.n)
	}
	if got := s.logs.line(t)["reason"]; got != "malformed" {
		t.Errorf("got reason %v", got)
	}
}

// Bodies of every size arrive whole, with and without Content-Length.
func TestWebhookReadsBodiesOfAllSizes(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 16<<10 - 1, 16 << 10, 16<<10 + 1, 256 << 10, 256<<10 + 1, 900_000, 1_000_000} {
		want := strings.Repeat("x", size)
		for name, r := range map[string]*http.Request{"with Content-Length": post(want), "chunked": chunked(strings.NewReader(want))} {
			s := newWebhookTest()
			s.MaxBytes, s.BodyBudget = 1_000_000, 4<<20
			s.Verifier = verify(func(payload []byte, _ string) (string, error) {
				if string(payload) != want {
					t.Errorf("%d bytes %s: got %d bytes", size, name, len(payload))
				}
				return "main", nil
			})
			if w := s.serve(t, r); w.Code != http.StatusOK {
				t.Errorf("%d bytes %s: got %d %s", size, name, w.Code, w.Body)
			}
		}
	}
}

// stalled is a body that begins and then does not go on before the pipe is closed.
func stalled(h http.Handler, length int64, begin string) (end func(), answer <-chan *httptest.ResponseRecorder) {
	reader, writer := io.Pipe()
	r := chunked(reader)
	r.ContentLength = length
	done := make(chan *httptest.ResponseRecorder, 1)
	go func() { done <- serve(h, r) }()
	_, _ = io.WriteString(writer, begin)
	return func() { _ = writer.Close() }, done
}

func TestWebhookIsUnavailableWhenBodiesUseUpTheBudget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newWebhookTest()
		s.MaxBytes, s.BodyBudget = 1_000_000, 1<<20 // a quarter is for large bodies
		h := s.handler(t)
		end, first := stalled(h, 500_000, strings.Repeat("x", 200<<10))
		synctest.Wait()
		w := serve(h, post(strings.Repeat("x", 500_000)))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("Connection") != "close" {
			t.Errorf("a large body: got %d %v, want 503 with Retry-After", w.Code, w.Header())
		}
		if got := s.logs.line(t)["reason"]; got != "memory" {
			t.Errorf("got reason %v, want memory", got)
		}
		for name, size := range map[string]int{"small": 10, "medium": 100_000} {
			if w := serve(h, post(strings.Repeat("x", size))); w.Code != http.StatusOK {
				t.Errorf("a %s body: got %d %s, want it stored", name, w.Code, w.Body)
			}
		}
		end()
		<-first
		if w := serve(h, post(strings.Repeat("x", 200_000))); w.Code != http.StatusOK {
			t.Errorf("afterwards: got %d %s, want it stored", w.Code, w.Body)
		}
	})
}

// A sender that announces a large body holds as much memory as it has sent, or twice that.
func TestWebhookReservesOnlyWhatArrives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newWebhookTest()
		s.MaxBytes, s.BodyBudget = 1_000_000, 16<<20 // a quarter is for large bodies
		h := s.handler(t)
		for range 20 {
			for _, begin := range []int{1, 20_000} {
				end, answer := stalled(h, 900_000, strings.Repeat("x", begin))
				defer func() { end(); <-answer }()
			}
		}
		synctest.Wait()
		if w := serve(h, post(strings.Repeat("x", 900_000))); w.Code != http.StatusOK {
			t.Errorf("got %d %s, want it stored", w.Code, w.Body)
		}
	})
}

// What is verified takes more memory than its body, until it is published.
func TestVerifiedWebhooksWaitForMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newWebhookTest()
		s.MaxBytes, s.BodyBudget, s.MaxConcurrent = 1_000_000, 1<<20, 10
		var reading atomic.Int64
		release := make(chan struct{})
		s.Normalizer = normalize(func([]byte, string, time.Time) (events.Message, error) {
			reading.Add(1)
			<-release
			return subscriptionMessage(), nil
		})
		h := s.handler(t)
		answers := make(chan int, 3)
		for range 3 {
			go func() { answers <- serve(h, post(strings.Repeat("x", 12<<10))).Code }()
		}
		synctest.Wait()
		if got := reading.Load(); got != 2 {
			t.Errorf("got %d webhooks at once, want 2", got)
		}
		if got := <-answers; got != http.StatusServiceUnavailable {
			t.Errorf("got %d, want 503 after a short wait", got)
		}
		close(release)
		<-answers
		<-answers
	})
}

// Large webhooks that wait do not hold up small ones.
func TestSmallWebhooksDoNotWaitForLargeOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newWebhookTest()
		s.MaxBytes, s.BodyBudget, s.MaxConcurrent = 1_000_000, 1<<20, 10
		release := make(chan struct{})
		s.Normalizer = normalize(func(body []byte, _ string, _ time.Time) (events.Message, error) {
			if len(body) > 16<<10 {
				<-release
			}
			return subscriptionMessage(), nil
		})
		h := s.handler(t)
		answers := make(chan int, 2)
		for range 2 {
			go func() { answers <- serve(h, post(strings.Repeat("x", 50_000))).Code }()
		}
		synctest.Wait()
		if w := serve(h, post(sent)); w.Code != http.StatusOK {
			t.Errorf("got %d %s, want it stored", w.Code, w.Body)
		}
		close(release)
		<-answers
		<-answers
	})
}

// A client that sends many requests and reads no answer would otherwise keep its
// connection busy, and the server from stopping.
func TestClientThatDoesNotReadDoesNotDelayAShutdown(t *testing.T) {
	t.Parallel()
	srv := &http.Server{
		Handler: newWebhookTest().handler(t), ReadHeaderTimeout: time.Minute,
		ConnState: func(conn net.Conn, state http.ConnState) {
			if state == http.StateNew {
				_ = conn.(*net.TCPConn).SetWriteBuffer(1)
			}
		},
	}
	ln, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = srv.Serve(ln) }()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.(*net.TCPConn).SetReadBuffer(1)
	// It sends until the server reads no more, because it cannot write.
	requests := strings.Repeat("POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", 1000)
	for err == nil {
		_ = conn.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		_, err = io.WriteString(conn, requests)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("got %v, want the connection closed", err)
	}
}
