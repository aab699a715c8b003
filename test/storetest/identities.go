package storetest

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/billbus/billbus/internal/store"
)

// Identify is one command, as Insert is.
func (c *Client) Identify(ctx context.Context, identities []store.Identity) []error {
	return c.together(ctx, Identify, len(identities), func(i int) error { return c.server.identify(identities[i]) })
}

// ReplaceIdentity implements [store.IdentityTrail].
func (c *Client) ReplaceIdentity(ctx context.Context, have, want store.Identity) (bool, error) {
	term := c.server.begin()
	if err := call(ctx, c.hooks.Before, ReplaceIdentity); err != nil {
		return false, err
	}
	replaced := c.server.replaceIdentity(have, want)
	if err := c.confirm(ctx, ReplaceIdentity, term); err != nil {
		return false, err
	}
	return replaced, nil
}

// Identities implements [store.IdentityTrail].
func (c *Client) Identities(ctx context.Context, owners store.Owners) ([]store.Identity, error) {
	return c.identities(ctx, func(i store.Identity) bool { return owns(owners, i.SubscriptionID, i.CustomerID, i.CustomerAccountID) })
}

// Identified implements [store.IdentityTrail].
func (c *Client) Identified(ctx context.Context, keys []string) (map[string]store.Identity, error) {
	list, err := c.identities(ctx, func(i store.Identity) bool { return slices.Contains(keys, i.Key) })
	found := map[string]store.Identity{}
	for _, i := range list {
		found[i.Key] = i
	}
	return found, err
}

func (c *Client) identities(ctx context.Context, match func(store.Identity) bool) (list []store.Identity, err error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Identities); err != nil {
		return nil, err
	}
	for _, key := range c.server.keys(&c.server.identities, func(doc document) bool { return match(decode[store.Identity](doc.raw)) }) {
		if doc, ok := c.server.read(&c.server.identities, key); ok {
			list = append(list, decode[store.Identity](doc.raw))
		}
	}
	return list, nil
}

func owns(o store.Owners, subscription, customer, account string) bool {
	has := func(list []string, id string) bool { return id != "" && slices.Contains(list, id) }
	return has(o.Subscriptions, subscription) || has(o.Customers, customer) || has(o.CustomerAccounts, account)
}

// Owned implements [store.Identities].
func (c *Client) Owned(ctx context.Context, owners store.Owners) iter.Seq2[store.Owned, error] {
	return func(yield func(store.Owned, error) bool) {
		c.server.begin()
		if err := call(ctx, c.hooks.Before, Owned); err != nil {
			yield(store.Owned{}, err)
			return
		}
		for _, key := range c.server.keys(&c.server.records, all) {
			doc, _ := c.server.read(&c.server.records, key)
			head := decode[store.Record](doc.raw).Head
			if owns(owners, "", head.Owner.CustomerID, head.Owner.CustomerAccountID) && !yield(store.Owned{Key: key, Owner: head.Owner}, nil) {
				return
			}
		}
	}
}

// Claims implements [store.Verification].
func (c *Client) Claims(ctx context.Context) iter.Seq2[store.Audited, error] {
	return c.audited(ctx, nil, func(doc document) bool {
		_, ok := store.IdentityOf(doc.audited().Message)
		return ok
	})
}

// ClaimsOf implements [store.Anonymity].
func (c *Client) ClaimsOf(ctx context.Context, owners store.Owners) iter.Seq2[store.Audited, error] {
	return c.audited(ctx, nil, func(doc document) bool {
		a := doc.audited()
		isClaim := a.Data.CheckoutSession != nil || a.Data.Customer != nil || a.Data.Identity != nil && a.Data.Subscription == nil
		return isClaim && owns(owners, a.SubscriptionID, a.CustomerID, a.CustomerAccountID)
	})
}

// Anonymous implements [store.Anonymity].
func (c *Client) Anonymous(ctx context.Context) iter.Seq2[store.Anonymous, error] {
	return func(yield func(store.Anonymous, error) bool) {
		if err := call(ctx, nil, Heads); err != nil {
			yield(store.Anonymous{}, err)
			return
		}
		for _, key := range c.server.keys(&c.server.records, all) {
			doc, _ := c.server.read(&c.server.records, key)
			r := decode[store.Record](doc.raw)
			found := store.Anonymous{Owned: store.Owned{Key: key, Owner: r.Owner}, Metadata: slices.Sorted(maps.Keys(r.Winner.Data.Subscription.Metadata))}
			if r.User.ID == "" && !yield(found, nil) {
				return
			}
		}
	}
}
