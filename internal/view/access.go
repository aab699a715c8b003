package view

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"time"

	json "github.com/go-json-experiment/json/v1"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/access"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/store"
)

// accessEntry is the value of an access entry. It is the outbox of its message.
type accessEntry struct {
	events.AccessDocument
	// Previous is the document before, which the message compares with.
	Previous *events.AccessDocument `json:"previous,omitempty"`
	// Entitlements are what is known about a customer's; nil in the entry of a user.
	Entitlements *entitlements `json:"entitlements,omitempty"`

	bucketRevision uint64 // 0 if there is no entry
}

// brought is what an access entry has to take into account, and may not know yet.
type brought struct {
	// record is the key of a record whose state entry is in the bucket, or "".
	record string
	// entitled is what the database says about the customer's entitlements, or nil.
	entitled *store.Entitled
}

// updateAccess makes the access entry of an owner follow from the state entries and from
// entitlements, and returns it.
//
// The access entry is read before the states, and replaced only if it is still the same
// afterwards. So of two writers that bring a subscription each, one reads the other's
// state, or finds the other's access entry and starts again.
func (v *View) updateAccess(ctx context.Context, o owner, b brought) (accessEntry, error) {
	unlock, err := v.lock(ctx, o.key) // it would collide with itself
	if err != nil {
		return accessEntry{}, err
	}
	defer unlock()
	for range maxCollisions {
		have, err := v.readAccess(ctx, o.key)
		if err != nil {
			return have, err
		}
		next, done, err := v.replaceAccess(ctx, o, have, b)
		if done || err != nil {
			return next, err
		}
	}
	return accessEntry{}, busy(errCollisions)
}

// lock waits for the lock of an access entry.
func (v *View) lock(ctx context.Context, key string) (unlock func(), err error) {
	lock := v.owners[maphash.String(v.seed, key)%uint64(len(v.owners))]
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, busy(ctx.Err())
	}
}

// readAccess returns the access entry, whose message is then out. If there is none, it
// follows the document in the database: the bucket may have been deleted.
func (v *View) readAccess(ctx context.Context, key string) (have accessEntry, err error) {
	have, err = v.getAccess(ctx, key)
	switch {
	case err != nil:
		return have, err
	case have.Access == "":
		var found bool
		have.AccessDocument, found, err = v.cfg.Store.Access(ctx, databaseKey(key))
		if err == nil && found {
			err = v.noticeBucket(ctx)
		}
		return have, err
	}
	return have, v.settle(ctx, key, have)
}

// getAccess returns the access entry; nothing but its revision if its value is not one.
func (v *View) getAccess(ctx context.Context, key string) (have accessEntry, err error) {
	value, revision, err := v.cfg.Bucket.Get(ctx, key)
	if err == nil && (revision == 0 || json.Unmarshal(value, &have) != nil) {
		have = accessEntry{}
	}
	have.bucketRevision = revision
	return have, err
}

// replaceAccess reports false if another writer was first.
func (v *View) replaceAccess(ctx context.Context, o owner, have accessEntry, b brought) (next accessEntry, done bool, err error) {
	if have.bucketRevision == 0 && o.of == (store.AccessOwner{}) {
		return have, true, nil // nothing counts on what it was
	}
	keys, err := v.keysOf(ctx, o, have, b.record)
	if err != nil {
		return next, false, err
	}
	next, err = v.follows(ctx, o, have, b, keys)
	if err == nil && access.TakesAway(have.AccessDocument, next.AccessDocument) {
		var news bool
		if news, err = v.bringAll(ctx, o, keys, b.record); news {
			next, err = v.follows(ctx, o, have, b, keys)
		}
	}
	if err != nil {
		return next, false, err
	}
	isSame := have.bucketRevision > 0 && have.SameDocument(next.AccessDocument)
	if isSame && next.Entitlements == have.Entitlements {
		return have, true, nil
	}
	if isSame {
		next.AccessDocument, next.Previous = have.AccessDocument, have.Previous
	} else {
		published, _ := v.settled.get(o.key)
		next.Revision, next.UpdatedAt = max(have.Revision, published)+1, v.cfg.Now().UTC().Truncate(time.Millisecond)
	}
	value, err := toJSON(next)
	if err != nil {
		return next, false, err
	}
	_, ok, err := v.cfg.Bucket.Put(ctx, o.key, value, have.bucketRevision)
	if err != nil || !ok || isSame {
		return next, ok, err
	}
	failpoint.At("view:access")
	return next, true, v.publish(ctx, o.key, next)
}

// follows returns what an access entry has to be, by the records with some keys, without its
// revision.
func (v *View) follows(ctx context.Context, o owner, have accessEntry, b brought, keys map[string]bool) (accessEntry, error) {
	next := accessEntry{Entitlements: have.Entitlements.with(b.entitled)}
	records, err := v.records(ctx, o, keys)
	if err != nil {
		return next, err
	}
	if have.Revision > 0 {
		next.Previous = &have.AccessDocument
	}
	known, err := v.entitlements(ctx, o, &next, have.bucketRevision == 0, records)
	if err != nil {
		return next, err
	}
	features, ambiguous := featuresOf(known)
	next.AccessDocument = access.Of(records, features)
	next.Ambiguous = next.Ambiguous || ambiguous
	return next, nil
}

