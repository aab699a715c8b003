package natsbus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/fault"
)

// ResolvedBucket is the name of the bucket that keeps the last snapshot of each
// subscription that the bridge's resolver has read because of an event.
const ResolvedBucket = "BILLBUS_RESOLVED"

// bucketStream and the name of a bucket are the name of its stream.
const bucketStream = "KV_"

// Bucket is a key-value bucket whose values are replaced on a condition. It need not
// exist yet when it is made.
type Bucket struct {
	bus  *Bus
	name string

	mu sync.Mutex
	kv jetstream.KeyValue
}

// NewBucket returns the bucket of that name.
func (b *Bus) NewBucket(name string) *Bucket { return &Bucket{bus: b, name: name} }

// Get returns the value of a key and its revision. The revision is 0 if there is no
// value. In [ResolvedBucket] it may miss a value that was written a moment ago; Put then
// writes nothing.
func (b *Bucket) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	err = b.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) error {
		entry, err := kv.Get(ctx, key)
		if err == nil {
			value, revision = entry.Value(), entry.Revision()
		}
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return nil
		}
		return err
	})
	return value, revision, err
}

// ID returns what distinguishes the bucket from one of the same name that was deleted.
func (b *Bucket) ID(ctx context.Context) (string, error) {
	info, err := b.bus.streamInfo(ctx, bucketStream+b.name)
	if err != nil {
		return "", fault.New(fault.Transient, fault.BucketFailed, err)
	}
	return b.name + "@" + info.Created.UTC().Format(time.RFC3339Nano), nil
}

// Put replaces the value of a key that still has the given revision, and returns the
// new one. It reports false if the key has another revision. After an error, the value
// may be written or not.
func (b *Bucket) Put(ctx context.Context, key string, value []byte, revision uint64) (next uint64, ok bool, err error) {
	err = b.with(ctx, func(ctx context.Context, kv jetstream.KeyValue) (err error) {
		if revision == 0 {
			next, err = kv.Create(ctx, key, value)
		} else {
			next, err = kv.Update(ctx, key, value, revision)
		}
		ok = err == nil
		if errors.Is(err, jetstream.ErrKeyExists) {
			return nil
		}
		return err
	})
	return next, ok, err
}

func (b *Bucket) with(ctx context.Context, do func(context.Context, jetstream.KeyValue) error) error {
	if err := b.bus.Check(ctx); err != nil {
		return fault.New(fault.Transient, fault.NATSUnreachable, err)
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	kv, err := b.open(ctx)
	if err == nil {
		err = do(ctx, kv)
	}
	switch {
	case errors.Is(err, nats.ErrMaxPayload):
		return fault.New(fault.Permanent, fault.TooLarge, fmt.Errorf("bucket %s: %w: raise max_payload of the NATS server", b.name, err))
	case err != nil:
		return fault.New(fault.Transient, fault.BucketFailed, fmt.Errorf("bucket %s: %w", b.name, err))
	}
	return nil
}

func (b *Bucket) open(ctx context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kv != nil {
		return b.kv, nil
	}
	kv, err := b.bus.js.KeyValue(ctx, b.name)
	if err == nil {
		b.kv = kv
	}
	return kv, err
}

// ensureBucket creates the consumer's bucket if it is missing.
func (p *Provisioner) ensureBucket(ctx context.Context) ([]Drift, error) {
	name := p.consumer.bucket
	if name == "" {
		return nil, nil
	}
	have, err := p.bus.streamInfo(ctx, bucketStream+name)
	if err == nil {
		d := &differ{object: "bucket " + name, cure: fmt.Sprintf("run `nats stream edit %s%s --replicas=%d`", bucketStream, name, p.settings.Replicas)}
		d.replicas(have.Config.Replicas, p.settings.Replicas)
		return d.drifts, nil
	}
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, err
	}
	if p.mode == ProvisionCheck {
		return []Drift{{Object: "bucket " + name, Fatal: true, Cure: p.consumer.cureMissing()}}, nil
	}
	_, err = p.bus.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: name, Description: "the last snapshot of each subscription that was read because of an event",
		History: 1, Storage: jetstream.FileStorage, Replicas: p.settings.Replicas,
	})
	if err != nil && !errors.Is(err, jetstream.ErrBucketExists) {
		return nil, fmt.Errorf("creating bucket %s: %w", name, err)
	}
	p.bus.log.Info("created bucket", "bucket", name)
	return nil, nil
}
