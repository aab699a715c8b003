package api

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// Faults are what goes wrong on purpose. 0 is never.
type Faults struct {
	Rate       int // requests a second; any more are answered 429
	ErrorEvery int // every n-th request is answered 500
	HangEvery  int // every n-th request is not answered until the client gives up
	SlowEvery  int // every n-th request is answered after Delay
	Delay      time.Duration
}

func (f Faults) limiter() *rate.Limiter {
	if f.Rate == 0 {
		return rate.NewLimiter(rate.Inf, 0)
	}
	return rate.NewLimiter(rate.Limit(f.Rate), f.Rate)
}

// fault lets the n-th request fail if it has to. It returns the answer to it, or nil if
// the request is to be answered.
func (s *Server) fault(r *http.Request, n int) *apiError {
	f := s.cfg.Faults
	due := func(every int) bool { return every > 0 && n%every == 0 }
	switch {
	case !s.limit.AllowN(s.cfg.Now(), 1):
		return (&apiError{Status: http.StatusTooManyRequests, Message: "Request rate limit exceeded."}).coded("rate_limit")
	case due(f.ErrorEvery):
		return &apiError{Status: http.StatusInternalServerError, Type: "api_error", Message: "An unknown error occurred."}
	case due(f.HangEvery):
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case due(f.SlowEvery):
		select {
		case <-time.After(f.Delay):
		case <-r.Context().Done():
		}
	}
	return nil
}

// Request is a request that the server got.
type Request struct {
	Method, Path string
	Query        url.Values
	Header       http.Header // of recordedHeaders: never the key
	Status       int         // of the answer; 0 before it is answered, and if it never is
	Account      string      // whose objects were asked for; "" if the request was refused
	At           time.Time
}

func recordedHeaders() []string {
	return []string{"Stripe-Version", "Stripe-Account", "Stripe-Context", "Idempotency-Key", "User-Agent"}
}

// Requests returns the requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// arrived records a request and returns its number, from 1.
func (s *Server) arrived(r *http.Request) int {
	header := maps.Clone(r.Header)
	maps.DeleteFunc(header, func(name string, _ []string) bool { return !slices.Contains(recordedHeaders(), name) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{
		Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Header: header, At: s.cfg.Now(),
	})
	return len(s.requests)
}

func (s *Server) answered(n, status int, account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests[n-1].Status, s.requests[n-1].Account = status, account
}
