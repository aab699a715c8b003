package main

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
	"github.com/billbus/billbus/test/storetest"
)

// database keeps what is written in maps, as it is, without encoding it. What a backlog of
// different events does not need is left to the database for tests.
type database struct {
	store.Database

	mu         sync.Mutex
	entries    map[string]store.Audited
	histories  map[string][]store.Audited // by subscription
	records    map[string]store.Head
	owned      map[string][]string // keys of records, by customer and account
	identities map[string]bool
	claims     map[string][]store.Identity // by subscription, customer and account
}

func newDatabase() *database {
	return &database{
		Database: storetest.NewMemory().Connect(storetest.Hooks{}),
		entries:  map[string]store.Audited{}, histories: map[string][]store.Audited{}, records: map[string]store.Head{},
		owned: map[string][]string{}, identities: map[string]bool{}, claims: map[string][]store.Identity{},
	}
}

func (d *database) audited() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.entries)
}

func (d *database) recorded() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.records)
}

// Insert implements [store.AuditTrail].
func (d *database) Insert(_ context.Context, entries []store.Entry) []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	failures := make([]error, len(entries))
	for i, e := range entries {
		if _, ok := d.entries[e.Key()]; ok {
			failures[i] = store.ErrExists
			continue
		}
		audited := store.Audited{Entry: e}
		if ordering.ShowsState(e.Message) {
			key := e.SubscriptionKey()
			audited.Subscription = key
			d.histories[key] = append(d.histories[key], audited)
		}
		d.entries[e.Key()] = audited
	}
	return failures
}

// Messages implements [store.AuditTrail].
func (d *database) Messages(_ context.Context, keys []string) (map[string]store.Audited, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := map[string]store.Audited{}
	for _, key := range keys {
		if audited, ok := d.entries[key]; ok {
			found[key] = audited
		}
	}
	return found, nil
}

// Find implements [store.AuditTrail].
func (d *database) Find(ctx context.Context, key string) (events.Message, error) {
	found, err := d.Messages(ctx, []string{key})
	if err == nil && len(found) == 0 {
		err = fault.New(fault.Transient, fault.AuditMissing, errors.New("there is no such audit document"))
	}
	return found[key].Message, err
}

// Histories implements [store.AuditTrail].
func (d *database) Histories(_ context.Context, subscriptions []string) iter.Seq2[store.Audited, error] {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []store.Audited
	for _, key := range subscriptions {
		found = append(found, d.histories[key]...)
	}
	return each(found)
}

// Heads implements [store.Records].
func (d *database) Heads(_ context.Context, keys []string) (map[string]store.Head, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	heads := map[string]store.Head{}
	for _, key := range keys {
		if head, ok := d.records[key]; ok {
			heads[key] = head
		}
	}
	return heads, nil
}

// Replace implements [store.Records].
func (d *database) Replace(_ context.Context, records []store.Record) []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	failures := make([]error, len(records))
	for i, r := range records {
		head := r.Head
		if have, ok := d.records[head.Key]; ok && have.Revision != head.Revision-1 {
			failures[i] = store.ErrExists
			continue
		}
		d.records[head.Key] = head
		for _, owner := range []string{head.Owner.CustomerID, head.Owner.CustomerAccountID} {
			if owner != "" && !slices.Contains(d.owned[owner], head.Key) {
				d.owned[owner] = append(d.owned[owner], head.Key)
			}
		}
	}
	return failures
}

// SetUsers implements [store.Identities].
func (d *database) SetUsers(_ context.Context, heads []store.Head) []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	failures := make([]error, len(heads))
	for i, head := range heads {
		have, ok := d.records[head.Key]
		if !ok || have.Revision != head.Revision-1 {
			failures[i] = store.ErrExists
			continue
		}
		have.User, have.UpdatedAt, have.Revision = head.User, head.UpdatedAt, head.Revision
		d.records[head.Key] = have
	}
	return failures
}

// Owned implements [store.Identities].
func (d *database) Owned(_ context.Context, owners store.Owners) iter.Seq2[store.Owned, error] {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []store.Owned
	for _, owner := range slices.Concat(owners.Customers, owners.CustomerAccounts) {
		for _, key := range d.owned[owner] {
			found = append(found, store.Owned{Key: key, Owner: d.records[key].Owner})
		}
	}
	return each(found)
}

// Identify implements [store.IdentityTrail].
func (d *database) Identify(_ context.Context, identities []store.Identity) []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	failures := make([]error, len(identities))
	for i, identity := range identities {
		if d.identities[identity.Key] {
			failures[i] = store.ErrExists
			continue
		}
		d.identities[identity.Key] = true
		for _, id := range []string{identity.SubscriptionID, identity.CustomerID, identity.CustomerAccountID} {
			if id != "" {
				d.claims[id] = append(d.claims[id], identity)
			}
		}
	}
	return failures
}

// Identities implements [store.IdentityTrail].
func (d *database) Identities(_ context.Context, owners store.Owners) ([]store.Identity, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []store.Identity
	seen := map[string]bool{}
	for _, id := range slices.Concat(owners.Subscriptions, owners.Customers, owners.CustomerAccounts) {
		for _, identity := range d.claims[id] {
			if !seen[identity.Key] {
				seen[identity.Key] = true
				found = append(found, identity)
			}
		}
	}
	return found, nil
}

func each[T any](list []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}
