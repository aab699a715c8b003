package storetest

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/billbus/billbus/internal/store"
)

// Everything implements [store.Rereading].
func (c *Client) Everything(ctx context.Context, from time.Time) iter.Seq2[store.Audited, error] {
	return func(yield func(store.Audited, error) bool) {
		type place struct {
			key string
			at  time.Time
		}
		var places []place
		for a, err := range c.audited(ctx, nil, all) {
			if err != nil {
				yield(a, err)
				return
			}
			if !a.Time.Before(from) {
				places = append(places, place{a.Key(), a.Time})
			}
		}
		slices.SortStableFunc(places, func(a, b place) int { return a.at.Compare(b.at) })
		for _, p := range places {
			if doc, ok := c.server.read(&c.server.audit, p.key); ok && !yield(doc.audited(), nil) {
				return
			}
		}
	}
}

// EverythingSize implements [store.Rereading].
func (c *Client) EverythingSize(ctx context.Context, from time.Time) (n int64, err error) {
	for _, err := range c.Everything(ctx, from) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// Progress implements [store.Rereading].
func (c *Client) Progress(ctx context.Context) (store.Progress, error) {
	if err := call(ctx, nil, Heads); err != nil {
		return store.Progress{}, err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	return c.server.progress, nil
}

// SetProgress implements [store.Rereading].
func (c *Client) SetProgress(ctx context.Context, p store.Progress) error {
	if err := call(ctx, nil, Replace); err != nil {
		return err
	}
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.server.progress = p
	return nil
}
