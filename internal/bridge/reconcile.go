package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/internal/normalize"
	"github.com/billbus/billbus/internal/stripeapi"
)

const (
	// maxReconciling is how many records are read at once.
	maxReconciling = 64
	// maxLooks bounds how often a subscription is looked at that keeps changing.
	maxLooks = 5
	// maxLookingUp is how many subscriptions are read one by one at once.
	maxLookingUp = 8
	// pageOfOthers is how many records are looked up at a time.
	pageOfOthers = 100
)

// reconciler compares the subscriptions of an account with their records in the state view.
//
// A difference counts if a second look, after a while, finds the same one: what has just
// changed at Stripe may not have arrived yet. It remembers a hash of each subscription, and
// what waits for its second look.
type reconciler struct {
	client     *stripeapi.Client
	normalizer *normalize.Normalizer
	records    *natsbus.Bucket
	publish    func(context.Context, events.Message) error // nil to publish nothing
	filter     stripeapi.ObjectFilter
	settle     time.Duration
	modes      []bool // those that the key can read
	now        func() time.Time
	report     func(finding) error
	progress   func(found int)

	account string
	listed  *storedIDs // the keys of what Stripe has listed
	waiting []batch    // in the order of due

	mu   sync.Mutex
	done reconciled
}

// reconciled counts subscriptions.
type reconciled struct {
	Found       int `json:"found"` // at Stripe
	Same        int `json:"same"`
	Differing   int `json:"differing"`
	MissingHere int `json:"missing_here"`
	NotAtStripe int `json:"not_at_stripe"` // but here
	NotListed   int `json:"not_listed"`    // here, and looked up because no list had them
	Ignored     int `json:"ignored"`       // not admitted
	Unreadable  int `json:"unreadable"`
	Published   int `json:"published"`
}

// batch is what is to be looked at again, at the same time.
type batch struct {
	due time.Time
	// listed is set if all of it was on the page that begins after the subscription after.
	// That page then takes one call instead of one for each.
	listed   bool
	after    string
	suspects map[string]suspect // by their key
}

// suspect is a subscription that differed, or was not listed.
type suspect struct {
	id       string
	livemode bool
	looks    int
	seen     uint64 // what differed at the last look, as a hash
}

// look is a subscription at Stripe, and its record, which was read after it.
type look struct {
	key    string
	id     string
	stripe events.Message       // without a subscription if Stripe does not have it
	here   *events.Subscription // nil if there is no record
}

// finding is a subscription that differs.
type finding struct {
	look
	fields []fieldDifference // nil if it is missing here or at Stripe
}

// run compares all subscriptions of an account.
func (r *reconciler) run(ctx context.Context, account string) error {
	r.account, r.waiting = account, nil
	r.listed = &storedIDs{maphash.MakeSeed(), map[uint64]struct{}{}}
	for after, begun := "", false; after != "" || !begun; begun = true {
		next, err := r.page(ctx, batch{listed: true, after: after})
		if err != nil {
			return err
		}
		r.progress(r.done.Found)
		if err := r.lookAgain(ctx, false); err != nil {
			return err
		}
		after = next
	}
	if err := r.lookForOthers(ctx); err != nil {
		return err
	}
	return r.lookAgain(ctx, true)
}

// page looks at the subscriptions of a page, or at the suspects among them, if there are
// any. It returns where the next page begins.
func (r *reconciler) page(ctx context.Context, b batch) (after string, err error) {
	page, answer, err := objects(ctx, r.client, r.account, stripeapi.Subscriptions, r.filter, b.after)
	if err != nil {
		return "", err
	}
	later := batch{due: r.now().Add(r.settle), listed: true, after: b.after, suspects: map[string]suspect{}}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(maxReconciling)
	for _, raw := range page.Data {
		msg, err := r.normalizer.Snapshot(raw, r.reading(answer, false))
		key := events.StateKey(msg.Livemode, msg.StripeAccount, msg.Subject)
		before, suspected := b.suspects[key]
		if b.suspects == nil {
			r.list(key, msg, err)
		} else if !suspected {
			continue
		}
		if err != nil || msg.Data.Ignored != "" || msg.Data.Subscription == nil {
			continue
		}
		delete(b.suspects, key)
		group.Go(func() error {
			msg, err := r.whole(groupCtx, raw, msg, answer)
			if err != nil {
				return err
			}
			return r.judge(groupCtx, look{key: key, id: msg.Subject, stripe: msg}, before, later)
		})
	}
	err = group.Wait()
	r.wait(later)
	return page.Next, err
}

