package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// Memory is a database server, with a replica set's two views of itself: what has
// been written, which is what writes collide with, and what is durable, which is
// all that is ever read.
type Memory struct {
	mu            sync.Mutex
	audit, states collection
	term          int // grows with each failover
	counts        Counts
}

// NewMemory returns an empty database.
func NewMemory() *Memory { return &Memory{audit: newCollection(), states: newCollection()} }

// Counts says how much work was asked of a database.
type Counts struct {
	Commands, DocumentsRead, DocumentsWritten int
	// BytesRead and BytesWritten are of documents as they are kept.
	BytesRead, BytesWritten int
}

// Counts returns how much work was asked so far.
func (m *Memory) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts
}

// Failover loses what is not durable. Whoever waits for a write to become durable
// does not learn what became of it.
func (m *Memory) Failover() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.term++
	m.audit.forget()
	m.states.forget()
}

// Put writes a state whatever is there, as an older or a newer release, or a
// person, might have.
func (m *Memory) Put(s store.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.states.write(s.Key, document{revision: s.N, raw: encode(s)})
	m.states.settle()
}

// Delete removes an audit document and a state, of which either may be "".
func (m *Memory) Delete(audit, state string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.audit.remove(audit)
	m.states.remove(state)
}

// State returns a durable state; false if there is none.
func (m *Memory) State(key string) (store.State, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, ok := m.states.durable[key]
	if !ok {
		return store.State{}, false
	}
	return decode[store.State](doc.raw), true
}

// Message returns a durable message of the audit trail; false if there is none.
func (m *Memory) Message(key string) (events.Message, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, ok := m.audit.durable[key]
	if !ok {
		return events.Message{}, false
	}
	return decode[events.Message](doc.raw), true
}

// Audited returns the durable messages of the audit trail by their keys.
func (m *Memory) Audited() map[string]events.Message {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[string]events.Message, len(m.audit.durable))
	for key, doc := range m.audit.durable {
		found[key] = decode[events.Message](doc.raw)
	}
	return found
}

// insert fails for a key that is taken, durably or not.
func (m *Memory) insert(e store.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.audit.written[e.Key()]; taken {
		return store.ErrExists
	}
	doc := document{raw: encode(inMilliseconds(e.Message))}
	if _, ok := ordering.FactOf(e.Message); ok {
		doc.subscription = e.SubscriptionKey()
	}
	m.count(&m.counts.DocumentsWritten, &m.counts.BytesWritten, doc)
	m.audit.write(e.Key(), doc)
	return nil
}

// inMilliseconds is what MongoDB's dates keep.
func inMilliseconds(m events.Message) events.Message {
	m.Time = m.Time.Truncate(time.Millisecond)
	return m
}

// replace is MongoDB's replacement with upsert by a filter on key and revision: if
// the filter finds nothing it inserts, and collides with what has the key.
func (m *Memory) replace(s store.State) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if doc, ok := m.states.written[s.Key]; ok && doc.revision != s.N-1 {
		return store.ErrExists
	}
	doc := document{revision: s.N, raw: encode(s)}
	m.count(&m.counts.DocumentsWritten, &m.counts.BytesWritten, doc)
	m.states.write(s.Key, doc)
	return nil
}

func (m *Memory) read(c *collection, key string) (document, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, ok := c.durable[key]
	if ok {
		m.count(&m.counts.DocumentsRead, &m.counts.BytesRead, doc)
	}
	return doc, ok
}

func (m *Memory) count(documents, bytes *int, doc document) {
	*documents++
	*bytes += len(doc.raw)
}

func (m *Memory) history(subscription string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	of := func(key string) bool { return m.audit.durable[key].subscription != subscription }
	return slices.DeleteFunc(slices.Sorted(maps.Keys(m.audit.durable)), of)
}

func (m *Memory) begin() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Commands++
	return m.term
}

// confirm makes everything durable that was written so far, unless the server that
// a command began on is no longer in charge.
func (m *Memory) confirm(term int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.term != term {
		return fault.New(fault.Transient, "failover", errors.New("the outcome is not known"))
	}
	m.audit.settle()
	m.states.settle()
	return nil
}

// document is what is kept of an entry or a state: bytes, so that nobody shares it.
type document struct {
	revision     int64
	subscription string
	raw          []byte
}

// collection keeps documents by key, and the keys under which not all is durable.
type collection struct {
	written, durable map[string]document
	pending          map[string]bool
}

func newCollection() collection {
	return collection{map[string]document{}, map[string]document{}, map[string]bool{}}
}

func (c *collection) write(key string, doc document) {
	c.written[key], c.pending[key] = doc, true
}

