package storetest

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/events/ordering"
	"github.com/billbus/billbus/internal/store"
)

// Entitlements implements [store.EntitlementsTrail].
func (c *Client) Entitlements(ctx context.Context, keys []string) (map[string]store.Entitled, error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Entitlements); err != nil {
		return nil, err
	}
	found := map[string]store.Entitled{}
	for _, key := range keys {
		if doc, ok := c.server.read(&c.server.entitlements, key); ok {
			found[key] = decode[store.Entitled](doc.raw)
		}
	}
	return found, nil
}

// PutEntitlements implements [store.Entitlements].
func (c *Client) PutEntitlements(ctx context.Context, e store.Entitled) error {
	term := c.server.begin()
	if err := call(ctx, c.hooks.Before, PutEntitlements); err != nil {
		return err
	}
	outcome := c.server.putEntitlements(e)
	if err := c.confirm(ctx, PutEntitlements, term); err != nil {
		return err
	}
	return outcome
}

func (m *Memory) putEntitlements(e store.Entitled) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entitlements.written[e.Key].revision != e.Revision-1 {
		return store.ErrExists
	}
	doc := document{revision: e.Revision, raw: encode(e)}
	m.count(&m.counts.DocumentsWritten, &m.counts.BytesWritten, doc)
	m.entitlements.write(e.Key, doc)
	return nil
}

// EntitlementEvents implements [store.EntitlementsTrail].
func (c *Client) EntitlementEvents(ctx context.Context, customers []string) iter.Seq2[store.Audited, error] {
	hook := func(ctx context.Context, _ Operation) error { return call(ctx, c.hooks.Before, EntitlementEvents) }
	return c.audited(ctx, hook, func(doc document) bool {
		a := doc.audited()
		return a.Data.Entitlements != nil && slices.Contains(customers, a.CustomerID)
	})
}

// EntitlementKeys implements [store.View].
func (c *Client) EntitlementKeys(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := call(ctx, nil, Entitlements); err != nil {
			yield("", err)
			return
		}
		for _, key := range c.server.keys(&c.server.entitlements, all) {
			if !yield(key, nil) {
				return
			}
		}
	}
}

// Entitled returns a durable document about entitlements. It reports false if there is none.
func (m *Memory) Entitled(key string) (store.Entitled, bool) {
	return lookup[store.Entitled](m, &m.entitlements, key)
}

// PutEntitled writes a document about entitlements without any condition, as a backup does.
func (m *Memory) PutEntitled(e store.Entitled) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entitlements.write(e.Key, document{revision: e.Revision, raw: encode(e)})
	m.entitlements.settle()
}

// EntitlementsEntry returns an event that lists the features of a customer by their lookup
// keys. A list whose last feature is "…" is cut off.
func EntitlementsEntry(customer, id string, second int, features ...string) store.Entry {
	e := related(events.EntitlementsSummary+".updated", customer, id, second)
	list := &events.Entitlements{CustomerID: customer}
	for _, f := range features {
		if f == "…" {
			list.Truncated = true
			continue
		}
		list.Features = append(list.Features, events.Feature{FeatureID: "feat_" + f, LookupKey: f})
	}
	e.Data.Entitlements, e.References = list, events.References{CustomerID: customer}
	return e
}

// EntitlementsSnapshot returns such a list as it was read from Stripe's API.
func EntitlementsSnapshot(customer, id string, second int, features ...string) store.Entry {
	e := EntitlementsEntry(customer, id, second, features...)
	e.Type, e.StripeType, e.Data.Event = events.SubjectEntitlementsSnapshot, "", nil
	e.Data.Origin, e.Data.ReadAt, e.Data.Object = events.OriginThin, e.Time, []byte(`{"customer":"`+customer+`"}`)
	return e
}

// GenerateEntitlements returns lists of a few customers, some of one second, some cut off,
// and some read from Stripe's API.
func GenerateEntitlements(random *rand.Rand) []store.Entry {
	var entries []store.Entry
	for i := range 2 {
		second := 0
		for range random.IntN(6) {
			second += random.IntN(2)
			var features []string
			for _, f := range []string{"a", "b", "c", "…"} {
				if random.IntN(2) == 0 {
					features = append(features, f)
				}
			}
			list := EntitlementsEntry
			if random.IntN(4) == 0 {
				list = EntitlementsSnapshot
			}
			entries = append(entries, list(fmt.Sprintf("cus_e%d", i), fmt.Sprintf("evt_%08x", random.Uint32()), second, features...))
		}
	}
	return entries
}

// listAgain returns a list as it is when it is read again, by rules that find something else.
func listAgain(random *rand.Rand, e store.Entry) store.Entry {
	list := *e.Data.Entitlements
	list.Features, list.Truncated = list.Features[:random.IntN(len(list.Features)+1)], random.IntN(2) == 0
	e.Data.Entitlements, e.Data.Normalizer = &list, 1+random.IntN(2)
	e.Data.RereadAt = e.Time.Add(time.Duration(1+random.Uint32()) * time.Millisecond)
	return e
}

// wrongEntitlements returns how the documents differ from what these messages say.
func (m *Memory) wrongEntitlements(audited []events.Message) error {
	facts := map[string][]ordering.EntitlementsFact{}
	for _, message := range audited {
		if key, ok := store.EntitledKey(message); ok {
			fact, _ := ordering.EntitlementsFactOf(message)
			facts[key] = append(facts[key], fact)
		}
	}
	for key, facts := range facts {
		got, _ := m.Entitled(key)
		if diff := cmp.Diff(ordering.Entitlements(facts), got.CustomerEntitlements); diff != "" {
			return fmt.Errorf("%s (-want +got):\n%s", key, diff)
		}
	}
	return nil
}
