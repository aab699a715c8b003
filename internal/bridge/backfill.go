package bridge

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/handlers"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
)

// maxBackfilling is how many events are published at once.
const maxBackfilling = 64

// backfill publishes events that Stripe has and the stream lacks, as if their webhooks had
// arrived.
type backfill struct {
	client     *stripeapi.Client
	normalizer *normalize.Normalizer
	reads      func(account string) bool // whether the bridge reads what messages of an account leave out
	publisher  *natsbus.Publisher
	maxMessage func() int
	now        func() time.Time
	dryRun     bool
	// proceed is called before each page that is read or published. Its error ends the backfill.
	proceed func(context.Context) error
	reading func(reached time.Time) // reports when the oldest event so far was created
	missed  func(events.Message)    // is called, one call at a time, with each event that the stream lacked
}

// filled counts the events of an account. Those that were found and are in none of the
// other counts were not published.
type filled struct {
	Found        int `json:"found"`
	Published    int `json:"published"` // in a dry run, those that would be
	AlreadyThere int `json:"already_there"`
	Unreadable   int `json:"unreadable"` // not what Stripe describes as an event
}

func (f *filled) add(other filled) {
	f.Found += other.Found
	f.Published += other.Published
	f.AlreadyThere += other.AlreadyThere
	f.Unreadable += other.Unreadable
}

// filling is the backfill of one account.
type filling struct {
	*backfill
	account string
	filter  stripeapi.EventFilter
	has     *storedIDs

	mu   sync.Mutex
	done filled

	first   stripeapi.Page
	lacking []string // where the pages begin that have something to publish
}

// run publishes what is missing, the oldest page first. Events are listed newest first, so
// it reads the pages that have something to publish a second time. It keeps the first one,
// which has no event before it to begin after. So the memory that it needs does not grow
// with the events.
func (f *filling) run(ctx context.Context) error {
	for after, begun := "", false; after != "" || !begun; begun = true {
		page, err := f.page(ctx, after)
		if err != nil {
			return err
		}
		if !begun {
			f.first = page
		}
		if f.compare(page) {
			f.lacking = append(f.lacking, after)
		}
		after = page.Next
	}
	for _, after := range slices.Backward(f.lacking) {
		if err := f.publishPage(ctx, after); err != nil {
			return err
		}
	}
	return nil
}

func (f *filling) page(ctx context.Context, after string) (page stripeapi.Page, err error) {
	if err := f.proceed(ctx); err != nil {
		return page, err
	}
	err = patiently(ctx, f.client.Paused, func() error {
		page, err = f.client.Events(ctx, stripeapi.Owner{Account: f.account}, f.filter, after)
		return err
	})
	return page, err
}

// compare counts the events of a page, and reports whether the stream lacks some of them.
func (f *filling) compare(page stripeapi.Page) (lacks bool) {
	f.done.Found += len(page.Data)
	for _, raw := range page.Data {
		msg, err := f.message(raw)
		switch {
		case err != nil:
			f.done.Unreadable++
			continue
		case f.has.contains(msg.MessageID()):
			f.done.AlreadyThere++
		case f.dryRun:
			f.done.Published++
			f.missed(msg)
		default:
			lacks = true
		}
		f.reading(msg.Time)
	}
	return lacks
}

func (f *filling) message(raw json.RawMessage) (events.Message, error) {
	msg, err := f.normalizer.Event(raw, normalize.Receipt{Account: f.account, Origin: events.OriginBackfill, ReceivedAt: f.now()})
	return resolving(msg, f.reads(msg.StripeAccount)), err
}

func (f *filling) publishPage(ctx context.Context, after string) (err error) {
	page := f.first
	if after != "" {
		if page, err = f.page(ctx, after); err != nil {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxBackfilling)
	for _, raw := range slices.Backward(page.Data) {
		msg, err := f.message(raw)
		if err == nil && !f.has.contains(msg.MessageID()) {
			group.Go(func() error { return f.publish(ctx, msg) })
		}
	}
	return group.Wait()
}

// publish counts an event as already there if its webhook has arrived meanwhile.
func (f *filling) publish(ctx context.Context, msg events.Message) error {
	once := &oncePublisher{Publisher: f.publisher}
	err := patiently(ctx, noPause, func() error { return handlers.Publish(once, msg, f.maxMessage(), "") })
	if err != nil {
		return err
	}
	failpoint.At("backfill:published")
	f.mu.Lock()
	defer f.mu.Unlock()
	f.missed(msg)
	if once.isNew {
		f.done.Published++
	} else {
		f.done.AlreadyThere++
	}
	return nil
}

// oncePublisher notes whether the message was new to the stream.
type oncePublisher struct {
	*natsbus.Publisher
	isNew bool
}

// Publish implements message.Publisher.
func (p *oncePublisher) Publish(topic string, messages ...*message.Message) (err error) {
	for _, msg := range messages {
		if p.isNew, err = p.PublishNew(topic, msg); err != nil {
			return err
		}
	}
	return nil
}

// backfillAccounts returns the accounts that can be read, and whose events are admitted: that
// of the main key, those with a key of their own, and those that the settings name. A list of
// the platform's events has none of those of connected accounts.
func backfillAccounts(cfg config.Bridge, keys stripeapi.Keys, normalizer *normalize.Normalizer) []string {
	all := append(slices.Collect(maps.Keys(keys.Accounts)), keys.Own)
	for _, account := range cfg.Webhook.Accounts {
		if strings.HasPrefix(account, "acct_") {
			all = append(all, account)
		}
	}
	for _, s := range cfg.Webhook.Secrets {
		all = append(all, s.Account)
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(account string) bool {
		return !keys.Has(account) || !normalizer.Admits(account)
	})
}
