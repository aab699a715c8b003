// Package api imitates Stripe's API for reading, over the histories of package stripesim.
//
// What it answers depends on the histories and on the clock: an object is in the state that
// it had at that time, and events are those of the last 30 days. Lists have Stripe's pages,
// filters and order, newest first; errors have Stripe's form. Only webhook endpoints can be
// changed. If asked to, it refuses, fails, hangs or is slow, as Stripe sometimes does.
//
// It answers 400 to parameters that it does not know, even if Stripe knows them.
package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/billbus/billbus/internal/stripesim"
)

// Config says what to answer from.
type Config struct {
	// Accounts can be read, each with its key. The first is the platform, and the others
	// are connected to it: its key can read all of them.
	Accounts []Account
	// OrganizationKey, if set, can read all accounts. Its requests have to name one of
	// them in Stripe-Context, and a version.
	OrganizationKey string
	// Now says what has happened already, and stamps the answers; time.Now by default. The
	// rate limit follows it, too.
	Now func() time.Time
	// Pending reports whether the webhook of an event has not been delivered yet; nil if
	// all have been.
	Pending func(eventID string) bool
	Faults  Faults
}

// Account is an account and its history.
type Account struct {
	ID  string // [stripesim.Account] if it is ""
	Key string // its secret key; "" if only the key of the platform can read it
	// Version is the default API version, in which events are rendered. If it is "",
	// events are as in their webhooks, and other objects have the newest version.
	Version string
	History stripesim.History
}

// Server answers requests. It is safe for concurrent use.
type Server struct {
	cfg      Config
	accounts []*account
	mux      *http.ServeMux
	limit    *rate.Limiter

	mu       sync.Mutex // of what changes
	requests []Request
}

// New returns a server.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Pending == nil {
		cfg.Pending = func(string) bool { return false }
	}
	s := &Server{cfg: cfg, mux: http.NewServeMux(), limit: cfg.Faults.limiter()}
	for _, a := range cfg.Accounts {
		s.accounts = append(s.accounts, newAccount(a))
	}
	for _, r := range resources() {
		s.handle("GET "+r.path, r.list)
		s.handle("GET "+r.path+"/{id}", r.retrieve)
	}
	s.handle("GET /v1/account", ownAccount)
	s.handle("POST "+endpointsPath, createEndpoint)
	s.handle("POST "+endpointsPath+"/{id}", updateEndpoint)
	s.handle("DELETE "+endpointsPath+"/{id}", deleteEndpoint)
	s.handle("/", func(c *call) (any, error) {
		return nil, &apiError{Status: http.StatusNotFound, Message: fmt.Sprintf("Unrecognized request URL (%s: %s).", c.request.Method, c.request.URL.Path)}
	})
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // a parameter that is not valid is missing
	n := s.arrived(r)
	answer := &answer{ResponseWriter: w, record: func(status int, account string) { s.answered(n, status, account) }}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Date", s.cfg.Now().UTC().Format(http.TimeFormat))
	header.Set("Request-Id", fmt.Sprintf("req_Simulated%06d", n))
	if fault := s.fault(r, n); fault != nil {
		if fault.Status == http.StatusTooManyRequests {
			header.Set("Retry-After", "1")
		}
		answer.write(fault.Status, fault)
		return
	}
	s.mux.ServeHTTP(answer, r)
}

// answer is recorded before it is written: the client may look at the record at once.
type answer struct {
	http.ResponseWriter
	record  func(status int, account string)
	account string
}

func (a *answer) write(status int, body any) {
	a.record(status, a.account)
	a.WriteHeader(status)
	encoder := json.NewEncoder(a)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(body) // the client is gone
}

// call is a request that was accepted.
type call struct {
	server  *Server
	request *http.Request
	account *account
	version string
	now     int64
	params  params
}

func (s *Server) handle(pattern string, do func(*call) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		a := w.(*answer) //nolint:forcetypeassert // ServeHTTP made it
		c, err := s.accept(r)
		if err == nil {
			a.account = c.account.ID
			a.Header().Set("Stripe-Version", c.version)
			var body any
			if body, err = do(c); err == nil {
				a.write(http.StatusOK, body)
				return
			}
		}
		problem := asError(err)
		a.write(problem.Status, problem)
	})
}

// accept finds out who asks, for which account, and in which version.
func (s *Server) accept(r *http.Request) (*call, error) {
	account, err := s.authenticate(r)
	if err != nil {
		return nil, err
	}
	c := &call{server: s, request: r, account: account, now: s.cfg.Now().Unix(), params: readParams(r.Form)}
	c.version = r.Header.Get("Stripe-Version")
	if c.version == "" {
		c.version = account.version()
	}
	if !versionForm.MatchString(c.version) {
		return nil, invalid("", "Invalid Stripe API version: %s", c.version)
	}
	return c, nil
}

func (s *Server) authenticate(r *http.Request) (*account, error) {
	key, _, ok := r.BasicAuth()
	if !ok {
		key = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	}
	if key == "" {
		return nil, &apiError{Status: http.StatusUnauthorized, Message: "You did not provide an API key."}
	}
	named := r.Header.Get("Stripe-Account")
	if path := strings.Split(r.Header.Get("Stripe-Context"), "/"); path[len(path)-1] != "" {
		named = path[len(path)-1]
	}
	if key == s.cfg.OrganizationKey {
		if named == "" || r.Header.Get("Stripe-Version") == "" {
			return nil, invalid("", "Requests with the key of an organization must have the headers Stripe-Context and Stripe-Version.")
		}
		return s.reach(named, s.accounts)
	}
	for i, a := range s.accounts {
		if a.Key != key {
			continue
		}
		if named == "" {
			return a, nil
		}
		if i == 0 {
			return s.reach(named, s.accounts)
		}
		return s.reach(named, s.accounts[i:i+1])
	}
	return nil, &apiError{Status: http.StatusUnauthorized, Message: "Invalid API Key provided."} // Stripe quotes a part of it
}

func (s *Server) reach(id string, accounts []*account) (*account, error) {
	for _, a := range accounts {
		if a.ID == id {
			return a, nil
		}
	}
	return nil, &apiError{
		Status: http.StatusForbidden, Code: "account_invalid",
		Message: fmt.Sprintf("The provided key does not have access to account '%s' (or that account does not exist).", id),
	}
}
