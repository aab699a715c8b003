package storetest

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// Operation is one of the methods of a [store.Database].
type Operation string

// The operations of a database.
const (
	Insert          Operation = "insert"
	Prefer          Operation = "prefer"
	Find            Operation = "find"
	Trail           Operation = "trail"
	Identify        Operation = "identify"
	Identities      Operation = "identities"
	ReplaceIdentity Operation = "replace identity"
	Owned           Operation = "owned"
	Heads           Operation = "heads"
	Mark            Operation = "mark"
	Replace         Operation = "replace"
	SetUsers        Operation = "set users"

	Listings   Operation = "listings"
	PutListing Operation = "put listing"
	Unswept    Operation = "unswept"
	Referring  Operation = "referring"

	Entitlements      Operation = "entitlements"
	PutEntitlements   Operation = "put entitlements"
	EntitlementEvents Operation = "entitlement events"

	Access        Operation = "access"
	ReplaceAccess Operation = "replace access"
)

// Hooks are called during an operation, by its caller's goroutine. They may wait for
// others. Each may be nil.
type Hooks struct {
	// Before is called before a read, and before each document is written. If it
	// returns an error, the operation fails with it and has no effect.
	Before func(context.Context, Operation) error
	// Written is called when documents are written but not durable yet. If it returns
	// an error, the operation fails with it, but may have an effect.
	Written func(context.Context, Operation) error
}

// Client is one process's connection to a [Memory]. It implements every interface of
// package store that reads or writes. Hooks concern [store.Database] only.
type Client struct {
	server *Memory
	hooks  Hooks
	// Remembered, if not nil, are the heads that Recent returns, however old: those of the
	// records that the process has written.
	Remembered map[string]store.Head
}

// Connect returns a client.
func (m *Memory) Connect(hooks Hooks) *Client { return &Client{server: m, hooks: hooks} }

var _ Store = (*Client)(nil)

// Insert is one command. If it fails in the middle, the outcome of all its documents is
// unknown.
func (c *Client) Insert(ctx context.Context, entries []store.Entry) []error {
	return c.together(ctx, Insert, len(entries), func(i int) error { return c.server.insert(entries[i]) })
}

// together writes documents by one command.
func (c *Client) together(ctx context.Context, op Operation, n int, write func(i int) error) []error {
	failures := make([]error, n)
	term := c.server.begin()
	for i := range n {
		if err := call(ctx, c.hooks.Before, op); err != nil {
			return slices.Repeat([]error{err}, n)
		}
		failures[i] = write(i)
	}
	if err := c.confirm(ctx, op, term); err != nil {
		return slices.Repeat([]error{err}, n)
	}
	return failures
}

// Prefer reads the document and then replaces it, which fails if it has changed.
func (c *Client) Prefer(ctx context.Context, e store.Entry) (events.Message, bool, error) {
	for {
		stored, err := c.Find(ctx, e.Key())
		if err != nil || !store.Preferred(e.Message, stored) {
			return stored, false, err
		}
		term := c.server.begin()
		if err := call(ctx, c.hooks.Before, Prefer); err != nil {
			return events.Message{}, false, err
		}
		replacement := store.Replacement(e, stored)
		replaced := c.server.prefer(replacement, stored)
		if err := c.confirm(ctx, Prefer, term); err != nil || replaced {
			return replacement.Message, err == nil, err
		}
	}
}

// Replace is one command for each record, all at the same time. So any of them can fail, which
// includes what can happen to one command for all.
func (c *Client) Replace(ctx context.Context, records []store.Record) []error {
	failures := c.each(ctx, Replace, len(records), func(i int) error {
		return c.server.replace(records[i], records[i].Revision-1)
	})
	for i, record := range records {
		if failures[i] == nil && c.Remembered != nil {
			c.Remembered[record.Key] = decode[store.Record](recordDocument(record).raw).Head
		}
	}
	return failures
}

// SetUsers is one command for each record, all at the same time.
func (c *Client) SetUsers(ctx context.Context, heads []store.Head) []error {
	return c.each(ctx, SetUsers, len(heads), func(i int) error {
		return c.server.change(heads[i].Key, heads[i].Revision-1, func(r *store.Record) {
			r.User, r.UpdatedAt = heads[i].User, heads[i].UpdatedAt
		})
	})
}

