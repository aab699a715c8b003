package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
)

// maxAttempts bounds how often a record is read and decided again because another
// writer was first. Each attempt means that a writer made progress.
const maxAttempts = 20

// Result is the outcome of one entry.
type Result struct {
	Effect Effect
	Err    error
}

// Committer commits batches of entries. It keeps nothing between two batches but the
// names that it has read, and any number of them may work on one database.
type Committer struct {
	// OnOverlap, if not nil, is called for each entry whose event is in the audit trail
	// in another API version.
	OnOverlap func()
	// OnUser, if not nil, is called for each entry that is applied, with the source of the
	// user of the record that it changed, or [NoUser].
	OnUser func(source events.IdentitySource)

	db    Database
	names *Names
	now   func() time.Time
}

// NewCommitter returns a committer on a database.
func NewCommitter(db Database, now func() time.Time) *Committer {
	return &Committer{db: db, names: NewNames(db), now: now}
}

// Commit commits a batch: all audit documents, then all identities, the catalog and
// entitlements, then all records. It returns the result of each entry at the same index; one that fails does
// not fail the others.
func (c *Committer) Commit(ctx context.Context, entries []Entry) []Result {
	b := newBatch(len(entries))
	failures := c.db.Insert(ctx, entries)
	stored := c.lookUp(ctx, existing(entries, failures))
	for i, failure := range failures {
		b.messages[i], b.results[i] = c.audited(ctx, entries[i], failure, stored)
		if failure == nil {
			b.facts[i] = entries[i].Fact
		}
	}
	failpoint.At("store:audited")
	claims := c.identify(ctx, b)
	c.updateCatalog(ctx, b)
	c.updateEntitlements(ctx, b)
	c.updateRecords(ctx, b, b.groups())
	c.updateOwned(ctx, b, claims)
	for i, e := range entries {
		if e.Committed != nil {
			e.Committed(b.changed(i))
		}
	}
	return b.results
}

// Refresh brings the names in records up to the catalog. It returns how many records it
// wrote, and the errors of those that it could not write by their keys.
func (c *Committer) Refresh(ctx context.Context, keys []string) (written int, failed map[string]error) {
	b, pending := newBatch(0), groups{}
	for _, key := range keys {
		pending[key] = nil
	}
	c.updateRecords(ctx, b, pending)
	return b.written, b.failed
}

// existing returns the keys of the entries that were in the audit trail before.
func existing(entries []Entry, failures []error) []string {
	var keys []string
	for i, failure := range failures {
		if errors.Is(failure, ErrExists) {
			keys = append(keys, entries[i].Key())
		}
	}
	return keys
}

// batch is a batch that is being committed, with the messages that the audit trail
// holds.
type batch struct {
	messages []events.Message
	facts    []*ordering.Fact // of the messages, where they are known
	results  []Result
	// written is how many records were written, and failed has the errors of records.
	written int
	failed  map[string]error
	// concerned are the keys of the records that a message about users concerns, by its index.
	concerned map[int][]string
	// unsure are the records whose names, or whose user, may have changed since they were
	// read.
	unsure map[string]bool
	// changes are the records that exist, by their keys, as they were written or else found.
	changes map[string]Changed
}

func newBatch(entries int) *batch {
	return &batch{
		messages: make([]events.Message, entries), facts: make([]*ordering.Fact, entries), results: make([]Result, entries),
		changes: map[string]Changed{},
	}
}

// changed returns the records that can have changed by a message, see [Entry].
func (b *batch) changed(i int) (list []Changed) {
	keys := b.concerned[i]
	if ordering.ShowsState(b.messages[i]) {
		keys = []string{b.messages[i].SubscriptionKey()}
	}
	for _, key := range keys {
		if c, exists := b.changes[key]; exists {
			list = append(list, c)
		}
	}
	return list
}

// found notes what a record is before it is decided, unless that is what the batch has written.
func (b *batch) found(key string, head Head) {
	have, known := b.changes[key]
	isOwn := have.State != nil && have.State.Revision == head.Revision
	if !isOwn && (known || head.Revision > 0) {
		b.changes[key] = Changed{Key: key, Found: head}
	}
}

