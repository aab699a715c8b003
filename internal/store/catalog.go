package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
)

// Kind is the kind of a document in the catalog.
type Kind string

// The kinds of documents in the catalog.
const (
	Product Kind = "product"
	Price   Kind = "price"
)

// Listing is the document of a product or a price in the catalog: what its newest event
// says about it.
type Listing struct {
	// Key is made by [ListingKey].
	Key string
	// Revision grows with every write; it is 0 if there is no document.
	Revision int64
	Kind     Kind
	ID       string
	// Name is a product's; Nickname, LookupKey and ProductID are a price's.
	Name, Nickname, LookupKey, ProductID string
	Active                               *bool
	Deleted                              bool
	// EventID and Created are those of the event, and the following those of its reading.
	EventID    string
	Created    time.Time
	APIVersion string
	Normalizer int
	RereadAt   time.Time
	// Version grows whenever records have to be written again because of a change. It is
	// 0 if there is no document.
	Version int64
	Sweep   Sweep
}

// Sweep says how far the records have been brought up to the version of a listing. Its
// time is in milliseconds.
type Sweep struct {
	Unfinished bool
	// Reached is the key of the last record that was considered.
	Reached string
	// Holder is the process whose turn it is, and Until when another may take over.
	Holder string
	Until  time.Time
}

// Listings reads what the catalog says.
type Listings interface {
	// Listings returns those documents, among the keys, that exist.
	Listings(ctx context.Context, keys []string) (map[string]Listing, error)
}

// Catalog keeps products and prices, one document for each.
type Catalog interface {
	Listings
	// PutListing writes a document. Revision n replaces revision n-1; if there is no
	// document, it is inserted. Any other revision is [ErrExists]. Comparing and writing
	// are one atomic step.
	PutListing(ctx context.Context, l Listing) error
	// Unswept returns documents whose sweep is not finished, in the order of their keys;
	// if there are many, only some of them.
	Unswept(ctx context.Context) ([]Listing, error)
	// Referring returns the keys of records with an item of the product or price, in
	// their order: the first ones after a key, at most so many.
	Referring(ctx context.Context, l Listing, after string, most int) ([]string, error)
}

// ListingKey returns the key of a product or price: mode, account, kind and id. A product
// and a price can have one id, because the owner of an account can choose it.
func ListingKey(kind Kind, livemode bool, account, id string) string {
	prefix, id := splitKey(events.Key(livemode, account, id))
	return prefix + string(kind) + ":" + id
}

// splitKey separates mode and account from the id.
func splitKey(key string) (prefix, id string) {
	i := strings.LastIndexByte(key, ':') + 1
	return key[:i], key[i:]
}

// Scope returns what the keys of all records of the listing's mode and account begin with.
func (l Listing) Scope() string {
	prefix, _ := splitKey(l.Key)
	return strings.TrimSuffix(prefix, string(l.Kind)+":")
}

// listing returns what an event or a snapshot says about a product or a price. Events of
// plans, the former name of prices, are left out: they lack fields, and each comes with one
// of the price.
func listing(m events.Message) (Listing, bool) {
	l := Listing{
		EventID: m.ID, Created: milliseconds(m.Time), APIVersion: m.StripeAPIVersion,
		Normalizer: m.Data.Normalizer, RereadAt: milliseconds(m.Data.RereadAt),
	}
	snapshot := m.StripeType == ""
	switch product, price := m.Data.Product, m.Data.Price; {
	case m.Data.Ignored != "":
		return Listing{}, false
	case product != nil && (snapshot || strings.HasPrefix(m.StripeType, "product.")):
		l.Kind, l.ID, l.Active, l.Deleted, l.Name = Product, product.ID, product.Active, product.Deleted, product.Name
	case price != nil && (snapshot || strings.HasPrefix(m.StripeType, "price.")):
		l.Kind, l.ID, l.Active, l.Deleted = Price, price.ID, price.Active, price.Deleted
		l.Nickname, l.LookupKey, l.ProductID = price.Nickname, price.LookupKey, price.ProductID
	}
	l.Key = ListingKey(l.Kind, m.Livemode, m.StripeAccount, l.ID)
	return l, l.ID != ""
}

func milliseconds(at time.Time) time.Time { return at.UTC().Truncate(time.Millisecond) }

// compareListings compares two listings of one key: the greater one counts, whichever
// arrives first. Nothing comes after a deletion. Of two readings of one event, the one
// counts that counts in the audit trail, see [Preferred].
func compareListings(a, b Listing) int {
	return cmp.Or(
		cmp.Compare(rank(a.Deleted), rank(b.Deleted)),
		a.Created.Compare(b.Created),
		strings.Compare(a.EventID, b.EventID),
		compareVersions(a.APIVersion, b.APIVersion),
		cmp.Compare(rank(!a.RereadAt.IsZero()), rank(!b.RereadAt.IsZero())),
		cmp.Compare(a.Normalizer, b.Normalizer),
		a.RereadAt.Compare(b.RereadAt),
	)
}

// after returns the document that replaces another one. If the names are other ones, all
// records that refer to it have to be swept. Versions go by the clock: if they were counted,
// one that a process remembers would come again, with other names, in a database that was
// dropped or restored from a backup.
func (l Listing) after(stored Listing, now time.Time) Listing {
	l.Revision, l.Version, l.Sweep = stored.Revision+1, stored.Version, stored.Sweep
	if stored.Revision == 0 || l.Name != stored.Name || l.Nickname != stored.Nickname || l.LookupKey != stored.LookupKey {
		l.Version, l.Sweep = max(l.Version+1, now.UnixMilli()), Sweep{Unfinished: true}
	}
	return l
}

// updateCatalog writes what the messages of a batch say about products and prices. The
// records are swept later: that can take long, and the document says that it is due.
func (c *Committer) updateCatalog(ctx context.Context, b *batch) {
	pending, newest := groups{}, map[string]Listing{}
	for i, m := range b.messages {
		l, ok := listing(m)
		if !ok || b.results[i].Err != nil {
			continue
		}
		pending[l.Key] = append(pending[l.Key], i)
		if has, ok := newest[l.Key]; !ok || compareListings(l, has) > 0 {
			newest[l.Key] = l
		}
	}
	for attempt := 0; len(newest) > 0; attempt++ {
		err := errContention(attempt)
		if attempt < maxAttempts {
			err = c.putListings(ctx, b, pending, newest)
		}
		if err != nil {
			for key := range newest {
				b.fail(pending[key], err)
			}
			return
		}
	}
}

// putListings writes the documents that are newer than those in the catalog. It leaves
// in newest what has to be compared again, because another writer was first.
func (c *Committer) putListings(ctx context.Context, b *batch, pending groups, newest map[string]Listing) error {
	stored, err := c.db.Listings(ctx, slices.Sorted(maps.Keys(newest)))
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(newest)) {
		have, found := stored[key]
		if !found || compareListings(newest[key], have) > 0 {
			have = newest[key].after(have, c.now())
			err := c.db.PutListing(ctx, have)
			if errors.Is(err, ErrExists) {
				continue
			}
			if err != nil {
				b.fail(pending[key], err)
				delete(newest, key)
				continue
			}
			failpoint.At("store:listed")
		}
		c.names.remember(key, have)
		delete(newest, key)
	}
	return nil
}

func errContention(attempts int) error {
	return fault.New(fault.Transient, fault.DatabaseContention, fmt.Errorf("another writer was first %d times", attempts))
}
