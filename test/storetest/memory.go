package storetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// Memory is a database server in memory. Like a replica set it distinguishes what has
// been written, with which writes collide, from what is durable, which is all that can
// be read.
type Memory struct {
	mu                                          sync.Mutex
	audit, records, catalog, access, identities collection
	entitlements                                collection
	completed                                   string
	term                                        int // grows with each failover
	counts                                      Counts
	turn                                        store.Turn
	letters                                     map[string]store.Letter
	progress                                    store.Progress
}

// NewMemory returns an empty database.
func NewMemory() *Memory {
	return &Memory{
		audit: newCollection(), records: newCollection(), catalog: newCollection(), access: newCollection(), identities: newCollection(),
		entitlements: newCollection(),
		letters:      map[string]store.Letter{},
	}
}

// Counts says how much work a database has done.
type Counts struct {
	Commands, DocumentsRead, DocumentsWritten int
	// BytesRead and BytesWritten count encoded documents.
	BytesRead, BytesWritten int
}

// Counts returns how much work the database has done so far.
func (m *Memory) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.counts
}

// Failover undoes what is not durable. A client that waits for a write to become
// durable gets an error.
func (m *Memory) Failover() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.term++
	m.audit.undo()
	m.identities.undo()
	m.records.undo()
	m.catalog.undo()
	m.access.undo()
	m.entitlements.undo()
}

// Put writes a record without any condition, as another release or a person might.
func (m *Memory) Put(r store.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.records.write(r.Key, recordDocument(r))
	m.records.settle()
}

// Delete removes an audit document and a record. Either key may be "".
func (m *Memory) Delete(audit, record string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.audit.remove(audit)
	m.records.remove(record)
}

// Drop removes everything.
func (m *Memory) Drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.audit, m.identities, m.records, m.catalog = newCollection(), newCollection(), newCollection(), newCollection()
	m.access, m.entitlements = newCollection(), newCollection()
}

// DamageAudit makes the message of an audit document unreadable.
func (m *Memory) DamageAudit(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc := m.audit.durable[key]
	doc.damaged = true
	m.audit.write(key, doc)
	m.audit.settle()
}

// DamageRecord removes everything from a record but its key.
func (m *Memory) DamageRecord(key string) { m.Put(store.Record{Head: store.Head{Key: key}}) }

// Record returns a durable record. It reports false if there is none.
func (m *Memory) Record(key string) (store.Record, bool) {
	return lookup[store.Record](m, &m.records, key)
}

// Identity returns a durable identity. It reports false if there is none.
func (m *Memory) Identity(key string) (store.Identity, bool) {
	return lookup[store.Identity](m, &m.identities, key)
}

// Message returns a durable message of the audit trail. It reports false if there is
// none.
func (m *Memory) Message(key string) (events.Message, bool) {
	return lookup[events.Message](m, &m.audit, key)
}

func lookup[T any](m *Memory, c *collection, key string) (value T, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, ok := c.durable[key]
	if ok {
		value = decode[T](doc.raw)
	}
	return value, ok
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
	m.writeAudit(e)
	return nil
}

// prefer replaces an audit document, if it is still the one that was read.
func (m *Memory) prefer(e store.Entry, read events.Message) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !bytes.Equal(m.audit.written[e.Key()].raw, encode(read)) {
		return false
	}
	m.writeAudit(e)
	return true
}

func (m *Memory) writeAudit(e store.Entry) {
	doc := document{raw: encode(inMilliseconds(e.Message)), entry: &store.Entry{References: e.References, Position: e.Position}}
	if _, ok := ordering.FactOf(e.Message); ok {
		doc.subscription = e.SubscriptionKey()
	}
	m.count(&m.counts.DocumentsWritten, &m.counts.BytesWritten, doc)
	m.audit.write(e.Key(), doc)
}

// inMilliseconds rounds as MongoDB's dates do.
func inMilliseconds(m events.Message) events.Message {
	m.Time = m.Time.Truncate(time.Millisecond)
	return m
}

// recordDocument rounds as MongoDB's dates do.
func recordDocument(r store.Record) document {
	r.FirstSeenAt, r.UpdatedAt = r.FirstSeenAt.Truncate(time.Millisecond), r.UpdatedAt.Truncate(time.Millisecond)
	return document{revision: r.Revision, raw: encode(r)}
}

// replace replaces the given revision. Like MongoDB's replacement with upsert it
// inserts if there is no record, and collides with any other revision.
func (m *Memory) replace(r store.Record, revision int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if doc, ok := m.records.written[r.Key]; ok && doc.revision != revision {
		return store.ErrExists
	}
	doc := recordDocument(r)
	m.count(&m.counts.DocumentsWritten, &m.counts.BytesWritten, doc)
	m.records.write(r.Key, doc)
	return nil
}

// change changes fields of the given revision.
func (m *Memory) change(key string, revision int64, set func(*store.Record)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, ok := m.records.written[key]
	if !ok || doc.revision != revision {
		return store.ErrExists
	}
	r := decode[store.Record](doc.raw)
	set(&r)
	r.Revision++
	doc = recordDocument(r)
	m.count(&m.counts.DocumentsWritten, &m.counts.BytesWritten, doc)
	m.records.write(key, doc)
	return nil
}

// identify fails for a key that is taken, durably or not.
func (m *Memory) identify(i store.Identity) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.identities.written[i.Key]; taken {
		return store.ErrExists
	}
	m.writeIdentity(i)
	return nil
}

func (m *Memory) writeIdentity(i store.Identity) {
	i.Created = i.Created.Truncate(time.Millisecond)
	doc := document{raw: encode(i)}
	m.count(&m.counts.DocumentsWritten, &m.counts.BytesWritten, doc)
	m.identities.write(i.Key, doc)
}

// replaceIdentity replaces an identity, if it is still the one that was read.
func (m *Memory) replaceIdentity(have, want store.Identity) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	doc, ok := m.identities.written[have.Key]
	if !ok || !decode[store.Identity](doc.raw).Equal(have) {
		return false
	}
	m.writeIdentity(want)
	return true
}

// read returns a durable document.
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

// keys returns the keys of the durable documents that match, in their order.
func (m *Memory) keys(c *collection, match func(document) bool) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var keys []string
	for key, doc := range c.durable {
		if match(doc) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (m *Memory) begin() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Commands++
	return m.term
}

// confirm makes all writes so far durable, unless there was a failover since the
// command began.
func (m *Memory) confirm(term int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.term != term {
		return fault.New(fault.Transient, "failover", errors.New("the outcome is not known"))
	}
	m.audit.settle()
	m.identities.settle()
	m.records.settle()
	m.catalog.settle()
	m.access.settle()
	m.entitlements.settle()
	return nil
}

// document is a message or a record, encoded to share nothing with the caller.
type document struct {
	raw []byte

	revision int64 // of a record

	// Of a message:
	subscription string
	entry        *store.Entry // for its references and position
	damaged      bool
}

// collection keeps documents by key, and the keys of those that are not durable.
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

func (c *collection) undo() {
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