// audited returns the message that the audit trail holds of an entry. A duplicate
// goes on to its record: the process that inserted the document may have crashed
// before it wrote that.
func (c *Committer) audited(ctx context.Context, e Entry, failure error, stored lookup) (events.Message, Result) {
	switch {
	case failure == nil:
		return e.Message, Result{Effect: Recorded}
	case errors.Is(failure, ErrExists):
		// If an event came in two readings, the audit trail decides which one counts.
		// The other one is not used.
		m, err := stored.message(e.Key())
		replaced := false
		if err == nil && Preferred(e.Message, m) {
			m, replaced, err = c.db.Prefer(ctx, e)
			failpoint.At("store:preferred")
		}
		if err == nil && c.OnOverlap != nil && overlaps(e, m, replaced) {
			c.OnOverlap()
		}
		if replaced {
			return m, Result{Effect: Recorded, Err: err}
		}
		return m, Result{Effect: Duplicate, Err: err}
	}
	return events.Message{}, Result{Err: failure}
}

// overlaps reports whether an entry is in another API version than the document that it
// replaced, or that counts instead.
func overlaps(e Entry, counts events.Message, replaced bool) bool {
	if replaced {
		return counts.Data.Overlap
	}
	return e.StripeAPIVersion != counts.StripeAPIVersion
}

// lookup is what one query found in the audit trail. If the query failed, what it had
// found before counts.
type lookup struct {
	found map[string]Audited
	err   error
}

func (c *Committer) lookUp(ctx context.Context, keys []string) (l lookup) {
	if len(keys) > 0 {
		l.found, l.err = c.db.Messages(ctx, keys)
	}
	return l
}

func (l lookup) message(key string) (events.Message, error) {
	a, ok := l.found[key]
	switch {
	case a.Unreadable:
		return events.Message{}, fault.New(fault.Permanent, fault.AuditUnreadable,
			fmt.Errorf("the audit document of %s does not hold a message", events.SafeID(a.ID)))
	case !ok && l.err != nil:
		return events.Message{}, l.err
	case !ok:
		return events.Message{}, fault.New(fault.Transient, fault.AuditMissing, errors.New("there is no such audit document"))
	}
	return a.Message, nil
}

// groups are the indexes of a batch's messages, by the key of their subscription.
type groups map[string][]int

func (g groups) only(key string) groups { return groups{key: g[key]} }

// updateRecords updates the record of every group. All events of one subscription become
// one write.
func (c *Committer) updateRecords(ctx context.Context, b *batch, pending groups) {
	b.failed, b.unsure = map[string]error{}, map[string]bool{}
	for attempt := 0; len(pending) > 0; attempt++ {
		if attempt == maxAttempts {
			b.failAll(pending, errContention(attempt))
			return
		}
		pending = c.tryUpdate(ctx, b, pending, attempt)
	}
}

func (b *batch) groups() groups {
	found := groups{}
	for i, m := range b.messages {
		if ordering.ShowsState(m) && b.results[i].Err == nil {
			found[m.SubscriptionKey()] = append(found[m.SubscriptionKey()], i)
		}
	}
	return found
}

// tryUpdate reads, decides and replaces the records of the groups. Each step is one
// query for all of them. It returns the groups that are not finished: another writer
// was first, or the record was marked, or it must be read because nothing was written.
func (c *Committer) tryUpdate(ctx context.Context, b *batch, pending groups, attempt int) groups {
	keys := slices.Sorted(maps.Keys(pending))
	heads, recent, err := c.heads(ctx, keys, attempt)
	if err != nil {
		b.failAll(pending, err)
		return nil
	}
	updates := make([]*update, len(keys))
	for i, key := range keys {
		updates[i] = &update{head: heads[key], fresh: b.shows(pending[key]), unsure: b.unsureOf(key, pending[key])}
		updates[i].head.Key = key
		b.found(key, heads[key])
	}
	names := c.names.view()
	if err := names.compareNames(ctx, b, pending, updates); err != nil {
		b.failAll(pending, err)
		return nil
	}
	c.decide(ctx, updates)
	again := groups{}
	var writing []*update
	for _, u := range updates {
		switch _, unread := recent[u.head.Key]; {
		case u.err != nil && !unread:
			b.failAll(pending.only(u.head.Key), u.err)
		case u.err == nil && !u.marks && (u.needed || u.user != u.head.User):
			writing = append(writing, u)
		case u.marks || unread:
			again[u.head.Key] = pending[u.head.Key]
		}
	}
	written, changed := c.write(ctx, names, b, pending, writing)
	maps.Copy(again, changed)
	maps.Copy(again, c.checkNames(ctx, b, pending, written))
	maps.Copy(again, c.checkUsers(ctx, b, pending, written))
	return again
}

