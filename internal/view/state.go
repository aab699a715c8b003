package view

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	json "github.com/go-json-experiment/json/v1"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// heldState is what is remembered of a state entry.
type heldState struct {
	revision uint64 // of the bucket; 0 if there is no entry
	since    time.Time
	n        int64
	updated  time.Time
	// owners are to whom the subscription belongs, and former to whom it has belonged: the
	// keys of access entries that may not say so yet.
	owners []owner
	former []string
	// done is true once the access entries follow from it.
	done bool
}

// is reports whether the entry has this very revision of the record.
func (h heldState) is(s store.State) bool {
	return h.since.Equal(s.FirstSeenAt) && h.n == s.Revision && h.updated.Equal(s.UpdatedAt)
}

// precedes reports whether the entry has an earlier revision of the record.
func (h heldState) precedes(s store.State) bool {
	return h.since.Equal(s.FirstSeenAt) && h.n < s.Revision
}

// putState brings a record into the bucket, and returns what the bucket then has: the
// record, or something newer.
func (v *View) putState(ctx context.Context, state store.State, why occasion) (heldState, error) {
	for range maxCollisions {
		held, ok := v.states.get(state.Key)
		if ok && held.is(state) {
			return held, nil
		}
		var have events.Record
		if !ok || !held.precedes(state) {
			var err error
			if have, held, err = v.readState(ctx, state.Key); err != nil {
				return held, err
			}
			if state, err = v.latest(ctx, state, held); err != nil {
				return held, err
			}
			v.doubt(held, state)
		} else {
			have.FirstSeenAt, have.Version.N = held.since, held.n
		}
		switch next := compare(have, state, why); {
		case held.revision > 0 && next != replace:
			v.withhold(state.Key, next == withhold && why != caughtUp)
			v.states.put(state.Key, held)
			return held, nil
		}
		put, ok, err := v.replaceState(ctx, state, held, why)
		if err != nil || ok {
			return put, err
		}
		v.states.remove(state.Key)
	}
	return heldState{}, busy(errCollisions)
}

// latest reads a record again if the entry does not have an earlier revision of it: the record
// was read or written before the entry was. If the database does not have the entry's revision
// even now, it was restored from a backup, or dropped. What is then compared with the entry
// must be the latest: nobody brings that any more, if it was held back.
func (v *View) latest(ctx context.Context, state store.State, held heldState) (store.State, error) {
	if held.revision == 0 || held.precedes(state) || held.is(state) {
		return state, nil
	}
	again, found, err := v.cfg.Store.State(ctx, state.Key)
	if err != nil || !found || again.Subscription.ID == "" {
		return state, err
	}
	again.Key = state.Key
	return again, nil
}

// doubt forgets that the documents of an entry's owners are in the database, unless that has
// the entry's record, or a later revision: it may have lost them, too.
func (v *View) doubt(held heldState, state store.State) {
	if held.precedes(state) || held.is(state) {
		return
	}
	for _, o := range held.owners {
		v.settled.remove(o.key)
	}
}

func (v *View) readState(ctx context.Context, key string) (events.Record, heldState, error) {
	value, revision, err := v.cfg.Bucket.Get(ctx, bucketKey(key))
	held := heldState{revision: revision}
	var record events.Record
	if err != nil || revision == 0 || json.Unmarshal(value, &record) != nil {
		// A value that is not a record is replaced.
		return events.Record{}, held, err
	}
	held.since, held.n, held.updated, held.former = record.FirstSeenAt, record.Version.N, record.UpdatedAt, record.FormerAccess
	held.owners = ownersOf(key, &record.Subscription)
	if same, ok := v.states.get(key); ok && same.revision == revision {
		held.done = same.done
	}
	return record, held, nil
}

// replaceState replaces the entry, if it still has the revision that was read.
func (v *View) replaceState(ctx context.Context, state store.State, held heldState, why occasion) (heldState, bool, error) {
	next := heldState{since: state.FirstSeenAt, n: state.Revision, updated: state.UpdatedAt, owners: ownersOf(state.Key, &state.Subscription)}
	next.former = former(held, next.owners)
	value, err := v.encode(state, next.former)
	if err != nil {
		return heldState{}, false, err
	}
	revision, ok, err := v.cfg.Bucket.Put(ctx, bucketKey(state.Key), value, held.revision)
	if err != nil || !ok {
		return heldState{}, false, err
	}
	failpoint.At("view:state")
	next.revision = revision
	if why == followed {
		v.cfg.Metrics.StateViewLag(v.cfg.Now().Sub(state.UpdatedAt))
	}
	v.withhold(state.Key, false)
	v.states.put(state.Key, next)
	return next, true, nil
}

// former returns the access entries that may still count on what the entry before said.
func former(before heldState, owners []owner) []string {
	var keys []string
	if !before.done {
		keys = slices.Clone(before.former)
	}
	for _, o := range before.owners {
		keys = append(keys, o.key)
	}
	slices.Sort(keys)
	return slices.DeleteFunc(slices.Compact(keys), func(key string) bool {
		return slices.ContainsFunc(owners, func(o owner) bool { return o.key == key })
	})
}

// encode returns the value of a state entry. Without the known events it is not as large,
// and all that is lost is that a database that was rebuilt cannot be compared with it.
func (v *View) encode(state store.State, former []string) ([]byte, error) {
	record := recordOf(state)
	record.FormerAccess = former
	value, err := toJSON(record)
	if limit := v.cfg.MaxValue(); err == nil && limit > 0 && len(value) > limit {
		record.Version.Known = nil
		value, err = toJSON(record)
	}
	return value, err
}

