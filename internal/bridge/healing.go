package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/billbus/billbus/config"
	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/gaps"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/stripeapi"
)

const (
	// turnInterval is how often a bridge checks whether a round is due.
	turnInterval = 10 * time.Second
	// notReadyInterval is how often it checks while its bucket may not exist yet.
	notReadyInterval = time.Second
	// backfillOverlap is how far a round looks back before the end of the one before, for
	// events that Stripe lists late.
	backfillOverlap = 15 * time.Minute
	// maxSettling is the longest time that the webhook of a new event is waited for.
	maxSettling = 30 * time.Second
)

// healer publishes events that did not arrive, at an interval. Of many bridges, the one that
// has the lease does it.
type healer struct {
	bridge   *Bridge
	bucket   *natsbus.Bucket
	backfill *backfill
	accounts []string
	lease    lease
	failures fault.Repeats
}

// newHealer needs a resolver, which has the client: all calls share one rate limit.
func (b *Bridge) newHealer() (*healer, error) {
	publisher, err := b.bus.NewPublisher(b.cfg.Stream.Name, publishTimeout)
	if err != nil {
		return nil, err
	}
	h := &healer{bridge: b, bucket: b.bus.NewBucket(natsbus.ResolvedBucket)}
	h.lease = lease{bucket: h.bucket, now: b.deps.Now}
	h.accounts = backfillAccounts(b.cfg, b.apiKeys(), b.normalizer)
	if len(h.accounts) == 0 {
		return nil, &config.Faults{Program: "bridge", Lines: []string{"BACKFILL_INTERVAL: " + noAccount}}
	}
	h.backfill = &backfill{
		client: b.resolver.client, normalizer: b.normalizer, reads: b.apiKeys().Has, publisher: publisher, maxMessage: b.bus.MaxMessage,
		now: b.deps.Now, proceed: h.lease.keep, reading: func(time.Time) {}, missed: func(events.Message) {},
	}
	return h, nil
}

// run does nothing for a nil healer, which is that of a bridge without an interval.
func (h *healer) run(ctx context.Context) error {
	if h == nil {
		return nil
	}
	for ctx.Err() == nil {
		wait := notReadyInterval
		if h.bridge.streams.CheckConsumer(ctx) == nil { // then the bucket exists, too
			wait = min(turnInterval, h.bridge.cfg.BackfillInterval)
			for _, account := range h.accounts {
				h.report(ctx, account, h.turn(ctx, account))
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	return nil
}

func (h *healer) report(ctx context.Context, account string, err error) {
	if err == nil || ctx.Err() != nil || errors.Is(err, errLeaseLost) {
		return
	}
	reason := fault.ReasonOf(err)
	if count, due := h.failures.Next(string(reason), h.backfill.now()); due {
		h.bridge.deps.Log.Error("backfill", "account", accountName(account), "reason", reason, "error", err, "count", count)
	}
}

// position is how far the events of an account were looked for.
type position struct {
	Looked time.Time `json:"looked"`

	key      string
	revision uint64
}

func (h *healer) position(ctx context.Context, account string) (position, error) {
	p := position{key: "backfill." + h.bridge.cfg.Webhook.Livemode + "." + accountName(account)}
	value, revision, err := h.bucket.Get(ctx, p.key)
	if err == nil && revision > 0 && json.Unmarshal(value, &p) != nil {
		p.Looked = time.Time{}
	}
	p.revision = revision
	return p, err
}

// turn does a round for an account, if it is due and no other bridge is at it.
func (h *healer) turn(ctx context.Context, account string) error {
	p, err := h.position(ctx, account)
	if err != nil || !h.due(p) {
		return err
	}
	if ok, err := h.lease.take(ctx); err != nil || !ok {
		return err
	}
	failpoint.At("backfill:leased")
	// Another bridge may have done the round while this one waited for the lease.
	if p, err = h.position(ctx, account); err == nil && h.due(p) {
		err = h.round(ctx, account, p)
	}
	failpoint.At("backfill:looked")
	return errors.Join(err, h.lease.giveBack(context.WithoutCancel(ctx)))
}

func (h *healer) due(p position) bool {
	return h.until().Sub(p.Looked) >= h.bridge.cfg.BackfillInterval
}

// until leaves out the newest events: their webhooks are on their way.
func (h *healer) until() time.Time {
	return h.backfill.now().Add(-min(maxSettling, h.bridge.cfg.BackfillInterval/2))
}

// round looks for the events since the last one, or for all that Stripe has.
func (h *healer) round(ctx context.Context, account string, p position) error {
	filter := stripeapi.EventFilter{Since: p.Looked.Add(-backfillOverlap), Until: h.until()}
	if oldest := filter.Until.Add(-gaps.EventsKept); filter.Since.Before(oldest) {
		filter.Since = oldest
	}
	has, err := readStored(ctx, h.bridge.bus, storedSince(h.bridge.cfg.Stream.Name, "billbus-backfill", filter.Since))
	if err != nil {
		return fmt.Errorf("reading what the stream has: %w", err)
	}
	f := &filling{backfill: h.backfill, account: account, filter: filter, has: has}
	err = f.run(ctx)
	h.count(account, filter, f.done)
	if err != nil {
		return err
	}
	failpoint.At("backfill:filled")
	p.Looked = filter.Until.UTC()
	value, err := json.Marshal(p)
	if err == nil {
		_, _, err = h.bucket.Put(ctx, p.key, value, p.revision)
	}
	return err
}

func (h *healer) count(account string, filter stripeapi.EventFilter, done filled) {
	for outcome, n := range map[string]int{"published": done.Published, "already_there": done.AlreadyThere, "unreadable": done.Unreadable} {
		h.bridge.deps.Metrics.Backfilled(outcome, n)
	}
	if done.Published+done.Unreadable > 0 {
		h.bridge.deps.Log.Warn("backfill: published events whose webhooks did not arrive", "account", accountName(account),
			"since", filter.Since, "until", filter.Until, "found", done.Found, "published", done.Published, "unreadable", done.Unreadable)
	}
}