// heads returns the heads of records, and those of them that are only recent. The first
// attempt reads no record that has a recent head.
func (c *Committer) heads(ctx context.Context, keys []string, attempt int) (heads, recent map[string]Head, err error) {
	if attempt == 0 {
		recent = c.db.Recent(keys)
	}
	unread := slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
		_, ok := recent[key]
		return ok
	})
	if len(unread) == 0 {
		return recent, recent, nil
	}
	heads, err = c.db.Heads(ctx, unread)
	if err == nil {
		maps.Copy(heads, recent)
	}
	return heads, recent, err
}

// write writes the records. It also returns the groups that must be read and decided
// again: those whose revision has changed since.
func (c *Committer) write(ctx context.Context, names view, b *batch, pending groups, updates []*update) (written []*update, again groups) {
	ctx, cancel := leavingTime(ctx)
	defer cancel()
	again = groups{}
	for i, failure := range c.replace(ctx, names, updates) {
		u := updates[i]
		switch members := pending[u.head.Key]; {
		case failure == nil:
			written = append(written, u)
			b.changes[u.head.Key] = Changed{Key: u.head.Key, State: u.state}
			c.markApplied(b, members, u)
		case errors.Is(failure, ErrExists):
			again[u.head.Key] = members
		default:
			b.failAll(pending.only(u.head.Key), failure)
		}
	}
	b.written += len(written)
	return written, again
}

// leavingTime returns a context that is done before the other: what was written counts only
// once its names and users were checked.
func leavingTime(ctx context.Context) (context.Context, context.CancelFunc) {
	if until, ok := ctx.Deadline(); ok {
		return context.WithDeadline(ctx, until.Add(-time.Until(until)/4))
	}
	return ctx, func() {}
}

// replace replaces records, or sets nothing but their user if that is all that changes.
// It returns the outcome of each.
func (c *Committer) replace(ctx context.Context, names view, updates []*update) []error {
	needed := filter(updates, func(u *update) bool { return u.needed })
	records, err := names.makeRecords(ctx, needed, c.now)
	if err != nil {
		return slices.Repeat([]error{err}, len(updates))
	}
	for i, record := range records {
		needed[i].state = record.State()
	}
	var heads []Head
	for _, u := range updates {
		if !u.needed {
			heads = append(heads, u.head.withUser(u.user, c.now()))
		}
	}
	var replaced, set []error
	if records != nil {
		replaced = c.db.Replace(ctx, records)
		failpoint.At("store:replaced")
	}
	if heads != nil {
		set = c.db.SetUsers(ctx, heads)
		failpoint.At("store:owned")
	}
	outcomes := make([]error, len(updates))
	for i, u := range updates {
		next := &set
		if u.needed {
			next = &replaced
		}
		outcomes[i], *next = (*next)[0], (*next)[1:]
	}
	return outcomes
}

// markApplied marks the events that the new state depends on. An event that was
// superseded within its batch, or that is only remembered, is not marked. Nor is one that
// was stored and known before.
func (c *Committer) markApplied(b *batch, members []int, u *update) {
	applied := u.applied()
	for _, i := range members {
		id, repeated := b.messages[i].ID, u.repeats && b.results[i].Effect == Duplicate
		if (repeated || !applied[id]) && !u.takesUserFrom(id) {
			continue
		}
		b.results[i].Effect = Applied
		if c.OnUser != nil {
			c.OnUser(cmp.Or(u.user.Source, NoUser))
		}
	}
}

func (b *batch) failAll(failed groups, err error) {
	for key, members := range failed {
		b.fail(members, err)
		b.failed[key] = err
	}
}

func (b *batch) fail(members []int, err error) {
	for _, i := range members {
		b.results[i].Err = err
	}
}

// shows returns the messages that show the state of a subscription.
func (b *batch) shows(members []int) []stateMessage {
	var shown []stateMessage
	for _, i := range members {
		if ordering.ShowsState(b.messages[i]) {
			shown = append(shown, stateMessage{b.messages[i], b.facts[i]})
		}
	}
	return shown
}
