package storetest

import (
	"cmp"
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

func all(document) bool { return true }

// Search implements [store.Search].
func (c *Client) Search(ctx context.Context, q store.Query) ([]store.Audited, error) {
	var trail []store.Audited
	for a, err := range c.audited(ctx, nil, all) {
		if err != nil {
			return nil, err
		}
		trail = append(trail, a)
	}
	owners := []func(store.Audited) bool{}
	if q.Subscription != "" {
		owners = append(owners, belongs(trail, ofSubscription(q.Subscription)))
	}
	if q.Customer != "" {
		owners = append(owners, belongs(trail, ofCustomers(nil, map[string]bool{q.Customer: true})))
	}
	if q.User != "" {
		owners = append(owners, belongs(trail, ofCustomers(c.ofUser(ctx, q.User))))
	}
	var found []store.Audited
	for _, a := range trail {
		if matches(q, a) && !slices.ContainsFunc(owners, func(owns func(store.Audited) bool) bool { return !owns(a) }) {
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

// ofUser returns the subscriptions and customers in the records and identities of a user.
func (c *Client) ofUser(ctx context.Context, user string) (subscriptions, customers map[string]bool) {
	subscriptions, customers = map[string]bool{}, map[string]bool{}
	add := func(sub, customer, account string) {
		subscriptions[sub], customers[customer], customers[account] = true, true, true
	}
	for _, key := range c.server.keys(&c.server.records, all) {
		state, _, _ := c.State(ctx, key)
		if sub := state.Subscription; sub.UserID == user {
			add(sub.ID, sub.CustomerID, sub.CustomerAccountID)
		}
	}
	claims, _ := c.identities(ctx, func(i store.Identity) bool { return i.UserID == user })
	for _, i := range claims {
		add(i.SubscriptionID, i.CustomerID, i.CustomerAccountID)
	}
	delete(subscriptions, "")
	delete(customers, "")
	return subscriptions, customers
}

// relation is what an event is to an owner.
type relation int

const (
	foreign relation = iota // it names another one, or is out of scope
	unnamed                 // it names none
	named
)

func ofSubscription(id string) func(store.Audited) relation {
	return func(a store.Audited) relation {
		key := func(sub string) string {
			if !strings.Contains(id, ":") {
				return sub
			}
			return events.Key(a.Livemode, a.StripeAccount, sub)
		}
		switch {
		case key(a.SubscriptionID) == id, slices.ContainsFunc(a.NamedIDs, func(sub string) bool { return key(sub) == id }):
			return named
		case a.SubscriptionID == "" && strings.HasPrefix(id, strings.TrimSuffix(key("x"), "x")):
			return unnamed
		}
		return foreign
	}
}

func ofCustomers(subscriptions, customers map[string]bool) func(store.Audited) relation {
	return func(a store.Audited) relation {
		switch {
		case subscriptions[a.SubscriptionID], customers[a.CustomerID], customers[a.CustomerAccountID],
			slices.ContainsFunc(a.NamedIDs, func(id string) bool { return subscriptions[id] || customers[id] }):
			return named
		case a.CustomerID == "" && a.CustomerAccountID == "" && (subscriptions == nil || a.SubscriptionID == ""):
			return unnamed
		}
		return foreign
	}
}

// belongs adds the events that are related to one that names the owner, and to those.
func belongs(trail []store.Audited, to func(store.Audited) relation) func(store.Audited) bool {
	related := map[string]bool{}
	owns := func(a store.Audited) bool {
		return to(a) == named || to(a) == unnamed && slices.ContainsFunc(a.RelatedIDs, func(id string) bool { return related[id] })
	}
	for before := -1; before < len(related); {
		before = len(related)
		for _, a := range trail {
			if owns(a) {
				for _, id := range a.RelatedIDs {
					related[id] = true
				}
			}
		}
	}
	return owns
}

func matches(q store.Query, a store.Audited) bool {
	return (q.Event == "" || q.Event == a.ID || q.Event == a.Key()) &&
		(!q.Ignored || a.Data.Ignored != "") &&
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
	return *r.State(), true, nil
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

// Ignored implements [store.Admission].
func (c *Client) Ignored(ctx context.Context) iter.Seq2[store.Audited, error] {
	return c.audited(ctx, nil, func(doc document) bool {
		return matches(store.Query{Ignored: true}, doc.audited())
	})
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
	fields["user_id"] = string(encode(r.User))
	maps.Copy(fields, map[string]string{
		"version.event_id": r.Winner.ID, "version.terminal": strconv.FormatBool(r.Terminal), "version.rule": strconv.Itoa(r.Rule),
		"version.known": string(encode(r.Known)), "ordering": string(r.Ordering), "explanation": r.Explanation,
	})
	return fields
}

// Fields implements [store.Verification].
func (c *Client) Fields(key string, d store.Decision) (map[string]string, error) {
	return fieldsOf(decode[store.Record](encode(store.Head{Key: key}.Next(d, noon())))), nil
}

// Rewrite implements [store.Verification].
func (c *Client) Rewrite(ctx context.Context, have store.StoredRecord, d store.Decision) (bool, error) {
	r, found, err := c.record(ctx, have.Key)
	if err != nil || found != have.Exists || found && strconv.FormatInt(r.Revision, 10) != have.Revision {
		return false, err
	}
	r.Key, r.Reread, r.Listings = have.Key, true, nil
	term := c.server.begin()
	if c.server.replace(r.Next(d, noon()), r.Revision) != nil {
		return false, nil
	}
	return true, c.server.confirm(term)
}

// Expired implements [store.Retention].
func (c *Client) Expired(ctx context.Context, from, before time.Time) iter.Seq2[store.Expired, error] {
	return func(yield func(store.Expired, error) bool) {
		found, err := c.Search(ctx, store.Query{})
		if err != nil {
			yield(store.Expired{}, err)
			return
		}
		for _, a := range found {
			fact, _ := ordering.FactOf(a.Message)
			e := store.Expired{ID: a.Key(), Subscription: a.Subscription, EventID: a.ID, Created: a.Time, Terminal: fact.Terminal, ItemsTruncated: fact.ItemsTruncated}
			if !e.Created.Before(from) && e.Created.Before(before) && !yield(e, nil) {
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

// Turn implements [store.Retention].
func (c *Client) Turn(ctx context.Context) (store.Turn, error) {
	if err := call(ctx, nil, Heads); err != nil {
		return store.Turn{}, err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.server.turn, nil
}

// SetTurn implements [store.Retention].
func (c *Client) SetTurn(ctx context.Context, read, next store.Turn) (bool, error) {
	if err := call(ctx, nil, Replace); err != nil {
		return false, err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.server.turn != read {
		return false, nil
	}
	c.server.turn = next
	return true, nil
}
