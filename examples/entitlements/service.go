package main

import (
	"encoding/json"
	"log"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/billbus/billbus/events"
)

// service knows what every user and customer of one account may use.
type service struct {
	livemode bool
	account  string

	mu         sync.RWMutex
	docs       map[string]events.AccessDocument // by key in the bucket
	ready      bool
	staleSince time.Time // zero while the documents are current
}

func newService(livemode bool, account string) *service {
	return &service{livemode: livemode, account: account, docs: map[string]events.AccessDocument{}}
}

// keys matches the keys of the access documents of the account.
func (s *service) keys() string {
	return strings.TrimSuffix(events.UserAccessKey(s.livemode, s.account, "x"), "user.x") + ">"
}

// set keeps documents that a new bucket does not have yet: Billbus deletes none, and fills
// a bucket that was deleted again.
func (s *service) set(key string, doc events.AccessDocument) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docs[key] = doc
}

func (s *service) setCurrent() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready, s.staleSince = true, time.Time{}
}

func (s *service) setStale() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.staleSince.IsZero() {
		s.staleSince = time.Now().UTC()
	}
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		s.answer(w, r, events.UserAccessKey(s.livemode, s.account, id), answer{UserID: id})
	})
	mux.HandleFunc("GET /customers/{id}", func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		s.answer(w, r, events.CustomerAccessKey(s.livemode, s.account, id), answer{CustomerID: id})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if !s.ready {
			http.Error(w, "not everything is loaded yet", http.StatusServiceUnavailable)
		}
	})
	return mux
}

type answer struct {
	UserID     string `json:"user_id,omitempty"`
	CustomerID string `json:"customer_id,omitempty"`
	Allowed    bool   `json:"allowed"`
	// Access is granted, grace (a payment is overdue) or none.
	Access string `json:"access"`
	// Until is when the subscription that lasts longest ends, if that is known.
	Until    time.Time              `json:"until,omitzero"`
	Products []events.AccessProduct `json:"products,omitempty"`
	Features []string               `json:"features,omitempty"`
	// StaleSince is since when changes may be missing, because NATS is unreachable.
	StaleSince time.Time `json:"stale_since,omitzero"`
}

func (s *service) answer(w http.ResponseWriter, r *http.Request, key string, a answer) {
	s.mu.RLock()
	doc, known, ready := s.docs[key], s.docs[key].Access != "", s.ready
	a.StaleSince = s.staleSince
	s.mu.RUnlock()
	if !ready {
		http.Error(w, "not everything is loaded yet", http.StatusServiceUnavailable)
		return
	}
	a.Access, a.Until, a.Products, a.Features = doc.Access, doc.Until, doc.Products, doc.Features
	if !known {
		a.Access = events.AccessNone
	}
	a.Allowed = allows(doc, r.URL.Query().Get("product"))
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(a); err != nil {
		log.Print("answering: ", err)
	}
}

// allows decides what grace is worth: here, as much as granted.
func allows(doc events.AccessDocument, product string) bool {
	if product == "" {
		return enough(doc.Access)
	}
	return slices.ContainsFunc(doc.Products, func(p events.AccessProduct) bool {
		return p.ProductID == product && enough(p.Access)
	})
}

func enough(access string) bool {
	return access == events.AccessGranted || access == events.AccessGrace
}