func (c *collection) remove(key string) {
	delete(c.written, key)
	delete(c.durable, key)
}

func (c *collection) settle() {
	for key := range c.pending {
		c.durable[key] = c.written[key]
	}
	clear(c.pending)
}

func (c *collection) forget() {
	for key := range c.pending {
		delete(c.written, key)
		if doc, ok := c.durable[key]; ok {
			c.written[key] = doc
		}
	}
	clear(c.pending)
}

func encode(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("storetest: encoding a document: %v", err))
	}
	return raw
}

func decode[T any](raw []byte) T {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		panic(fmt.Sprintf("storetest: decoding a document: %v", err))
	}
	return v
}

// Operation is one of the methods of a [store.Database].
type Operation string

// The operations of a database.
const (
	Insert  Operation = "insert"
	Find    Operation = "find"
	History Operation = "history"
	Heads   Operation = "heads"
	Replace Operation = "replace"
)

// Hooks are called in the course of an operation, by whoever called that. They may
// wait, and let others go first. Each may be nil.
type Hooks struct {
	// Before is called before a read and before each document is written. Its error
	// is what the caller gets: the operation failed and has not persisted.
	Before func(context.Context, Operation) error
	// Written is called when documents are written and not yet durable. Its error is
	// what the caller gets: the operation failed, but may have persisted.
	Written func(context.Context, Operation) error
}

// Client is one process's access to a database.
type Client struct {
	server *Memory
	hooks  Hooks
}

// Connect returns a client.
func (m *Memory) Connect(hooks Hooks) *Client { return &Client{m, hooks} }

var _ store.Database = (*Client)(nil)

// Insert is one command. If it fails in the middle, the outcome of all its
// documents is unknown.
func (c *Client) Insert(ctx context.Context, entries []store.Entry) []error {
	failures := make([]error, len(entries))
	term := c.server.begin()
	for i, e := range entries {
		if err := call(ctx, c.hooks.Before, Insert); err != nil {
			return slices.Repeat([]error{err}, len(entries))
		}
		failures[i] = c.server.insert(e)
	}
	if err := c.confirm(ctx, Insert, term); err != nil {
		return slices.Repeat([]error{err}, len(entries))
	}
	return failures
}

// Replace is one command for each state, all of them at once.
func (c *Client) Replace(ctx context.Context, states []store.State) []error {
	failures, sent, terms := make([]error, len(states)), make([]bool, len(states)), make([]int, len(states))
	for i, s := range states {
		terms[i] = c.server.begin()
		if failures[i] = call(ctx, c.hooks.Before, Replace); failures[i] == nil {
			failures[i], sent[i] = c.server.replace(s), true
		}
	}
	for i := range states {
		if !sent[i] {
			continue
		}
		if err := c.confirm(ctx, Replace, terms[i]); err != nil {
			failures[i] = err
		}
	}
	return failures
}

func (c *Client) confirm(ctx context.Context, op Operation, term int) error {
	if err := call(ctx, c.hooks.Written, op); err != nil {
		return err
	}
	return c.server.confirm(term)
}

// Find reads what is durable.
func (c *Client) Find(ctx context.Context, key string) (events.Message, error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Find); err != nil {
		return events.Message{}, err
	}
	doc, ok := c.server.read(&c.server.audit, key)
	if !ok {
		return events.Message{}, fault.New(fault.Transient, fault.AuditMissing, fmt.Errorf("no audit document %s", key))
	}
	return decode[events.Message](doc.raw), nil
}

// History reads what is durable.
func (c *Client) History(ctx context.Context, subscription string) iter.Seq2[events.Message, error] {
	return func(yield func(events.Message, error) bool) {
		c.server.begin()
		if err := call(ctx, c.hooks.Before, History); err != nil {
			yield(events.Message{}, err)
			return
		}
		for _, key := range c.server.history(subscription) {
			if doc, ok := c.server.read(&c.server.audit, key); ok && !yield(decode[events.Message](doc.raw), nil) {
				return
			}
		}
	}
}

// Heads reads what is durable.
func (c *Client) Heads(ctx context.Context, keys []string) (map[string]store.Head, error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Heads); err != nil {
		return nil, err
	}
	heads := map[string]store.Head{}
	for _, key := range keys {
		if doc, ok := c.server.read(&c.server.states, key); ok {
			heads[key] = decode[store.State](doc.raw).Head
		}
	}
	return heads, nil
}

func call(ctx context.Context, hook func(context.Context, Operation) error, op Operation) error {
	if err := ctx.Err(); err != nil {
		return fault.New(fault.Transient, fault.StripeTimeout, err)
	}
	if hook == nil {
		return nil
	}
	return hook(ctx, op)
}
