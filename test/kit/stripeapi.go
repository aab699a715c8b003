package kit

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// StripeAPI is a fake of Stripe's API. It records every request, and answers as On
// says, or that the object is missing.
type StripeAPI struct {
	*httptest.Server
	mu       sync.Mutex
	answers  map[string]http.HandlerFunc
	requests []*http.Request
}

// NewStripeAPI starts a fake, which stops at the end of the test.
func NewStripeAPI(t testing.TB) *StripeAPI {
	t.Helper()
	a := &StripeAPI{answers: map[string]http.HandlerFunc{}}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *StripeAPI) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.requests = append(a.requests, r)
	answer, ok := a.answers[r.URL.RequestURI()]
	a.mu.Unlock()
	w.Header().Set("Request-Id", "req_1")
	if !ok {
		answer = StripeError(http.StatusNotFound, "resource_missing")
	}
	answer(w, r)
}

// On sets the answer for a path with its query.
func (a *StripeAPI) On(uri string, answer http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answers[uri] = answer
}

// Requests returns the requests so far.
func (a *StripeAPI) Requests() []*http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requests)
}

// Asked returns the path, the query and the account of each request so far.
func (a *StripeAPI) Asked() []string {
	var asked []string
	for _, r := range a.Requests() {
		asked = append(asked, strings.TrimSpace(r.URL.RequestURI()+" "+r.Header.Get("Stripe-Account")))
	}
	return asked
}

// StripeObject answers with a body, on 2026-01-02 at 03:04:05 in version
// 2025-09-30.clover.
func StripeObject(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Stripe-Version", "2025-09-30.clover")
		w.Header().Set("Date", "Fri, 02 Jan 2026 03:04:05 GMT")
		_, _ = fmt.Fprint(w, body)
	}
}

// StripeError answers with an error in Stripe's form. Its message, like some of
// Stripe's, quotes what was sent: it contains "hunter2", which the keys of tests
// contain too.
func StripeError(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":{"type":"invalid_request_error","code":%q,"message":"hunter2"}}`, code)
	}
}