func toJSON(value any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, fault.New(fault.Permanent, fault.CannotBeEncoded, err)
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte{'\n'}), nil
}

// precedence says whether a record takes the place of an entry.
type precedence int

const (
	keep     precedence = iota // the entry has the record, or something newer
	withhold                   // the record may lack something that the entry has
	replace
)

// compare compares an entry with a record. As long as the record of the database is the
// same one, its revision grows. If the database was dropped and is being rebuilt, the
// record begins again, and may lack events for a while; and so does one that was restored
// from a backup, see [View.latest]. Then it takes the place of the entry if an event is
// newer than all that the entry knows; or if the record has caught up with the entry.
func compare(have events.Record, state store.State, why occasion) precedence {
	held := heldState{since: have.FirstSeenAt, n: have.Version.N, updated: have.UpdatedAt}
	switch {
	case held.precedes(state):
		return replace
	case held.is(state):
		return keep
	}
	facts := slices.Concat(factsOf(have.Version.Known), state.Known)
	if len(facts) == 0 {
		return replace
	}
	verdict := store.Decide(facts)
	switch {
	case verdict.Winner.EventID != state.EventID:
		return withhold
	case verdict.Winner.EventID != have.Version.EventID:
		return replace
	case !knows(state.Known, verdict.Relevant), have.UserID != state.Subscription.UserID && why != caughtUp:
		return withhold
	}
	return replace
}

// knows reports whether facts are known, in the version in which they count.
func knows(known, facts []ordering.Fact) bool {
	return !slices.ContainsFunc(facts, func(f ordering.Fact) bool {
		return !slices.ContainsFunc(known, func(k ordering.Fact) bool { return k.EventID == f.EventID && k.APIVersion == f.APIVersion })
	})
}

// withhold remembers whether a record has to be compared again when every message was
// handled. If there are too many such records, all are.
func (v *View) withhold(key string, again bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case !again:
		delete(v.withheld, key)
	case len(v.withheld) < maxCached:
		v.withheld[key] = true
	default:
		v.withheldAll = true
	}
}

func recordOf(s store.State) events.Record {
	known := make([]events.KnownEvent, len(s.Known))
	for i, f := range s.Known {
		known[i] = events.KnownEvent{
			EventID: f.EventID, Type: f.Type, APIVersion: f.APIVersion, Moment: f.Moment, Terminal: f.Terminal, Request: f.Request,
			First: f.First, Because: f.Because, ItemsTruncated: f.ItemsTruncated, Access: f.Access, Products: f.Products,
			Before: events.StateDigest(f.Before), After: events.StateDigest(f.After),
		}
	}
	return events.Record{
		Subscription: s.Subscription, UserIDSource: s.User.Source, UserIDConflict: s.User.Conflict,
		Version: events.RecordVersion{
			EventID: s.EventID, EventType: s.EventType, EventCreated: s.EventCreated.UTC(), Terminal: s.Terminal,
			N: s.Revision, Rule: s.Rule, Reread: s.Reread, Known: known,
		},
		Ordering: string(s.Ordering), Explanation: s.Explanation, FirstSeenAt: s.FirstSeenAt.UTC(), UpdatedAt: s.UpdatedAt.UTC(),
	}
}

func factsOf(known []events.KnownEvent) []ordering.Fact {
	facts := make([]ordering.Fact, len(known))
	for i, k := range known {
		facts[i] = ordering.Fact{
			EventID: k.EventID, Type: k.Type, APIVersion: k.APIVersion, Moment: k.Moment, Terminal: k.Terminal, Request: k.Request,
			First: k.First, Because: k.Because, ItemsTruncated: k.ItemsTruncated, Access: k.Access, Products: k.Products,
			Before: ordering.Digest(k.Before), After: ordering.Digest(k.After),
		}
	}
	return facts
}

// owner is a customer or a user to whom subscriptions belong.
type owner struct {
	key string // of the access entry
	// of is not set for one to whom a subscription has belonged.
	of store.AccessOwner
}

func ownersOf(key string, sub *events.Subscription) []owner {
	p := place(key)
	var list []owner
	if customer := cmp.Or(sub.CustomerID, sub.CustomerAccountID); customer != "" {
		list = append(list, owner{events.CustomerAccessKey(p.livemode, p.account, customer), store.AccessOwner{Scope: p.scope, Customer: customer}})
	}
	if sub.UserID != "" {
		list = append(list, owner{events.UserAccessKey(p.livemode, p.account, sub.UserID), store.AccessOwner{Scope: p.scope, User: sub.UserID}})
	}
	return list
}

// scope is the mode and account of a key.
type scope struct {
	livemode bool
	account  string // "" for the platform
	scope    string
	ofUser   bool // of the key of an access entry
}

// place returns the scope of the key of a record.
func place(key string) scope {
	parts := strings.SplitN(key, ":", 3)
	s := scope{livemode: parts[0] == events.Mode(true), account: parts[1], scope: parts[0] + ":" + parts[1] + ":"}
	if s.account == events.Platform {
		s.account = ""
	}
	return s
}

// placeOfAccess returns the scope of the key of an access entry.
func placeOfAccess(key string) scope {
	p := place(strings.TrimPrefix(databaseKey(key), "access:"))
	p.ofUser = strings.HasPrefix(strings.TrimPrefix(databaseKey(key), "access:"+p.scope), "user:")
	return p
}

// bucketKey returns the key in the bucket of a key in the database.
func bucketKey(key string) string { return strings.ReplaceAll(key, ":", ".") }

// databaseKey is the reverse of [bucketKey].
func databaseKey(key string) string { return strings.ReplaceAll(key, ".", ":") }
