package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
)

// Listings implements [store.Listings].
func (c *Client) Listings(ctx context.Context, keys []string) (map[string]store.Listing, error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Listings); err != nil {
		return nil, err
	}
	found := map[string]store.Listing{}
	for _, key := range keys {
		if doc, ok := c.server.read(&c.server.catalog, key); ok {
			found[key] = decode[store.Listing](doc.raw)
		}
	}
	return found, nil
}

// PutListing implements [store.Catalog].
func (c *Client) PutListing(ctx context.Context, l store.Listing) error {
	term := c.server.begin()
	if err := call(ctx, c.hooks.Before, PutListing); err != nil {
		return err
	}
	outcome := c.server.putListing(l)
	if err := c.confirm(ctx, PutListing, term); err != nil {
		return err
	}
	return outcome
}

func (m *Memory) putListing(l store.Listing) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if doc, ok := m.catalog.written[l.Key]; ok && doc.revision != l.Revision-1 {
		return store.ErrExists
	}
	doc := document{revision: l.Revision, raw: encode(l)}
	m.count(&m.counts.DocumentsWritten, &m.counts.BytesWritten, doc)
	m.catalog.write(l.Key, doc)
	return nil
}

// Unswept implements [store.Catalog].
func (c *Client) Unswept(ctx context.Context) ([]store.Listing, error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Unswept); err != nil {
		return nil, err
	}
	var unswept []store.Listing
	for _, key := range c.server.keys(&c.server.catalog, isUnswept) {
		if doc, ok := c.server.read(&c.server.catalog, key); ok && isUnswept(doc) {
			unswept = append(unswept, decode[store.Listing](doc.raw))
		}
	}
	return unswept, nil
}

func isUnswept(doc document) bool { return decode[store.Listing](doc.raw).Sweep.Unfinished }

// Referring implements [store.Catalog].
func (c *Client) Referring(ctx context.Context, l store.Listing, after string, most int) ([]string, error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Referring); err != nil {
		return nil, err
	}
	keys := c.server.keys(&c.server.records, func(doc document) bool {
		sub := decode[store.Record](doc.raw).Winner.Data.Subscription
		return sub != nil && slices.ContainsFunc(sub.Items, func(item events.Item) bool {
			return l.Kind == store.Price && item.PriceID == l.ID || l.Kind == store.Product && item.ProductID == l.ID
		})
	})
	keys = slices.DeleteFunc(keys, func(key string) bool { return key <= after || !strings.HasPrefix(key, l.Scope()) })
	return keys[:min(most, len(keys))], nil
}

// Listing returns a durable document of the catalog. It reports false if there is none.
func (m *Memory) Listing(key string) (store.Listing, bool) {
	return lookup[store.Listing](m, &m.catalog, key)
}

// IsUnswept reports whether the sweep of a document is not finished.
func (m *Memory) IsUnswept() bool { return len(m.keys(&m.catalog, isUnswept)) > 0 }

// Sweep starts a worker that sweeps one page.
func Sweep(committer *store.Committer, holder string) *Worker {
	return start(func(ctx context.Context) { _, _ = committer.SweepPage(ctx, holder, nil) })
}

// ProductEntry returns an event about a product of the platform in test mode. It is named
// after its event.
func ProductEntry(product, id, word string, second int) store.Entry {
	e := related("product."+word, product, id, second)
	e.Data.Product = &events.Product{ID: product, Name: "name of " + id, Deleted: word == "deleted"}
	return e
}

// PriceEntry returns an event about a price.
func PriceEntry(price, id, word string, second int) store.Entry {
	e := related("price."+word, price, id, second)
	e.Data.Price = &events.Price{ID: price, Nickname: "nickname of " + id, LookupKey: "key of " + id, Deleted: word == "deleted"}
	return e
}

func related(stripeType, object, id string, second int) store.Entry {
	e := Entry("", id, "updated", second, "")
	e.Type, e.StripeType, e.Subject = events.StripeSubject(stripeType), stripeType, object
	e.Data.Subscription, e.References = nil, events.References{ObjectID: object}
	return e
}

// GenerateCatalog returns events of a few products and prices. Some are of one second, and
// some come after a deletion.
func GenerateCatalog(random *rand.Rand) []store.Entry {
	var entries []store.Entry
	for i := range catalogSize {
		second := 0
		for range random.IntN(4) {
			second += random.IntN(2)
			word := []string{"created", "updated", "updated", "updated", "deleted"}[random.IntN(5)]
			entries = append(entries,
				ProductEntry(fmt.Sprintf("prod_%d", i), fmt.Sprintf("evt_%08x", random.Uint32()), word, second),
				PriceEntry(fmt.Sprintf("price_%d", i), fmt.Sprintf("evt_%08x", random.Uint32()), word, second))
		}
	}
	return entries
}

// catalogSize is how many products and prices there are.
const catalogSize = 2

// listings returns the newest message about each product and price, by kind and id.
func listings(audited []events.Message) map[string]events.Message {
	newest := map[string]events.Message{}
	for _, m := range audited {
		kind, id := "product", ""
		if m.Data.Product != nil {
			id = m.Data.Product.ID
		} else if m.Data.Price != nil {
			kind, id = "price", m.Data.Price.ID
		}
		key := kind + " " + id
		if has, ok := newest[key]; id != "" && m.Data.Ignored == "" && (!ok || isLater(m, has)) {
			newest[key] = m
		}
	}
	return newest
}

func isLater(m, other events.Message) bool {
	ends := func(m events.Message) bool { return strings.HasSuffix(m.StripeType, ".deleted") }
	switch {
	case ends(m) != ends(other):
		return ends(m)
	case !m.Time.Equal(other.Time):
		return m.Time.After(other.Time)
	}
	return m.ID > other.ID
}

// withNames returns items with the names that messages about products and prices give.
func withNames(items []events.Item, newest map[string]events.Message) []events.Item {
	named := slices.Clone(items)
	for i, item := range named {
		if price := newest["price "+item.PriceID].Data.Price; price != nil {
			named[i].Nickname, named[i].LookupKey = price.Nickname, price.LookupKey
		}
		if product := newest["product "+item.ProductID].Data.Product; product != nil {
			named[i].ProductName = product.Name
		}
	}
	return named
}