// list counts a subscription that Stripe lists, and remembers that it does.
func (r *reconciler) list(key string, msg events.Message, err error) {
	r.done.Found++
	switch {
	case err != nil || msg.Data.Ignored == "" && msg.Data.Subscription == nil:
		r.done.Unreadable++
	case msg.Data.Ignored != "":
		r.done.Ignored++
	}
	r.listed.add(key)
}

func (r *reconciler) reading(answer stripeapi.Answer, livemode bool) normalize.Reading {
	return normalize.Reading{
		Account: r.account, Livemode: livemode, At: answer.At, APIVersion: answer.Version,
		Origin: events.OriginReconcile, Reason: events.ReasonReconcile, ReceivedAt: r.now(),
	}
}

// whole completes the items that a list has left out.
func (r *reconciler) whole(ctx context.Context, raw json.RawMessage, msg events.Message, answer stripeapi.Answer) (events.Message, error) {
	if !msg.Data.Subscription.ItemsTruncated {
		return msg, nil
	}
	raw, err := completing(r.client, r.account)(ctx, raw)
	if err != nil {
		return msg, err
	}
	if msg, err = r.normalizer.Snapshot(raw, r.reading(answer, msg.Livemode)); err != nil {
		return msg, fmt.Errorf("completing %s: %w", events.SafeID(msg.Subject), err)
	}
	return msg, nil
}

// judge reads the record and compares. What differs is looked at again later, or is a
// finding if the look before has found the same.
func (r *reconciler) judge(ctx context.Context, l look, before suspect, later batch) (err error) {
	if l.here, err = r.record(ctx, l.key); err != nil {
		return err
	}
	f := l.compare()
	now := suspect{l.id, l.livemode(), before.looks + 1, 0}
	r.mu.Lock()
	if f == nil {
		defer r.mu.Unlock()
		if l.here != nil {
			r.done.Same++
		}
		return nil
	}
	now.seen = maphash.String(r.listed.seed, fmt.Sprint(f.fields, l.here != nil, l.stripe.Data.Subscription != nil))
	certain := before.looks > 0 && now.seen == before.seen || now.looks == maxLooks
	if !certain {
		later.suspects[l.key] = now
	}
	r.mu.Unlock()
	if certain {
		return r.found(ctx, *f)
	}
	return nil
}

func (l look) livemode() bool {
	if l.here != nil {
		return l.here.Livemode
	}
	return l.stripe.Livemode
}

// compare returns nil if Stripe and the record say the same.
func (l look) compare() *finding {
	s := l.stripe.Data.Subscription
	switch {
	case s == nil && l.here == nil:
		return nil
	case s == nil || l.here == nil:
		return &finding{look: l}
	}
	if fields := differences(s, l.here); fields != nil {
		return &finding{l, fields}
	}
	return nil
}

// found counts, publishes and reports.
func (r *reconciler) found(ctx context.Context, f finding) error {
	published := r.publish != nil && f.stripe.Data.Subscription != nil
	if published {
		if err := r.publish(ctx, f.stripe); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case f.here == nil:
		r.done.MissingHere++
	case f.stripe.Data.Subscription == nil:
		r.done.NotAtStripe++
	default:
		r.done.Differing++
	}
	if published {
		r.done.Published++
	}
	return r.report(f)
}