// bringAll brings all records of an owner into the bucket, adds their keys, and reports
// whether there was something new. What takes the place of a subscription that ends can be
// stored, and about to be brought: without it, access would be taken away for a moment.
func (v *View) bringAll(ctx context.Context, o owner, keys map[string]bool, brought string) (news bool, err error) {
	if o.of == (store.AccessOwner{}) {
		return false, nil
	}
	listed, err := v.listing.recordsOf(ctx, o.of)
	for _, key := range listed {
		if key == brought {
			continue
		}
		state, found, err := v.cfg.Store.State(ctx, key)
		if err != nil {
			return false, err
		}
		held, known := v.states.get(key)
		isSame := known && keys[key] && held.is(state)
		if isSame || !found || state.Subscription.ID == "" || state.Revision == 0 {
			continue
		}
		state.Key, keys[key], news = key, true, true
		if _, err := v.putState(ctx, state, followed); err != nil {
			return false, err
		}
	}
	return news, err
}

// settle makes sure that the message of an access entry is out, before the next one can
// follow. The document in the database says so.
func (v *View) settle(ctx context.Context, key string, e accessEntry) error {
	if published, ok := v.settled.get(key); ok && published >= e.Revision {
		return nil
	}
	doc, found, err := v.cfg.Store.Access(ctx, databaseKey(key))
	if err != nil {
		return err
	}
	if found && doc.Revision >= e.Revision {
		v.settled.put(key, doc.Revision)
		return nil
	}
	if id := messageID(key, e.Revision); e.subject() != "" {
		sent, err := v.cfg.Sent(ctx, id, e.UpdatedAt)
		if err != nil {
			return err
		}
		if sent {
			return v.store(ctx, key, e)
		}
	}
	return v.publish(ctx, key, e)
}

// publish publishes the message of an access entry, if it has one, and stores the
// document.
func (v *View) publish(ctx context.Context, key string, e accessEntry) error {
	if subject := e.subject(); subject != "" {
		msg, err := messageOf(key, e)
		if err != nil {
			return err
		}
		if err := v.cfg.Publisher.Publish(subject, msg); err != nil {
			return err
		}
		failpoint.At("view:published")
		v.cfg.Metrics.AccessChanged(strings.TrimPrefix(subject, "access."))
	}
	return v.store(ctx, key, e)
}

func (v *View) store(ctx context.Context, key string, e accessEntry) error {
	err := v.cfg.Store.ReplaceAccess(ctx, databaseKey(key), e.AccessDocument)
	if err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	failpoint.At("view:stored")
	v.settled.put(key, e.Revision)
	return nil
}

// keysOf returns the keys of the records that can belong to an owner: those in the access
// entry, and the one that was just brought, if any. If there is no access entry, and the view
// may not be complete, the database lists them.
func (v *View) keysOf(ctx context.Context, o owner, have accessEntry, brought string) (map[string]bool, error) {
	p := placeOfAccess(o.key)
	keys := map[string]bool{}
	if brought != "" {
		keys[brought] = true
	}
	for _, id := range have.Subscriptions {
		keys[events.Key(p.livemode, p.account, id)] = true
	}
	if have.bucketRevision == 0 && !v.isComplete() {
		listed, err := v.listing.recordsOf(ctx, o.of)
		if err != nil {
			return nil, err
		}
		for _, key := range listed {
			keys[key] = true
		}
	}
	return keys, nil
}

// records returns what the state entries say about an owner's subscriptions.
func (v *View) records(ctx context.Context, o owner, keys map[string]bool) (records []access.Record, err error) {
	for _, key := range sortedKeys(keys) {
		record, found, err := v.stateOf(ctx, key)
		if err != nil {
			return nil, err
		}
		if found && belongs(record, key, o) {
			records = append(records, access.Record{Subscription: record.Subscription, Alternatives: alternatives(record)})
		}
	}
	return records, nil
}

func belongs(r events.Record, key string, o owner) bool {
	return slices.ContainsFunc(ownersOf(key, &r.Subscription), func(its owner) bool { return its.key == o.key })
}

// alternatives returns what a subscription gives if another event is its last one. One
// that has ended gives nothing, whichever event was the last. Without the facts, or if other
// rules decided the record, it can be anything.
func alternatives(r events.Record) []access.Alternative {
	if r.Ordering != string(ordering.Ambiguous) || r.Version.Terminal {
		return nil
	}
	anything := []access.Alternative{{Access: events.AccessGranted}}
	if r.Version.Rule != ordering.Rule || len(r.Version.Known) == 0 {
		return anything
	}
	verdict := store.Decide(factsOf(r.Version.Known))
	if verdict.Winner.EventID != r.Version.EventID {
		return anything
	}
	var list []access.Alternative
	for _, f := range verdict.Candidates {
		if f.Products == "" {
			return anything
		}
		list = append(list, access.Alternative{Access: f.Access, SameItems: f.Products == verdict.Winner.Products})
	}
	return list
}

// stateOf returns a state entry. If there is none, it makes it from the record.
func (v *View) stateOf(ctx context.Context, key string) (events.Record, bool, error) {
	record, held, err := v.readState(ctx, key)
	if err != nil || held.revision > 0 && held.n > 0 {
		return record, err == nil, err
	}
	state, found, err := v.cfg.Store.State(ctx, key)
	if err != nil || !found || state.Subscription.ID == "" {
		return events.Record{}, false, err
	}
	state.Key = key
	if _, err := v.putState(ctx, state, filled); err != nil {
		return events.Record{}, false, err
	}
	record, held, err = v.readState(ctx, key)
	return record, err == nil && held.n > 0, err
}

func sortedKeys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
