package natsbus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/fault"
)

// keysTimeout is how long a list of keys waits for the next one.
const keysTimeout = 30 * time.Second

var errKeysEnded = errors.New("the list of its keys broke off")

// Keys returns the keys that a filter matches, as in a subject, and that are wanted. It may
// miss those that are written meanwhile.
func (b *Bucket) Keys(ctx context.Context, filter string, wanted func(key string) bool) (keys []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watcher jetstream.KeyWatcher
	err = b.with(ctx, func(_ context.Context, kv jetstream.KeyValue) (err error) {
		watcher, err = kv.Watch(ctx, filter, jetstream.MetaOnly(), jetstream.IgnoreDeletes())
		return err
	})
	if err != nil {
		return nil, err
	}
	defer func() { _ = watcher.Stop() }()
	for {
		select {
		case entry, ok := <-watcher.Updates():
			switch {
			case !ok:
				return nil, b.keysEnded(errKeysEnded)
			case entry == nil: // it has all keys that there were
				return keys, nil
			case wanted(entry.Key()):
				keys = append(keys, entry.Key())
			}
		case <-time.After(keysTimeout):
			return nil, b.keysEnded(errKeysEnded)
		case <-ctx.Done():
			return nil, b.keysEnded(ctx.Err())
		}
	}
}

func (b *Bucket) keysEnded(err error) error {
	return fault.New(fault.Transient, fault.BucketFailed, fmt.Errorf("bucket %s: %w", b.name, err))
}
