package storetest

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

func all(document) bool { return true }

// Search implements [store.Search].
func (c *Client) Search(ctx context.Context, q store.Query) ([]store.Audited, error) {
	subscriptions, customers := map[string]bool{}, map[string]bool{"": false}
	for _, key := range c.server.keys(&c.server.records, all) {
		if state, _, _ := c.State(ctx, key); q.User != "" && state.Subscription.UserID == q.User {
			subscriptions[state.Subscription.ID], customers[state.Subscription.CustomerID] = true, state.Subscription.CustomerID != ""
		}
	}
	var found []store.Audited
	for a, err := range c.audited(ctx, nil, all) {
		if err != nil {
			return nil, err
		}
		if matches(q, a) && (q.User == "" || subscriptions[a.SubscriptionID] || customers[a.CustomerID]) {
			a.Data.Event, a.Data.Object = nil, nil
			found = append(found, a)
		}
	}
	slices.SortStableFunc(found, func(a, b store.Audited) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.StreamSequence, b.StreamSequence))
	})
	if q.Limit > 0 {
		found = found[max(len(found)-q.Limit, 0):]
	}
	return found, nil
}

func matches(q store.Query, a store.Audited) bool {
	subscriptionKey := events.Key(a.Livemode, a.StripeAccount, a.SubscriptionID)
	return (q.Subscription == "" || q.Subscription == a.SubscriptionID || q.Subscription == subscriptionKey) &&
		(q.Event == "" || q.Event == a.ID || q.Event == a.Key()) &&
		(q.Customer == "" || q.Customer == a.CustomerID) &&
		(q.Type == "" || q.Type == cmp.Or(a.StripeType, a.Type)) &&
		(q.Since.IsZero() || !a.Time.Before(q.Since)) &&
		(q.Until.IsZero() || !a.Time.After(q.Until))
}

// Payload implements [store.Search].
func (c *Client) Payload(ctx context.Context, event string) (payload string, found bool, err error) {
	for a, err := range c.audited(ctx, nil, all) {
		switch {
		case err != nil:
			return "", false, err
		case event != a.ID && event != a.Key():
		case a.Data.Event != nil:
			return string(a.Data.Event), true, nil
		default:
			return string(a.Data.Object), true, nil
		}
	}
	return "", false, nil
}

// State implements [store.States].
func (c *Client) State(ctx context.Context, key string) (store.State, bool, error) {
	r, found, err := c.record(ctx, key)
	if !found || err != nil || r.Winner.Data.Subscription == nil {
		return store.State{}, found, err
	}
	return store.State{
		Subscription: *r.Winner.Data.Subscription, EventID: r.Winner.ID, Terminal: r.Terminal, Ordering: r.Ordering, Explanation: r.Explanation,
	}, true, nil
}

func (c *Client) record(ctx context.Context, key string) (store.Record, bool, error) {
	c.server.begin()
	if err := call(ctx, nil, Heads); err != nil {
		return store.Record{}, false, err
	}
	doc, ok := c.server.read(&c.server.records, key)
	if !ok {
		return store.Record{}, false, nil
	}
	return decode[store.Record](doc.raw), true, nil
}

// Audit implements [store.Verification].
func (c *Client) Audit(ctx context.Context) iter.Seq2[store.Audited, error] {
	return func(yield func(store.Audited, error) bool) {
		var subscriptions []string
		for a, err := range c.audited(ctx, nil, func(doc document) bool { return doc.subscription != "" }) {
			if err != nil {
				yield(store.Audited{}, err)
				return
			}
			subscriptions = append(subscriptions, a.Subscription)
		}
		slices.Sort(subscriptions)
		for _, key := range slices.Compact(subscriptions) {
			for a, err := range c.Trail(ctx, key) {
				if !yield(a, err) {
					return
				}
			}
		}
	}
}

// AuditSize implements [store.Verification].
func (c *Client) AuditSize(ctx context.Context) (n int64, err error) {
	for _, err := range c.Audit(ctx) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Records implements [store.Verification].
func (c *Client) Records(ctx context.Context) iter.Seq2[store.StoredRecord, error] {
	return func(yield func(store.StoredRecord, error) bool) {
		for _, key := range c.server.keys(&c.server.records, all) {
			if record, err := c.Record(ctx, key); !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// Record implements [store.Verification].
func (c *Client) Record(ctx context.Context, key string) (store.StoredRecord, error) {
	r, found, err := c.record(ctx, key)
	if !found || err != nil {
		return store.StoredRecord{Key: key}, err
	}
	return store.StoredRecord{
		Key: key, Exists: true, Revision: strconv.FormatInt(r.Revision, 10), Rule: r.Rule, EventID: r.Winner.ID, Fields: fieldsOf(r),
	}, nil
}

func fieldsOf(r store.Record) map[string]string {
	fields := map[string]string{}
	for name, raw := range decode[map[string]json.RawMessage](encode(r.Winner.Data.Subscription)) {
		fields[name] = string(raw)
	}
	maps.Copy(fields, map[string]string{
		"version.event_id": r.Winner.ID, "version.terminal": strconv.FormatBool(r.Terminal), "version.rule": strconv.Itoa(r.Rule),
		"version.known": string(encode(r.Known)), "ordering": string(r.Ordering), "explanation": r.Explanation,
	})
	return fields
}

// Fields implements [store.Verification].
func (c *Client) Fields(key string, winner events.Message, verdict ordering.Verdict) (map[string]string, error) {
	return fieldsOf(decode[store.Record](encode(store.Head{Key: key}.Next(winner, verdict, noon())))), nil
}

// Rewrite implements [store.Verification].
func (c *Client) Rewrite(ctx context.Context, have store.StoredRecord, winner events.Message, verdict ordering.Verdict) (bool, error) {
	r, found, err := c.record(ctx, have.Key)
	if err != nil || found != have.Exists || found && strconv.FormatInt(r.Revision, 10) != have.Revision {
		return false, err
	}
	r.Key = have.Key
	term := c.server.begin()
	if c.server.replace(r.Next(winner, verdict, noon()), r.Revision) != nil {
		return false, nil
	}
	return true, c.server.confirm(term)
}

// Expired implements [store.Retention].
func (c *Client) Expired(ctx context.Context, before time.Time) iter.Seq2[store.Expired, error] {
	return func(yield func(store.Expired, error) bool) {
		found, err := c.Search(ctx, store.Query{})
		if err != nil {
			yield(store.Expired{}, err)
			return
		}
		for _, a := range found {
			fact, _ := ordering.FactOf(a.Message)
			e := store.Expired{ID: a.Key(), Subscription: a.Subscription, EventID: a.ID, Created: a.Time, Terminal: fact.Terminal, ItemsTruncated: fact.ItemsTruncated}
			if e.Created.Before(before) && !yield(e, nil) {
				return
			}
		}
	}
}

// RemoveExpired implements [store.Retention].
func (c *Client) RemoveExpired(ctx context.Context, ids []string) error {
	if err := call(ctx, nil, Insert); err != nil {
		return err
	}
	for _, id := range ids {
		c.server.Delete(id, "")
	}
	return nil
}
