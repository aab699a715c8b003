package stripeapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/billbus/billbus/internal/stripeapi"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is never to be seen anywhere.
const key = "sk_test_hunter2"

// stand is a stand-in for Stripe's API: it answers each path as it was told, and
// notes what it was asked.
type stand struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	asked   []*http.Request
}

func newStand(t *testing.T) *stand {
	t.Helper()
	s := &stand{answers: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP implements http.Handler.
func (s *stand) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r)
	answer, ok := s.answers[r.URL.RequestURI()]
	s.mu.Unlock()
	w.Header().Set("Request-Id", "req_1")
	if !ok {
		missing(w, r)
		return
	}
	answer(w, r)
}

func (s *stand) on(uri string, answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[uri] = answer
}

func (s *stand) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.asked...)
}

// missing is what Stripe answers for what it does not have.
func missing(w http.ResponseWriter, _ *http.Request) {
	failure(http.StatusNotFound, "resource_missing")(w, nil)
}

// failure is an error as Stripe words it, which quotes what was sent.
func failure(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":{"type":"invalid_request_error","code":%q,"message":"hunter2"}}`, code)
	}
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Stripe-Version", "2025-09-30.clover")
		w.Header().Set("Date", "Fri, 02 Jan 2026 03:04:05 GMT")
		_, _ = fmt.Fprint(w, body)
	}
}

func client(t *testing.T, cfg stripeapi.Config) *stripeapi.Client {
	t.Helper()
	if cfg.Key == "" {
		cfg.Key = key
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c, err := stripeapi.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
