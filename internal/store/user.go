package store

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
)

// NoUser is the source of a user id that is not known.
const NoUser events.IdentitySource = "none"

// claim is an identity in a batch.
type claim struct {
	member int // the index of its message
	key    string
	// of is whose user it names, or named before it was withdrawn.
	of Owner
}

// identify writes what the batch says about users. It does so before it reads any
// record: a writer that has not seen an identity is then seen by its writer, or checks
// what it has written afterwards.
func (c *Committer) identify(ctx context.Context, b *batch) []claim {
	var claims []claim
	var identities []Identity
	for i, m := range b.messages {
		if identity, ok := IdentityOf(m); ok && b.results[i].Err == nil {
			claims, identities = append(claims, claim{i, identity.Key, claimedBy(m)}), append(identities, identity)
		}
	}
	if len(claims) == 0 {
		return nil
	}
	failures := c.db.Identify(ctx, identities)
	failpoint.At("store:identified")
	for k, failure := range failures {
		i := claims[k].member
		if errors.Is(failure, ErrExists) {
			failure = nil
			if contradicts(b.messages[i]) {
				failure = c.reidentify(ctx, identities[k])
			}
		}
		b.results[i].Err = failure
	}
	return slices.DeleteFunc(claims, func(c claim) bool { return b.results[c.member].Err != nil })
}

// reidentify replaces the identity that is stored, if the other one is of a later reading.
func (c *Committer) reidentify(ctx context.Context, identity Identity) error {
	for range maxAttempts {
		stored, err := c.db.Identified(ctx, []string{identity.Key})
		if err != nil {
			return err
		}
		have := stored[identity.Key]
		if !identity.Replaces(have) {
			return nil
		}
		if replaced, err := c.db.ReplaceIdentity(ctx, have, identity); replaced || err != nil {
			return err
		}
	}
	return fault.New(fault.Transient, fault.DatabaseContention, errors.New("the identity keeps changing"))
}

// claimedBy returns whose user a message names, or named before it was withdrawn.
func claimedBy(m events.Message) Owner {
	switch d := m.Data; {
	case d.Identity != nil:
		return Owner{d.Identity.SubscriptionID, d.Identity.CustomerID, d.Identity.CustomerAccountID, ""}
	case d.CheckoutSession != nil:
		return Owner{d.CheckoutSession.SubscriptionID, d.CheckoutSession.CustomerID, d.CheckoutSession.CustomerAccountID, ""}
	case d.Customer != nil:
		return Owner{"", d.Customer.ID, d.Customer.CustomerAccountID, ""}
	}
	return Owner{}
}

// ownedPage is how many records of customers are updated at a time.
const ownedPage = 500

// updateOwned updates the users of all records that claims are about.
func (c *Committer) updateOwned(ctx context.Context, b *batch, claims []claim) {
	page, members, owners := b.claimed(claims)
	b.concerned = map[int][]string{}
	for owned, err := range c.owned(ctx, owners) {
		if err != nil {
			for _, claim := range claims {
				b.fail([]int{claim.member}, err)
			}
			return
		}
		for _, id := range owned.customers() {
			if of := members[scoped{scopeOf(owned.Key), id}]; of != nil {
				page[owned.Key] = append(page[owned.Key], of...)
			}
		}
		if len(page) >= ownedPage {
			c.updateConcerned(ctx, b, page)
			page = groups{}
		}
	}
	c.updateConcerned(ctx, b, page)
}

// updateConcerned updates the records that messages about users concern.
func (c *Committer) updateConcerned(ctx context.Context, b *batch, concerned groups) {
	for key, members := range concerned {
		for _, i := range members {
			b.concerned[i] = append(b.concerned[i], key)
		}
	}
	c.updateRecords(ctx, b, concerned)
}

// claimed returns the claims on subscriptions, by the keys of their records, and those on
// customers.
func (b *batch) claimed(claims []claim) (records groups, customers map[scoped][]int, owners Owners) {
	records, customers = groups{}, map[scoped][]int{}
	for _, claim := range claims {
		m, of := b.messages[claim.member], claim.of
		if of.SubscriptionID != "" {
			key := events.Key(m.Livemode, m.StripeAccount, of.SubscriptionID)
			records[key] = append(records[key], claim.member)
		}
		for _, id := range of.customers() {
			at := scoped{scopeOf(claim.key), id}
			customers[at] = append(customers[at], claim.member)
		}
		owners.Add("", of.CustomerID, of.CustomerAccountID)
	}
	return records, customers, owners
}

// owned yields nothing if there are no customers.
func (c *Committer) owned(ctx context.Context, owners Owners) iter.Seq2[Owned, error] {
	if len(owners.Customers)+len(owners.CustomerAccounts) == 0 {
		return func(func(Owned, error) bool) {}
	}
	return c.db.Owned(ctx, owners)
}

// resolveUsers finds the users of the records: of those that are written, by the message
// that then holds the state. Others keep theirs, see [Committer.checkUsers].
func (c *Committer) resolveUsers(ctx context.Context, updates []*update) {
	affected := filter(updates, func(u *update) bool {
		u.owner, u.user = u.head.Owner, u.head.User
		if u.err != nil || u.marks {
			return false
		}
		if u.needed {
			u.owner = OwnerOf(u.winner.Data.Subscription)
		}
		return u.owner != u.head.Owner || u.unsure && u.head.Revision > 0
	})
	facts, err := c.factsOf(ctx, affected)
	for _, u := range affected {
		u.err, u.userFacts = err, facts[u.head.Key]
		u.user = u.owner.User(u.userFacts)
	}
}

func (c *Committer) factsOf(ctx context.Context, updates []*update) (map[string][]ordering.UserFact, error) {
	owners := make(map[string]Owner, len(updates))
	for _, u := range updates {
		owners[u.head.Key] = u.owner
	}
	return UserFacts(ctx, c.db, owners)
}

// moved reports whether the record has another user or customer than before.
func (u *update) moved() bool { return u.user != u.head.User || u.owner != u.head.Owner }

// takesUserFrom reports whether the record has another user than before, and would not
// without an event about users.
func (u *update) takesUserFrom(eventID string) bool {
	if u.user == u.head.User {
		return false
	}
	others := slices.DeleteFunc(slices.Clone(u.userFacts), func(f ordering.UserFact) bool { return f.EventID == eventID })
	return u.owner.User(others) != u.user
}

// checkUsers returns the groups whose user has changed since it was resolved. The writer
// of an identity may have looked for records before this one existed or had its present
// customer, or have found nothing to change.
//
// A record whose user and customer stay the same needs no check: the writer of an identity
// read the same before that, or collides with it.
func (c *Committer) checkUsers(ctx context.Context, b *batch, pending groups, written []*update) groups {
	moved := filter(written, (*update).moved)
	facts, err := c.factsOf(ctx, moved)
	again := groups{}
	for _, u := range moved {
		switch key := u.head.Key; {
		case err != nil:
			b.failAll(pending.only(key), err)
		case u.owner.User(facts[key]) != u.user:
			again[key], b.unsure[key] = pending[key], true
		}
	}
	return again
}

// unsureOf reports whether the user of a record may have changed since it was written: a
// claim is about it, or the process that stored an event may have died before it checked
// the user.
func (b *batch) unsureOf(key string, members []int) bool {
	return b.unsure[key] || slices.ContainsFunc(members, func(i int) bool {
		return !ordering.ShowsState(b.messages[i]) || b.results[i].Effect == Duplicate
	})
}
