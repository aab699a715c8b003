package storetest

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// Slow is a database that is far away: each command takes one round trip. In a bubble of
// testing/synctest that takes no time.
type Slow struct {
	client   *Client
	parallel int // commands at the same time, where there are several

	mu        sync.Mutex
	roundTrip time.Duration
	trips     int
	batches   []int
}

// NewSlow returns a connection to a database that is far away.
func NewSlow(server *Memory, roundTrip time.Duration, parallel int) *Slow {
	return &Slow{client: server.Connect(Hooks{}), parallel: parallel, roundTrip: roundTrip}
}

// Set changes how long a round trip takes from now on.
func (s *Slow) Set(roundTrip time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.roundTrip = roundTrip
}

// Trips returns the number of round trips so far. Commands that run at the same time
// are one.
func (s *Slow) Trips() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trips
}

// Batches returns how many entries each insert had.
func (s *Slow) Batches() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.batches)
}

func (s *Slow) trip(ctx context.Context) error {
	s.mu.Lock()
	s.trips++
	wait := s.roundTrip
	s.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Transient, fault.DatabaseTimeout, err)
	}
	return nil
}

// Insert writes, and then waits for the answer: if the time is over, it has written.
func (s *Slow) Insert(ctx context.Context, entries []store.Entry) []error {
	s.mu.Lock()
	s.batches = append(s.batches, len(entries))
	s.mu.Unlock()
	failures := s.client.Insert(ctx, entries)
	if err := s.trip(ctx); err != nil {
		return slices.Repeat([]error{err}, len(entries))
	}
	return failures
}

// Prefer reads and replaces.
func (s *Slow) Prefer(ctx context.Context, e store.Entry) (events.Message, bool, error) {
	for range 2 {
		if err := s.trip(ctx); err != nil {
			return events.Message{}, false, err
		}
	}
	return s.client.Prefer(ctx, e)
}

// Find implements [store.AuditTrail].
func (s *Slow) Find(ctx context.Context, key string) (events.Message, error) {
	if err := s.trip(ctx); err != nil {
		return events.Message{}, err
	}
	return s.client.Find(ctx, key)
}

// Mark implements [store.Records].
func (s *Slow) Mark(ctx context.Context, head store.Head) error {
	if err := s.trip(ctx); err != nil {
		return err
	}
	return s.client.Mark(ctx, head)
}

// Messages implements [store.AuditTrail].
func (s *Slow) Messages(ctx context.Context, keys []string) (map[string]store.Audited, error) {
	if err := s.trip(ctx); err != nil {
		return nil, err
	}
	return s.client.Messages(ctx, keys)
}

// Histories implements [store.AuditTrail].
func (s *Slow) Histories(ctx context.Context, subscriptions []string) iter.Seq2[store.Audited, error] {
	if err := s.trip(ctx); err != nil {
		return func(yield func(store.Audited, error) bool) { yield(store.Audited{}, err) }
	}
	return s.client.Histories(ctx, subscriptions)
}

// Recent implements [store.Records].
func (s *Slow) Recent([]string) map[string]store.Head { return nil }

// Heads implements [store.Records].
func (s *Slow) Heads(ctx context.Context, keys []string) (map[string]store.Head, error) {
	if err := s.trip(ctx); err != nil {
		return nil, err
	}
	return s.client.Heads(ctx, keys)
}

// Replace is one command for each record, some of them at the same time.
func (s *Slow) Replace(ctx context.Context, records []store.Record) []error {
	return inParallel(ctx, s, records, s.client.Replace)
}

func inParallel[T any](ctx context.Context, s *Slow, list []T, write func(context.Context, []T) []error) []error {
	failures := make([]error, 0, len(list))
	for some := range slices.Chunk(list, s.parallel) {
		written := write(ctx, some)
		if err := s.trip(ctx); err != nil {
			written = slices.Repeat([]error{err}, len(some))
		}
		failures = append(failures, written...)
	}
	return failures
}

// Listings implements [store.Listings].
func (s *Slow) Listings(ctx context.Context, keys []string) (map[string]store.Listing, error) {
	if err := s.trip(ctx); err != nil {
		return nil, err
	}
	return s.client.Listings(ctx, keys)
}

// PutListing implements [store.Catalog].
func (s *Slow) PutListing(ctx context.Context, l store.Listing) error {
	if err := s.trip(ctx); err != nil {
		return err
	}
	return s.client.PutListing(ctx, l)
}

// Unswept implements [store.Catalog].
func (s *Slow) Unswept(ctx context.Context) ([]store.Listing, error) {
	if err := s.trip(ctx); err != nil {
		return nil, err
	}
	return s.client.Unswept(ctx)
}

// Referring implements [store.Catalog].
func (s *Slow) Referring(ctx context.Context, l store.Listing, after string, most int) ([]string, error) {
	if err := s.trip(ctx); err != nil {
		return nil, err
	}
	return s.client.Referring(ctx, l, after, most)
}

// Identify implements [store.IdentityTrail].
func (s *Slow) Identify(ctx context.Context, identities []store.Identity) []error {
	if err := s.trip(ctx); err != nil {
		return slices.Repeat([]error{err}, len(identities))
	}
	return s.client.Identify(ctx, identities)
}

// Identities implements [store.IdentityTrail].
func (s *Slow) Identities(ctx context.Context, owners store.Owners) ([]store.Identity, error) {
	if err := s.trip(ctx); err != nil {
		return nil, err
	}
	return s.client.Identities(ctx, owners)
}

// Identified implements [store.IdentityTrail].
func (s *Slow) Identified(ctx context.Context, keys []string) (map[string]store.Identity, error) {
	if err := s.trip(ctx); err != nil {
		return nil, err
	}
	return s.client.Identified(ctx, keys)
}

// ReplaceIdentity implements [store.IdentityTrail].
func (s *Slow) ReplaceIdentity(ctx context.Context, have, want store.Identity) (bool, error) {
	if err := s.trip(ctx); err != nil {
		return false, err
	}
	return s.client.ReplaceIdentity(ctx, have, want)
}

// Owned implements [store.Identities].
func (s *Slow) Owned(ctx context.Context, owners store.Owners) iter.Seq2[store.Owned, error] {
	if err := s.trip(ctx); err != nil {
		return func(yield func(store.Owned, error) bool) { yield(store.Owned{}, err) }
	}
	return s.client.Owned(ctx, owners)
}

// SetUsers is one command for each record, some of them at the same time.
func (s *Slow) SetUsers(ctx context.Context, heads []store.Head) []error {
	return inParallel(ctx, s, heads, s.client.SetUsers)
}

// Entitlements implements [store.EntitlementsTrail].
func (s *Slow) Entitlements(ctx context.Context, keys []string) (map[string]store.Entitled, error) {
	if err := s.trip(ctx); err != nil {
		return nil, err
	}
	return s.client.Entitlements(ctx, keys)
}

// PutEntitlements implements [store.Entitlements].
func (s *Slow) PutEntitlements(ctx context.Context, e store.Entitled) error {
	if err := s.trip(ctx); err != nil {
		return err
	}
	return s.client.PutEntitlements(ctx, e)
}

// EntitlementEvents implements [store.EntitlementsTrail].
func (s *Slow) EntitlementEvents(ctx context.Context, customers []string) iter.Seq2[store.Audited, error] {
	if err := s.trip(ctx); err != nil {
		return func(yield func(store.Audited, error) bool) { yield(store.Audited{}, err) }
	}
	return s.client.EntitlementEvents(ctx, customers)
}