// each sends several commands at the same time.
func (c *Client) each(ctx context.Context, op Operation, n int, write func(i int) error) []error {
	failures, sent, terms := make([]error, n), make([]bool, n), make([]int, n)
	for i := range n {
		terms[i] = c.server.begin()
		if failures[i] = call(ctx, c.hooks.Before, op); failures[i] == nil {
			failures[i], sent[i] = write(i), true
		}
	}
	for i := range n {
		if !sent[i] {
			continue
		}
		if err := c.confirm(ctx, op, terms[i]); err != nil {
			failures[i] = err
		}
	}
	return failures
}

// Mark implements [store.Records].
func (c *Client) Mark(ctx context.Context, head store.Head) error {
	term := c.server.begin()
	if err := call(ctx, c.hooks.Before, Mark); err != nil {
		return err
	}
	outcome := c.server.change(head.Key, head.Revision, func(r *store.Record) { r.Reread = true })
	if err := c.confirm(ctx, Mark, term); err != nil {
		return err
	}
	return outcome
}

func (c *Client) confirm(ctx context.Context, op Operation, term int) error {
	if err := call(ctx, c.hooks.Written, op); err != nil {
		return err
	}
	return c.server.confirm(term)
}

// Find implements [store.AuditTrail].
func (c *Client) Find(ctx context.Context, key string) (events.Message, error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Find); err != nil {
		return events.Message{}, err
	}
	doc, ok := c.server.read(&c.server.audit, key)
	switch {
	case !ok:
		return events.Message{}, fault.New(fault.Transient, fault.AuditMissing, fmt.Errorf("there is no audit document %s", key))
	case doc.damaged:
		return events.Message{}, fault.New(fault.Permanent, fault.AuditUnreadable, fmt.Errorf("the audit document %s is damaged", key))
	}
	return decode[events.Message](doc.raw), nil
}

// Messages is one command.
func (c *Client) Messages(ctx context.Context, keys []string) (map[string]store.Audited, error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Find); err != nil {
		return nil, err
	}
	found := map[string]store.Audited{}
	for _, key := range keys {
		if doc, ok := c.server.read(&c.server.audit, key); ok {
			found[key] = doc.audited()
		}
	}
	return found, nil
}

// Histories implements [store.AuditTrail].
func (c *Client) Histories(ctx context.Context, subscriptions []string) iter.Seq2[store.Audited, error] {
	return c.audited(ctx, c.hooks.Before, func(doc document) bool {
		return doc.subscription != "" && slices.Contains(subscriptions, doc.subscription)
	})
}

// Trail implements [store.Search].
func (c *Client) Trail(ctx context.Context, subscription string) iter.Seq2[store.Audited, error] {
	return c.Histories(ctx, []string{subscription})
}

// audited yields the documents of the audit trail that match, by their keys.
func (c *Client) audited(ctx context.Context, before func(context.Context, Operation) error, match func(document) bool) iter.Seq2[store.Audited, error] {
	return func(yield func(store.Audited, error) bool) {
		c.server.begin()
		if err := call(ctx, before, Trail); err != nil {
			yield(store.Audited{}, err)
			return
		}
		for _, key := range c.server.keys(&c.server.audit, match) {
			if doc, ok := c.server.read(&c.server.audit, key); ok && !yield(doc.audited(), nil) {
				return
			}
		}
	}
}

func (d document) audited() store.Audited {
	m := decode[events.Message](d.raw)
	if d.damaged {
		m = events.Message{ID: m.ID, StripeType: m.StripeType, Time: m.Time, Livemode: m.Livemode, StripeAccount: m.StripeAccount}
	}
	return store.Audited{
		Subscription: d.subscription, Unreadable: d.damaged,
		Entry: store.Entry{Message: m, References: d.entry.References, Position: d.entry.Position},
	}
}

// Recent implements [store.Records].
func (c *Client) Recent(keys []string) map[string]store.Head {
	found := map[string]store.Head{}
	for _, key := range keys {
		if head, ok := c.Remembered[key]; ok {
			found[key] = head
		}
	}
	return found
}

// Heads implements [store.Records].
func (c *Client) Heads(ctx context.Context, keys []string) (map[string]store.Head, error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Heads); err != nil {
		return nil, err
	}
	heads := map[string]store.Head{}
	for _, key := range keys {
		if doc, ok := c.server.read(&c.server.records, key); ok {
			heads[key] = decode[store.Record](doc.raw).Head
		}
	}
	return heads, nil
}

func call(ctx context.Context, hook func(context.Context, Operation) error, op Operation) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Transient, fault.DatabaseTimeout, err)
	}
	if hook == nil {
		return nil
	}
	return hook(ctx, op)
}