// record returns the subscription of a record. A value that is not a record counts as none,
// as it does for the subscriber.
func (r *reconciler) record(ctx context.Context, key string) (*events.Subscription, error) {
	var value []byte
	var revision uint64
	err := patiently(ctx, noPause, func() (err error) {
		value, revision, err = r.records.Get(ctx, key)
		return err
	})
	var record events.Record
	if err != nil || revision == 0 || json.Unmarshal(value, &record) != nil {
		return nil, err
	}
	return &record.Subscription, nil
}

func (r *reconciler) wait(b batch) {
	if len(b.suspects) > 0 {
		r.waiting = append(r.waiting, b)
	}
}

// lookAgain looks at what is due, or waits until all of it is.
func (r *reconciler) lookAgain(ctx context.Context, all bool) error {
	for len(r.waiting) > 0 {
		b := r.waiting[0]
		left := b.due.Sub(r.now())
		if left > 0 && !all {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(left):
		}
		r.waiting = r.waiting[1:]
		if b.listed {
			if _, err := r.page(ctx, b); err != nil {
				return err
			}
		}
		if err := r.lookUp(ctx, b.suspects); err != nil {
			return err
		}
	}
	return nil
}

// lookUp reads subscriptions one by one: those that no list has, or not any more.
func (r *reconciler) lookUp(ctx context.Context, suspects map[string]suspect) error {
	later := batch{due: r.now().Add(r.settle), suspects: map[string]suspect{}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxLookingUp)
	for key, before := range suspects {
		group.Go(func() error {
			msg, err := r.subscription(ctx, before)
			if err != nil {
				return err
			}
			if msg.Data.Subscription != nil && before.looks == 0 {
				r.mu.Lock()
				r.done.Found++
				r.done.NotListed++
				r.mu.Unlock()
			}
			return r.judge(ctx, look{key: key, id: before.id, stripe: msg}, before, later)
		})
	}
	err := group.Wait()
	r.wait(later)
	return err
}

// subscription reads one from Stripe. The message has none if Stripe does not have it.
func (r *reconciler) subscription(ctx context.Context, s suspect) (events.Message, error) {
	var answer stripeapi.Answer
	err := patiently(ctx, r.client.Paused, func() (err error) {
		answer, err = r.client.Subscription(ctx, stripeapi.Owner{Account: r.account, Livemode: s.livemode}, s.id)
		return err
	})
	switch {
	case errors.Is(err, stripeapi.ErrMissing), fault.ReasonOf(err) == fault.BadID: // such an id is not Stripe's
		return events.Message{}, nil
	case err != nil:
		return events.Message{}, err
	}
	msg, err := r.normalizer.Snapshot(answer.Raw, r.reading(answer, s.livemode))
	if err != nil {
		return msg, fmt.Errorf("reading subscription %s: %w", events.SafeID(s.id), err)
	}
	return msg, nil
}

// lookForOthers looks up the records that should have been listed, and were not.
func (r *reconciler) lookForOthers(ctx context.Context) error {
	for _, livemode := range r.modes {
		filter := strings.TrimSuffix(events.StateKey(livemode, r.account, "x"), "x") + "*"
		keys, err := r.records.Keys(ctx, filter, func(key string) bool { return !r.listed.contains(key) })
		if err != nil {
			return err
		}
		for some := range slices.Chunk(keys, pageOfOthers) {
			if err := r.lookUpRecords(ctx, some); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reconciler) lookUpRecords(ctx context.Context, keys []string) error {
	suspects := map[string]suspect{}
	for _, key := range keys {
		here, err := r.record(ctx, key)
		if err != nil {
			return err
		}
		if here != nil && r.selects(here) {
			suspects[key] = suspect{id: here.ID, livemode: here.Livemode}
		}
	}
	if err := r.lookUp(ctx, suspects); err != nil {
		return err
	}
	r.progress(r.done.Found)
	return r.lookAgain(ctx, false)
}

// selects reports whether Stripe would list a subscription that is as the record says.
func (r *reconciler) selects(s *events.Subscription) bool {
	if s.Created.Before(r.filter.Since) {
		return false
	}
	switch r.filter.Status {
	case "", "all", s.Status:
		return true
	}
	return r.filter.Status == "ended" && s.Terminal()
}
