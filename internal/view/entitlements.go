package view

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/access"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// entitlements are what an access entry knows about a customer's entitlements.
type entitlements struct {
	// FirstSeenAt and N say which document of the database they are from.
	FirstSeenAt time.Time                   `json:"first_seen_at"`
	N           int64                       `json:"n"`
	Known       []ordering.EntitlementsFact `json:"known"`
}

// with returns what is known if a document of the database, which may be nil, is taken into
// account. As long as the document is the same one, its revision grows. If the database was
// dropped and is being rebuilt, it begins again, and lacks lists for a while; and so does one
// that was restored from a backup. Then both count, so a feature is never lost.
func (e *entitlements) with(doc *store.Entitled) *entitlements {
	if doc == nil || doc.Revision == 0 {
		return e
	}
	own := &entitlements{doc.FirstSeenAt, doc.Revision, doc.Known}
	isSame := e != nil && e.FirstSeenAt.Equal(own.FirstSeenAt)
	if e == nil || isSame && own.N > e.N {
		return own
	}
	missing := slices.DeleteFunc(slices.Clone(e.Known), func(f ordering.EntitlementsFact) bool {
		return slices.ContainsFunc(own.Known, func(g ordering.EntitlementsFact) bool { return f.EventID == g.EventID })
	})
	both := ordering.Entitlements(slices.Concat(own.Known, missing)).Known
	switch {
	case isSame && store.SameLists(both, e.Known):
		return e
	case store.SameLists(both, own.Known):
		return own
	case store.SameLists(both, e.Known):
		return e
	}
	return &entitlements{e.FirstSeenAt, e.N, both}
}

// featuresOf returns the lookup keys of all features, and whether they can be others.
func featuresOf(known []*entitlements) (features []string, ambiguous bool) {
	for _, e := range known {
		if e == nil {
			continue
		}
		decided := ordering.Entitlements(e.Known)
		ambiguous = ambiguous || decided.Ambiguous
		for _, f := range decided.Features {
			features = append(features, f.LookupKey)
		}
	}
	return features, ambiguous
}

// entitlements returns what is known about the entitlements of an owner: in the owner's
// own entry or, for a user, in those of the customers. If an entry is new, and the view may
// not be complete, the database says it.
func (v *View) entitlements(ctx context.Context, o owner, next *accessEntry, isNew bool, records []access.Record) (known []*entitlements, err error) {
	p := placeOfAccess(o.key)
	if !p.ofUser {
		if next.Entitlements == nil && isNew {
			next.Entitlements, err = v.readEntitlements(ctx, events.Key(p.livemode, p.account, o.of.Customer))
		}
		return []*entitlements{next.Entitlements}, err
	}
	customers := map[string]string{}
	for _, r := range records {
		if id := cmp.Or(r.CustomerID, r.CustomerAccountID); id != "" {
			customers[events.CustomerAccessKey(p.livemode, p.account, id)] = events.Key(p.livemode, p.account, id)
		}
	}
	for entryKey, key := range customers {
		entry, err := v.getAccess(ctx, entryKey)
		if err == nil && entry.bucketRevision == 0 {
			entry.Entitlements, err = v.readEntitlements(ctx, key)
		}
		if err != nil {
			return nil, err
		}
		known = append(known, entry.Entitlements)
	}
	return known, nil
}

// readEntitlements returns what the database says about a customer, if the view may not be
// complete.
func (v *View) readEntitlements(ctx context.Context, key string) (*entitlements, error) {
	if v.isComplete() {
		return nil, nil
	}
	found, err := v.cfg.Store.Entitlements(ctx, []string{key})
	doc := found[key]
	return (*entitlements)(nil).with(&doc), err
}

// entitledAt is a revision of a document about entitlements.
type entitledAt struct {
	since time.Time
	n     int64
}

// followEntitlements brings the entitlements of a customer into the customer's access
// entry, and then into those of the users of the customer's subscriptions. They are listed
// afterwards: who brings another subscription meanwhile updates the customer's entry
// first, and then reads it.
func (v *View) followEntitlements(ctx context.Context, key string) error {
	found, err := v.cfg.Store.Entitlements(ctx, []string{key})
	doc, ok := found[key]
	if err != nil || !ok {
		return err
	}
	at, remembered := v.entitled.get(key)
	if remembered && at.since.Equal(doc.FirstSeenAt) && at.n == doc.Revision {
		return nil
	}
	p := place(key)
	customer := owner{events.CustomerAccessKey(p.livemode, p.account, doc.CustomerID), store.AccessOwner{Scope: p.scope, Customer: doc.CustomerID}}
	if remembered && !at.since.Equal(doc.FirstSeenAt) {
		v.settled.remove(customer.key) // the database was dropped
	}
	entry, err := v.updateAccess(ctx, customer, brought{entitled: &doc})
	if err != nil {
		return err
	}
	updated := map[string]bool{customer.key: true}
	for _, id := range entry.Subscriptions {
		if err := v.updateUsers(ctx, events.Key(p.livemode, p.account, id), updated); err != nil {
			return err
		}
	}
	v.entitled.put(key, entitledAt{doc.FirstSeenAt, doc.Revision})
	return nil
}

// updateUsers updates the access entries of a subscription's owners, but for those that are
// updated.
func (v *View) updateUsers(ctx context.Context, key string, updated map[string]bool) error {
	record, found, err := v.stateOf(ctx, key)
	if err != nil || !found {
		return err
	}
	for _, o := range ownersOf(key, &record.Subscription) {
		if updated[o.key] {
			continue
		}
		updated[o.key] = true
		if _, err := v.updateAccess(ctx, o, brought{record: key}); err != nil {
			return err
		}
	}
	return nil
}
