package view

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/failpoint"
	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

const (
	// timeout bounds what is done for one record.
	timeout = 30 * time.Second
	// maxCollisions bounds how often an entry is made again because another writer was
	// first. Each time means that a writer made progress.
	maxCollisions = 20
	// maxParallel bounds how many records are worked on at a time.
	maxParallel = 32
	// maxCached bounds how many entries are remembered, to save reads.
	maxCached = 50_000
)

// Bucket keeps values that are replaced on a condition. Reads must not miss a write that
// was confirmed, by any process. Its errors are marked (see [fault.New]).
type Bucket interface {
	// Get returns the value of a key and its revision. The revision is 0 if there is no
	// value.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Put replaces the value of a key that still has the given revision, and returns the
	// new one. It reports false if the key has another revision.
	Put(ctx context.Context, key string, value []byte, revision uint64) (next uint64, ok bool, err error)
	// ID distinguishes the bucket from one of the same name that was deleted.
	ID(ctx context.Context) (string, error)
}

// Publisher publishes to the stream. It returns nil only if the stream has the message.
type Publisher interface {
	Publish(subject string, messages ...*message.Message) error
}

// Metrics counts what is written.
type Metrics interface {
	// AccessChanged is called with granted, changed or revoked.
	AccessChanged(kind string)
	// StateViewLag is called with the time between the writing of a record and that of its
	// entry.
	StateViewLag(d time.Duration)
}

// Config has the collaborators of a [View]. All fields are required.
type Config struct {
	Store     store.View
	Bucket    Bucket
	Publisher Publisher
	// Sent reports whether a message that was to be published at some time is in the
	// stream, if the stream would not recognize it by its id any more.
	Sent func(ctx context.Context, id string, since time.Time) (bool, error)
	// MaxValue is the size of the largest value, or 0 if that is unknown.
	MaxValue func() int
	Now      func() time.Time
	Metrics  Metrics
}

// View keeps the state view. Any number of processes may do so.
type View struct {
	cfg     Config
	flights flights
	slots   chan struct{}
	listing *listing
	// owners are locks for the access entries of one customer or user.
	owners [64]chan struct{}
	seed   maphash.Seed

	states cache[heldState]
	// entitled are the documents about entitlements from which all access entries follow.
	entitled cache[entitledAt]
	// settled are the revisions of access entries whose message is out.
	settled cache[int64]

	mu       sync.Mutex
	withheld map[string]bool
	// withheldAll is true if there were too many of them.
	withheldAll bool
	bucket      string // the id of the bucket, once it is known
	// complete is true if every record was brought into this bucket, or is being brought.
	complete bool
}

// New returns a view.
func New(cfg Config) *View {
	v := &View{
		cfg: cfg, flights: flights{running: map[string]*flight{}}, slots: make(chan struct{}, maxParallel), seed: maphash.MakeSeed(), listing: newListing(cfg.Store.RecordsOf),
		states: newCache[heldState](maxCached), entitled: newCache[entitledAt](maxCached), settled: newCache[int64](maxCached),
		withheld: map[string]bool{},
	}
	for i := range v.owners {
		v.owners[i] = make(chan struct{}, 1)
	}
	return v
}

// Follow brings the records that a message of the audit trail can have changed into the
// view, and the entitlements that it lists.
func (v *View) Follow(ctx context.Context, m events.Message, changed []store.Changed) error {
	if key, ok := store.EntitledKey(m); ok {
		return v.syncEntitlements(ctx, key)
	}
	return atOnce(changed, func(c store.Changed) error {
		if v.isDone(c.Key, c.Found) {
			return nil
		}
		return v.share(ctx, c.Key, c.State)
	})
}

// isDone reports whether everything that follows from this revision of a record is known to
// be in the view.
func (v *View) isDone(key string, head store.Head) bool {
	held, ok := v.states.get(key)
	return ok && held.done && head.Revision > 0 && held.is(store.State{Head: head})
}

// FollowKeys brings records into the view, by their keys, except those that can never be
// brought: repeating does not help, and their own messages fail.
func (v *View) FollowKeys(ctx context.Context, keys []string) error {
	return atOnce(keys, func(key string) error {
		err := v.sync(ctx, key, followed)
		if fault.KindOf(err) == fault.Permanent {
			return nil
		}
		return err
	})
}

// Rewritten brings a record into the view that was made from the whole audit trail.
func (v *View) Rewritten(ctx context.Context, key string) error { return v.sync(ctx, key, caughtUp) }

// CaughtUp is to be called when every message of the stream was handled. Until then, a
// database that is being rebuilt can lack the events that name a user.
func (v *View) CaughtUp(ctx context.Context) error {
	v.mu.Lock()
	keys, all := sortedKeys(v.withheld), v.withheldAll
	v.withheldAll = false
	v.mu.Unlock()
	if !all {
		return atOnce(keys, func(key string) error { return v.sync(ctx, key, caughtUp) })
	}
	err := v.all(ctx, caughtUp)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.withheldAll = v.withheldAll || err != nil
	return err
}

