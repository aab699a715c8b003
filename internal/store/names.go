package store

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/billbus/billbus/events"
)

// maxNames bounds the listings that are remembered.
const maxNames = 10_000

// Names puts the names of the catalog into subscriptions. It remembers what was read, so
// it may be behind the catalog: [Head.Listings] tells.
type Names struct {
	catalog Listings

	mu    sync.Mutex
	known map[string]Listing // the zero Listing if there is no document
}

// NewNames returns names that are read from a catalog as they are needed.
func NewNames(catalog Listings) *Names {
	return &Names{catalog: catalog, known: map[string]Listing{}}
}

// Named returns a message with the names that the catalog has for its items. What it has
// no document for stays as in the message. If latest is true, what is remembered does not
// count.
func (n *Names) Named(ctx context.Context, m events.Message, latest bool) (events.Message, error) {
	v, read := n.view(), view.complete
	if latest {
		read = view.read
	}
	err := read(v, ctx, listingKeys(m))
	return v.named(m), err
}

func (n *Names) remember(key string, l Listing) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.known) >= maxNames {
		clear(n.known)
	}
	n.known[key] = l
}

func (n *Names) recall(key string) (Listing, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.known[key]
	return l, ok
}

// view is the catalog for one attempt to write records: what that has read itself,
// and otherwise what is remembered.
type view struct {
	names *Names
	own   map[string]Listing
}

func (n *Names) view() view { return view{n, map[string]Listing{}} }

func (v view) get(key string) (Listing, bool) {
	if l, ok := v.own[key]; ok {
		return l, true
	}
	return v.names.recall(key)
}

// complete reads what is neither read nor remembered.
func (v view) complete(ctx context.Context, keys []string) error {
	return v.read(ctx, slices.DeleteFunc(keys, func(key string) bool {
		l, ok := v.get(key)
		if ok {
			v.own[key] = l
		}
		return ok
	}))
}

// read reads listings, whatever is remembered, in one query.
func (v view) read(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	found, err := v.names.catalog.Listings(ctx, keys)
	if err != nil {
		return err
	}
	for _, key := range keys {
		v.own[key] = found[key]
		v.names.remember(key, found[key])
	}
	return nil
}

// named returns a message with the names that are known.
func (v view) named(m events.Message) events.Message {
	if len(listingKeys(m)) == 0 {
		return m
	}
	sub := *m.Data.Subscription
	sub.Items = slices.Clone(sub.Items)
	for i := range sub.Items {
		item := &sub.Items[i]
		price, product := listingKeysOf(m, *item)
		if l, _ := v.get(price); l.Version > 0 {
			item.LookupKey, item.Nickname = l.LookupKey, l.Nickname
		}
		if l, _ := v.get(product); l.Version > 0 {
			item.ProductName = l.Name
		}
	}
	m.Data.Subscription = &sub
	return m
}

// versions returns the versions of the listings that a message refers to.
func (v view) versions(m events.Message) map[string]int64 {
	versions := map[string]int64{}
	for _, key := range listingKeys(m) {
		l, _ := v.get(key)
		versions[key] = l.Version
	}
	return versions
}

// differing returns the listings that are known in another version than the given one.
func (v view) differing(versions map[string]int64) (keys []string) {
	for key, version := range versions {
		if l, ok := v.get(key); ok && l.Version != version {
			keys = append(keys, key)
		}
	}
	return keys
}

// compareNames finds the records whose names are not those of the catalog. What was
// remembered can be older than what another process has put into a record, and is then read
// again. A writer may have died before checkNames: where that is possible, the catalog is
// read in any case.
func (v view) compareNames(ctx context.Context, b *batch, pending groups, updates []*update) error {
	var keys []string
	for _, u := range updates {
		if b.mayBeUnchecked(u.head.Key, pending) {
			keys = slices.AppendSeq(keys, maps.Keys(u.head.Listings))
		} else {
			keys = append(keys, v.differing(u.head.Listings)...)
		}
	}
	if err := v.read(ctx, keys); err != nil {
		return err
	}
	for _, u := range updates {
		unknown := u.head.Revision > 0 && u.head.Listings == nil
		u.renamed = len(v.differing(u.head.Listings)) > 0 || unknown && b.mayBeUnchecked(u.head.Key, pending)
	}
	return nil
}

// mayBeUnchecked reports whether a record may have been written by a process that died
// before it checked the names: then a message is delivered again, or a sweep resumed.
func (b *batch) mayBeUnchecked(key string, pending groups) bool {
	return b.unsure[key] || len(pending[key]) == 0 || slices.ContainsFunc(pending[key], func(i int) bool {
		return b.results[i].Effect == Duplicate
	})
}

// makeRecords makes the records of updates, with the names that are known.
func (v view) makeRecords(ctx context.Context, updates []*update, now func() time.Time) ([]Record, error) {
	var keys []string
	for _, u := range updates {
		keys = append(keys, listingKeys(u.winner)...)
	}
	if err := v.complete(ctx, keys); err != nil || len(updates) == 0 {
		return nil, err
	}
	records := make([]Record, len(updates))
	for i, u := range updates {
		records[i] = u.head.Next(Decision{v.named(u.winner), u.verdict.Verdict, u.user}, now())
		records[i].Listings = v.versions(u.winner)
		u.added = without(records[i].Listings, u.head.Listings)
	}
	return records, nil
}

func without(versions, others map[string]int64) map[string]int64 {
	rest := maps.Clone(versions)
	maps.DeleteFunc(rest, func(key string, _ int64) bool { _, ok := others[key]; return ok })
	return rest
}

// checkNames reads the catalog again for the products and prices that are new to a record
// which was written, and returns the groups whose names have changed meanwhile. A sweep
// that has passed may not have seen the record refer to them. It has seen all other
// references, and then either the revision of the record was another one, or its
// versions were.
func (c *Committer) checkNames(ctx context.Context, b *batch, pending groups, written []*update) groups {
	again, names := groups{}, c.names.view()
	var keys []string
	for _, u := range written {
		keys = slices.AppendSeq(keys, maps.Keys(u.added))
	}
	err := names.read(ctx, keys)
	for _, u := range written {
		key := u.head.Key
		switch {
		case len(u.added) == 0:
		case err != nil:
			b.failAll(pending.only(key), err)
		case len(names.differing(u.added)) > 0:
			again[key], b.unsure[key] = pending[key], true
		}
	}
	return again
}

// listingKeys returns the keys of the products and prices of a message's items.
func listingKeys(m events.Message) []string {
	if m.Data.Subscription == nil {
		return nil
	}
	keys := map[string]bool{}
	for _, item := range m.Data.Subscription.Items {
		price, product := listingKeysOf(m, item)
		keys[price], keys[product] = true, true
	}
	delete(keys, "")
	return slices.Sorted(maps.Keys(keys))
}

func listingKeysOf(m events.Message, item events.Item) (price, product string) {
	if item.PriceID != "" {
		price = ListingKey(Price, m.Livemode, m.StripeAccount, item.PriceID)
	}
	if item.ProductID != "" {
		product = ListingKey(Product, m.Livemode, m.StripeAccount, item.ProductID)
	}
	return price, product
}
