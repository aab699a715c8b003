package store

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/failpoint"
)

// Entitled is the document of a customer: which features the customer may use. Like a
// record it is a pure function of the set of audited events.
type Entitled struct {
	// Key is the key of the customer.
	Key        string
	CustomerID string
	// CustomerEntitlements has the facts on which a later decision can depend.
	ordering.CustomerEntitlements
	// Revision grows with every write; it is 0 if there is no document.
	Revision               int64
	FirstSeenAt, UpdatedAt time.Time
	// Reread is true if another reading of an event took the place of the one that was
	// stored. From then on, the audit trail decides.
	Reread bool
}

// EntitlementsTrail reads what is known about entitlements.
type EntitlementsTrail interface {
	// Entitlements returns those documents, among the keys, that exist.
	Entitlements(ctx context.Context, keys []string) (map[string]Entitled, error)
	// EntitlementEvents yields the events that list the entitlements of customers, in any
	// mode and account, in no particular order. Their messages lack Event and Object.
	EntitlementEvents(ctx context.Context, customers []string) iter.Seq2[Audited, error]
}

// Entitlements keeps which features customers may use, one document for each customer.
type Entitlements interface {
	EntitlementsTrail
	// PutEntitlements writes a document. Revision n replaces revision n-1; if there is no
	// document, it is inserted. Any other revision is [ErrExists]. Comparing and writing
	// are one atomic step.
	PutEntitlements(ctx context.Context, e Entitled) error
}

// EntitledKey returns the key of the customer whose entitlements a message lists. It
// reports false if it lists none.
func EntitledKey(m events.Message) (string, bool) {
	fact, ok := ordering.EntitlementsFactOf(m)
	return events.Key(m.Livemode, m.StripeAccount, fact.CustomerID), ok
}

// updateEntitlements updates the document of every customer that the batch is about.
func (c *Committer) updateEntitlements(ctx context.Context, b *batch) {
	pending := groups{}
	for i, m := range b.messages {
		if key, ok := EntitledKey(m); ok && b.results[i].Err == nil {
			pending[key] = append(pending[key], i)
		}
	}
	for attempt := 0; len(pending) > 0; attempt++ {
		if attempt == maxAttempts {
			for _, members := range pending {
				b.fail(members, errContention(attempt))
			}
			return
		}
		pending = c.tryEntitlements(ctx, b, pending)
	}
}

// tryEntitlements reads, decides and writes documents. It returns the groups that are not
// finished: another writer was first, or the document was marked.
func (c *Committer) tryEntitlements(ctx context.Context, b *batch, pending groups) groups {
	updates, failure := c.readEntitlements(ctx, b, pending)
	again := groups{}
	for _, u := range updates {
		finished, err := false, failure
		if err == nil {
			finished, err = c.putEntitlements(ctx, u)
		}
		switch members := pending[u.have.Key]; {
		case err != nil:
			b.fail(members, err)
		case !finished:
			again[u.have.Key] = members
		}
	}
	return again
}

func (c *Committer) putEntitlements(ctx context.Context, u *entitledUpdate) (finished bool, err error) {
	next, needed := u.decide(c.now())
	if !needed {
		return true, nil
	}
	err = c.db.PutEntitlements(ctx, next)
	failpoint.At("store:entitled")
	if errors.Is(err, ErrExists) {
		return false, nil
	}
	return !u.marks(), err
}

// entitledUpdate is a document that is being decided.
type entitledUpdate struct {
	have  Entitled
	fresh []ordering.EntitlementsFact
	// reread is true if the whole audit trail decides, which has said trail.
	reread bool
	trail  []ordering.EntitlementsFact
}

// marks reports whether the document has to be marked before the audit trail decides, for
// the reason that records are, see [Head.Reread].
func (u *entitledUpdate) marks() bool { return u.reread && u.have.Revision > 0 && !u.have.Reread }

// decide returns the document that follows, and whether it has to be written.
func (u *entitledUpdate) decide(now time.Time) (next Entitled, needed bool) {
	next = u.have
	next.Revision, next.UpdatedAt, next.Reread = u.have.Revision+1, now, u.reread
	if u.have.Revision == 0 {
		next.FirstSeenAt = now
	}
	switch {
	case u.marks():
		return next, true
	case u.reread:
		next.CustomerEntitlements = ordering.Entitlements(slices.Concat(u.trail, u.missing()))
	default:
		next.CustomerEntitlements = ordering.Entitlements(slices.Concat(u.have.Known, u.fresh))
	}
	return next, u.have.Revision > 0 && u.reread || !SameLists(next.Known, u.have.Known)
}

// missing returns the facts that the document has kept of events whose audit documents are
// damaged or gone.
func (u *entitledUpdate) missing() []ordering.EntitlementsFact {
	return slices.DeleteFunc(slices.Clone(u.have.Known), func(f ordering.EntitlementsFact) bool {
		return slices.ContainsFunc(u.trail, func(g ordering.EntitlementsFact) bool { return f.EventID == g.EventID })
	})
}

// SameLists reports whether two sets of facts that [ordering.Entitlements] has returned
// are of the same events.
func SameLists(a, b []ordering.EntitlementsFact) bool {
	return slices.EqualFunc(a, b, func(f, g ordering.EntitlementsFact) bool { return f.EventID == g.EventID })
}

// readEntitlements reads the documents, and the audit trail where it decides.
func (c *Committer) readEntitlements(ctx context.Context, b *batch, pending groups) ([]*entitledUpdate, error) {
	keys := slices.Sorted(maps.Keys(pending))
	stored, err := c.db.Entitlements(ctx, keys)
	updates, rereading := make([]*entitledUpdate, len(keys)), map[string]*entitledUpdate{}
	var customers []string
	for i, key := range keys {
		u := &entitledUpdate{have: stored[key]}
		u.reread = u.have.Reread
		for _, member := range pending[key] {
			fact, _ := ordering.EntitlementsFactOf(b.messages[member])
			u.have.Key, u.have.CustomerID = key, fact.CustomerID
			u.fresh, u.reread = append(u.fresh, fact), u.reread || contradicts(b.messages[member])
		}
		if u.reread && !u.marks() {
			customers, rereading[key] = append(customers, u.have.CustomerID), u
		}
		updates[i] = u
	}
	if err != nil || len(customers) == 0 {
		return updates, err
	}
	for audited, err := range c.db.EntitlementEvents(ctx, customers) {
		if err != nil {
			return updates, err
		}
		key, ok := EntitledKey(audited.Message)
		if u := rereading[key]; ok && u != nil {
			fact, _ := ordering.EntitlementsFactOf(audited.Message)
			u.trail = append(u.trail, fact)
		}
	}
	return updates, nil
}
