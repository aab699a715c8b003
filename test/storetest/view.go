package storetest

import (
	"context"
	"iter"
	"strings"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/store"
)

// RecordsOf implements [store.View].
func (c *Client) RecordsOf(ctx context.Context, owners []store.AccessOwner) (map[store.AccessOwner][]string, error) {
	c.server.begin()
	if err := call(ctx, nil, Heads); err != nil {
		return nil, err
	}
	keys := map[store.AccessOwner][]string{}
	for _, owner := range owners {
		keys[owner] = nil
	}
	for _, key := range c.server.keys(&c.server.records, all) {
		doc, _ := c.server.read(&c.server.records, key)
		r := decode[store.Record](doc.raw)
		if r.Winner.Data.Subscription == nil {
			continue
		}
		sub := *r.Winner.Data.Subscription
		sub.UserID = r.User.ID
		for owner := range keys {
			isCustomer := owner.Customer != "" && (sub.CustomerID == owner.Customer || sub.CustomerAccountID == owner.Customer)
			if strings.HasPrefix(key, owner.Scope) && (isCustomer || owner.User != "" && sub.UserID == owner.User) {
				keys[owner] = append(keys[owner], key)
			}
		}
	}
	return keys, nil
}

// RecordKeys implements [store.View].
func (c *Client) RecordKeys(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := call(ctx, nil, Heads); err != nil {
			yield("", err)
			return
		}
		for _, key := range c.server.keys(&c.server.records, all) {
			if !yield(key, nil) {
				return
			}
		}
	}
}

// Completed implements [store.View].
func (c *Client) Completed(ctx context.Context) (string, error) {
	if err := call(ctx, nil, Access); err != nil {
		return "", err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.server.completed, nil
}

// SetCompleted implements [store.View].
func (c *Client) SetCompleted(ctx context.Context, bucket string) error {
	if err := call(ctx, nil, ReplaceAccess); err != nil {
		return err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.completed = bucket
	return nil
}

// Access implements [store.View].
func (c *Client) Access(ctx context.Context, key string) (events.AccessDocument, bool, error) {
	c.server.begin()
	if err := call(ctx, c.hooks.Before, Access); err != nil {
		return events.AccessDocument{}, false, err
	}
	doc, ok := c.server.read(&c.server.access, key)
	if !ok {
		return events.AccessDocument{}, false, nil
	}
	return decode[events.AccessDocument](doc.raw), true, nil
}

// ReplaceAccess implements [store.View].
func (c *Client) ReplaceAccess(ctx context.Context, key string, doc events.AccessDocument) error {
	term := c.server.begin()
	if err := call(ctx, c.hooks.Before, ReplaceAccess); err != nil {
		return err
	}
	outcome := c.server.replaceAccess(key, doc)
	if err := c.confirm(ctx, ReplaceAccess, term); err != nil {
		return err
	}
	return outcome
}

func (m *Memory) replaceAccess(key string, doc events.AccessDocument) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if have, ok := m.access.written[key]; ok && have.revision >= doc.Revision {
		return store.ErrExists
	}
	encoded := document{revision: doc.Revision, raw: encode(doc)}
	m.count(&m.counts.DocumentsWritten, &m.counts.BytesWritten, encoded)
	m.access.write(key, encoded)
	return nil
}