// Complete brings all records and entitlements into the view, unless that was done since the
// bucket was created. Records can be older than the bucket.
func (v *View) Complete(ctx context.Context) error {
	id, err := v.cfg.Bucket.ID(ctx)
	if err != nil || v.completed(id) {
		return err
	}
	done, err := v.cfg.Store.Completed(ctx)
	if err == nil && done != id {
		if err = v.all(ctx, filled); err == nil {
			failpoint.At("view:filled")
			err = v.cfg.Store.SetCompleted(ctx, id)
		}
	}
	if err == nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.complete = v.bucket == id
	}
	return err
}

// completed reports whether the bucket with an id is complete. If it is another one than
// before, everything that is remembered of it is wrong.
func (v *View) completed(id string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.bucket != id {
		v.bucket, v.complete = id, false
		v.states.clear()
		v.entitled.clear()
	}
	return v.complete
}

// noticeBucket forgets what is remembered of another bucket than the present one.
func (v *View) noticeBucket(ctx context.Context) error {
	id, err := v.cfg.Bucket.ID(ctx)
	if err == nil {
		v.completed(id)
	}
	return err
}

func (v *View) isComplete() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.complete
}

// All brings all records and entitlements into the view, when every message of the stream was
// handled.
func (v *View) All(ctx context.Context) error { return v.all(ctx, caughtUp) }

// all goes on after what can never be brought, which must not keep the rest out.
func (v *View) all(ctx context.Context, why occasion) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxParallel)
	never := make(chan error, 1)
	bring := func(run func() error) {
		group.Go(func() error {
			err := run()
			if err == nil || fault.KindOf(err) != fault.Permanent {
				return err
			}
			select {
			case never <- err:
			default: // one is enough to see what to do
			}
			return nil
		})
	}
	for key, err := range v.cfg.Store.RecordKeys(ctx) {
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		bring(func() error { return v.sync(ctx, key, why) })
	}
	for key, err := range v.cfg.Store.EntitlementKeys(ctx) {
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		bring(func() error { return v.syncEntitlements(ctx, key) })
	}
	err := group.Wait()
	close(never)
	return cmp.Or(err, <-never)
}

// atOnce calls run for all of a list, for several at a time.
func atOnce[T any](list []T, run func(T) error) error {
	if len(list) == 1 {
		return run(list[0])
	}
	var group errgroup.Group
	group.SetLimit(maxParallel)
	for _, one := range list {
		group.Go(func() error { return run(one) })
	}
	return group.Wait()
}

// occasion is why a record is brought into the view.
type occasion int

const (
	followed occasion = iota // a message may have changed it
	filled                   // it may be older than the bucket
	caughtUp                 // the database has everything that the stream has
)

// sync brings a record into the view.
func (v *View) sync(ctx context.Context, key string, why occasion) error {
	if why == followed {
		return v.share(ctx, key, nil)
	}
	return v.bounded(ctx, func(ctx context.Context) error { return v.follow(ctx, key, why, nil) })
}

// share brings a record into the view, with what was just written into it, or nil. Callers
// that come while the record is worked on share what follows.
func (v *View) share(ctx context.Context, key string, written *store.State) error {
	return v.flights.do(ctx, key, written, func(written *store.State) error {
		return v.bounded(ctx, func(ctx context.Context) error { return v.follow(ctx, key, followed, written) })
	})
}

// syncEntitlements brings the entitlements of a customer into the view.
func (v *View) syncEntitlements(ctx context.Context, key string) error {
	return v.flights.do(ctx, "entitlements:"+key, nil, func(*store.State) error {
		return v.bounded(ctx, func(ctx context.Context) error { return v.followEntitlements(ctx, key) })
	})
}

// bounded runs a function when a slot is free, within a time. A panic is an error: some
// run in goroutines of their own, where it would end the process.
func (v *View) bounded(ctx context.Context, run func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		return busy(ctx.Err())
	}
	defer func() {
		if r := recover(); r != nil { // not the value: it may contain part of the payload
			err = fault.New(fault.Transient, fault.Panicked, fmt.Errorf("the state view panicked with a %T", r))
		}
	}()
	return run(ctx)
}

// follow writes the state entry of a record, and then the access entries of all to whom it
// belongs or has belonged.
func (v *View) follow(ctx context.Context, key string, why occasion, written *store.State) error {
	state, found, err := v.state(ctx, key, written)
	if err != nil || !found || state.Subscription.ID == "" || state.Revision == 0 { // damaged: verify corrects it
		return err
	}
	state.Key = key
	held, err := v.putState(ctx, state, why)
	if err != nil || held.done {
		return err
	}
	for _, owner := range held.owners {
		if _, err := v.updateAccess(ctx, owner, brought{record: key}); err != nil {
			return err
		}
	}
	for _, former := range held.former {
		if _, err := v.updateAccess(ctx, owner{key: former}, brought{record: key}); err != nil {
			return err
		}
	}
	held.done = true
	v.states.put(key, held)
	return nil
}

// state returns what was written into a record. If that is not known, it reads the record.
func (v *View) state(ctx context.Context, key string, written *store.State) (store.State, bool, error) {
	if written != nil {
		return *written, true, nil
	}
	return v.cfg.Store.State(ctx, key)
}

func busy(err error) error { return fault.New(fault.Transient, fault.BucketFailed, err) }

var errCollisions = errors.New("other writers were first too often")
