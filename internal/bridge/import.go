package bridge

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
)

// maxImporting is how many snapshots are made and published at once.
const maxImporting = 64

// importer publishes snapshots of all objects of an account. Their ids depend on their
// content, so what the stream has already is not published again.
type importer struct {
	client     *stripeapi.Client
	normalizer *normalize.Normalizer
	publisher  *natsbus.Publisher // nil in a dry run
	maxMessage func() int
	has        *storedIDs
	filter     stripeapi.ObjectFilter // of subscriptions
	now        func() time.Time
	progress   func(found int)
	// reached reports that everything of a kind is done that was created at that time or later.
	reached func(kind stripeapi.Kind, created time.Time)

	mu   sync.Mutex
	done imported
}

// imported counts objects.
type imported struct {
	kinds    map[string]*importedKind
	statuses map[string]int            // of subscriptions
	keys     map[string]map[string]int // of metadata, by kind
	found    int
}

// importedKind counts the objects of one kind. Those that were found and are in none of the
// other counts were not published.
type importedKind struct {
	Found        int `json:"found"`
	Published    int `json:"published"`
	AlreadyThere int `json:"already_there"`
	Ignored      int `json:"ignored"` // not admitted
	Unreadable   int `json:"unreadable"`
}

func newImported() imported {
	return imported{kinds: map[string]*importedKind{}, statuses: map[string]int{}, keys: map[string]map[string]int{}}
}

// importedKinds are read in this order: a subscription comes after the customer that may name
// its user, and a price after its product.
func importedKinds() []stripeapi.Kind {
	return []stripeapi.Kind{stripeapi.Products, stripeapi.Prices, stripeapi.Customers, stripeapi.Subscriptions}
}

// account imports all objects of an account.
func (i *importer) account(ctx context.Context, account string) error {
	for _, kind := range importedKinds() {
		filter := stripeapi.ObjectFilter{}
		if kind == stripeapi.Subscriptions {
			filter = i.filter
		}
		if err := i.list(ctx, account, kind, filter); err != nil {
			return err
		}
	}
	return nil
}

func (i *importer) list(ctx context.Context, account string, kind stripeapi.Kind, filter stripeapi.ObjectFilter) error {
	for after, begun := "", false; after != "" || !begun; begun = true {
		page, answer, err := objects(ctx, i.client, account, kind, filter, after)
		if err != nil {
			return err
		}
		reading := i.reading(account, answer.At)
		reading.APIVersion = answer.Version
		if err := i.objects(ctx, page.Data, reading, completing(i.client, account)); err != nil {
			return err
		}
		if n := len(page.Data); n > 0 {
			i.reached(kind, createdAt(page.Data[n-1]))
		}
		after = page.Next
	}
	return nil
}

// createdAt returns when Stripe created an object. Lists begin with the newest.
func createdAt(raw json.RawMessage) time.Time {
	var object struct {
		Created int64 `json:"created"`
	}
	_ = json.Unmarshal(raw, &object) // only for the progress
	return time.Unix(object.Created, 0).UTC()
}

// objects reads a page of objects, patiently.
func objects(ctx context.Context, client *stripeapi.Client, account string, kind stripeapi.Kind, filter stripeapi.ObjectFilter, after string) (
	page stripeapi.Page, answer stripeapi.Answer, err error,
) {
	err = patiently(ctx, client.Paused, func() error {
		page, answer, err = client.Objects(ctx, stripeapi.Owner{Account: account}, kind, filter, after)
		return err
	})
	return page, answer, err
}

func (i *importer) reading(account string, at time.Time) normalize.Reading {
	return normalize.Reading{Account: account, At: at, Origin: events.OriginImport, Reason: events.ReasonImport, ReceivedAt: i.now()}
}

// completing returns a function that reads the items that a list has left out.
func completing(client *stripeapi.Client, account string) func(context.Context, json.RawMessage) (json.RawMessage, error) {
	return func(ctx context.Context, raw json.RawMessage) (whole json.RawMessage, err error) {
		err = patiently(ctx, client.Paused, func() error {
			whole, err = client.WithItems(ctx, stripeapi.Owner{Account: account}, raw)
			return err
		})
		return whole, err
	}
}

// objects publishes the objects of a page, and returns when the stream has all of them.
func (i *importer) objects(ctx context.Context, page []json.RawMessage, reading normalize.Reading,
	complete func(context.Context, json.RawMessage) (json.RawMessage, error),
) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxImporting)
	for _, raw := range page {
		msg, err := i.normalizer.Snapshot(raw, reading)
		kind := i.done.count(msg, err)
		if err != nil || msg.Data.Ignored != "" || i.publisher == nil {
			continue
		}
		group.Go(func() (err error) {
			if sub := msg.Data.Subscription; sub != nil && sub.ItemsTruncated {
				whole, err := complete(ctx, raw)
				if err != nil {
					return err
				}
				if msg, err = i.normalizer.Snapshot(whole, reading); err != nil {
					return fmt.Errorf("completing %s: %w", events.SafeID(msg.Subject), err)
				}
			}
			return i.publish(ctx, msg, kind)
		})
	}
	err := group.Wait()
	i.progress(i.done.found)
	return err
}

func (i *importer) publish(ctx context.Context, msg events.Message, kind *importedKind) error {
	isNew := false
	if !i.has.contains(msg.MessageID()) {
		var err error
		if isNew, err = publishSnapshot(ctx, i.publisher, msg, i.maxMessage()); err != nil {
			return err
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if isNew {
		kind.Published++
	} else {
		kind.AlreadyThere++
	}
	return nil
}

// publishSnapshot reports whether the snapshot was new to the stream.
func publishSnapshot(ctx context.Context, to *natsbus.Publisher, msg events.Message, maxMessage int) (isNew bool, err error) {
	once := &oncePublisher{Publisher: to}
	if err := patiently(ctx, noPause, func() error { return handlers.Publish(once, msg, maxMessage, "") }); err != nil {
		return false, fmt.Errorf("publishing %s: %w", events.SafeID(msg.Subject), err)
	}
	failpoint.At("import:published")
	return once.isNew, nil
}

// count counts an object that was found, and returns the counts of its kind.
func (d *imported) count(msg events.Message, err error) *importedKind {
	d.found++
	kind := d.kind(msg.Type)
	kind.Found++
	switch {
	case err != nil:
		kind.Unreadable++
	case msg.Data.Ignored != "":
		kind.Ignored++
	case msg.Data.Subscription != nil:
		d.statuses[msg.Data.Subscription.Status]++
		d.countKeys("subscription", msg.Data.Subscription.Metadata)
	case msg.Data.Customer != nil:
		d.countKeys("customer", msg.Data.Customer.Metadata)
	}
	return kind
}

func (d *imported) kind(subject string) *importedKind {
	name := "unknown"
	switch subject {
	case events.SubjectSnapshot:
		name = "subscription"
	case events.SubjectCustomerSnapshot:
		name = "customer"
	case events.SubjectProductSnapshot:
		name = "product"
	case events.SubjectPriceSnapshot:
		name = "price"
	}
	if d.kinds[name] == nil {
		d.kinds[name] = &importedKind{}
	}
	return d.kinds[name]
}

// maxKeys bounds the memory for keys of metadata.
const maxKeys = 10_000

func (d *imported) countKeys(kind string, metadata map[string]string) {
	if d.keys[kind] == nil {
		d.keys[kind] = map[string]int{}
	}
	for key := range metadata {
		if _, ok := d.keys[kind][key]; ok || len(d.keys[kind]) < maxKeys {
			d.keys[kind][key]++
		}
	}
}
