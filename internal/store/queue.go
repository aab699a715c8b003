package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/billbus/billbus/internal/fault"
)

const (
	// commitTimeout bounds one batch. A single entry needs up to a dozen commands, so it
	// is committed even if each of them takes some seconds, or waits for an election.
	commitTimeout = time.Minute
	// targetTime is what a batch should take. It is far below the timeout, and long
	// enough for a few slow commands.
	targetTime = 10 * time.Second
	// A queue begins with small batches, because it does not know how fast the database
	// is. No batch is larger than largestBatch, which bounds every query.
	firstBatch   = 16
	largestBatch = 1000
)

// Queue collects the entries that callers bring one by one into batches, and commits them
// in lanes: each has a goroutine, and writes one batch after the other. [NewQueue] starts
// them, and [Queue.Close] ends them.
type Queue struct {
	committer *Committer
	lanes     []lane
	isSpread  func() bool
	seed      maphash.Seed

	jobs    chan func()
	closing chan struct{}
	done    sync.WaitGroup
	once    sync.Once
	work    context.Context // of every commit; done after Abort
	abort   context.CancelFunc
}

// lane takes the entries of some subscriptions. Two batches that are written at the same
// time have none in common, and so do not collide.
type lane struct {
	incoming chan request
	size     batchSize
}

// Spread says in how many lanes a queue writes. While Allowed returns false, it is one: so
// it is with a database that allows one writer at a time.
type Spread struct {
	Lanes   int
	Allowed func() bool
}

type request struct {
	entry Entry
	done  chan Result
}

// NewQueue starts a queue with one lane. maxBatch bounds the entries of one commit. With
// half of the messages in flight, one batch gathers while the other is written.
func NewQueue(committer *Committer, maxBatch int) *Queue {
	return NewSpreadQueue(committer, maxBatch, Spread{Lanes: 1})
}

// NewSpreadQueue starts a queue that writes several batches at a time: while the answers to
// one are on their way, the database works on another.
func NewSpreadQueue(committer *Committer, maxBatch int, spread Spread) *Queue {
	q := &Queue{
		committer: committer, lanes: make([]lane, spread.Lanes), isSpread: spread.Allowed, seed: maphash.MakeSeed(),
		jobs: make(chan func()), closing: make(chan struct{}),
	}
	q.work, q.abort = context.WithCancel(context.Background())
	for i := range q.lanes {
		q.lanes[i] = lane{make(chan request), newBatchSize(maxBatch)}
		q.done.Go(func() { q.run(&q.lanes[i]) })
	}
	return q
}

// laneOf returns the lane of an entry, by its subscription or else by its event.
func (q *Queue) laneOf(e Entry) *lane {
	if len(q.lanes) == 1 || !q.isSpread() {
		return &q.lanes[0]
	}
	key := cmp.Or(e.SubscriptionKey(), e.Key())
	return &q.lanes[maphash.String(q.seed, key)%uint64(len(q.lanes))]
}

// Commit writes the audit document of an entry, then the record of its
// subscription, and returns when both are durable. Its errors are marked by package
// fault: a permanent one concerns this entry only. If ctx is done before it is the turn of the
// entry, nothing is written of it. Then it always gets an answer: no batch takes longer than
// its timeout.
func (q *Queue) Commit(ctx context.Context, entry Entry) (Effect, error) {
	r := request{entry: entry, done: make(chan Result, 1)}
	select {
	case q.laneOf(entry).incoming <- r:
	case <-q.closing:
		return "", fault.New(fault.Transient, fault.Closing, errors.New("store is closing"))
	case <-ctx.Done():
		return "", fault.New(fault.Transient, fault.DatabaseBusy, ctx.Err())
	}
	res := <-r.done
	return res.Effect, res.Err
}

// Sweep brings the names in records up to the catalog, page after page, as far as it is
// not the turn of another holder. It returns how many records it wrote. Each page is
// written between two batches of a lane: the embedded database allows one writer at a time, and
// messages do not wait for a long sweep.
func (q *Queue) Sweep(ctx context.Context, holder string, follow Follow) (written int, err error) {
	for {
		swept, err := q.sweepPage(ctx, holder, follow)
		written += swept.Written
		if err != nil || !swept.More {
			return written, err
		}
	}
}

func (q *Queue) sweepPage(ctx context.Context, holder string, follow Follow) (swept Swept, err error) {
	done := make(chan struct{})
	job := func() {
		defer close(done)
		defer func() {
			if r := recover(); r != nil {
				err = fault.New(fault.Transient, fault.Panicked, fmt.Errorf("sweeping panicked with a %T", r))
			}
		}()
		ctx, cancel := context.WithTimeout(q.work, commitTimeout)
		defer cancel()
		swept, err = q.committer.SweepPage(ctx, holder, follow)
	}
	select {
	case q.jobs <- job:
		<-done
		return swept, err
	case <-q.closing:
		return Swept{}, fault.New(fault.Transient, fault.Closing, errors.New("store is closing"))
	case <-ctx.Done():
		return Swept{}, fault.New(fault.Transient, fault.DatabaseBusy, ctx.Err())
	}
}

// Abort makes the present commit fail and accepts no more. It ends a shutdown that
// has waited long enough for a database that hangs.
func (q *Queue) Abort() {
	q.abort()
	q.once.Do(func() { close(q.closing) })
}

// Close commits what was accepted, and accepts no more.
func (q *Queue) Close() {
	q.once.Do(func() { close(q.closing) })
	q.done.Wait()
	q.abort()
}

// run commits one batch after the other. Each holds what was brought while the
// previous one was written, up to a size that follows from how long those took.
func (q *Queue) run(l *lane) {
	for {
		select {
		case r := <-l.incoming:
			q.commit(l, l.gather(r))
		case job := <-q.jobs:
			job()
		case <-q.closing:
			return
		}
	}
}

func (l *lane) gather(first request) []request {
	gathered := []request{first}
	for len(gathered) < l.size.limit {
		select {
		case r := <-l.incoming:
			gathered = append(gathered, r)
		default:
			return gathered
		}
	}
	return gathered
}

func (q *Queue) commit(l *lane, gathered []request) {
	entries := make([]Entry, len(gathered))
	for i, r := range gathered {
		entries[i] = r.entry
	}
	for i, res := range q.isolate(l, entries) {
		gathered[i].done <- res
	}
}

// isolate commits entries together. If that panics, it commits each half on its own,
// until the entry at fault is alone: one message must not keep others from being stored.
func (q *Queue) isolate(l *lane, entries []Entry) []Result {
	results, panicked := q.try(l, entries)
	switch half := len(entries) / 2; {
	case panicked == nil:
		return results
	case half == 0:
		return []Result{{Err: panicked}}
	default:
		return append(q.isolate(l, entries[:half]), q.isolate(l, entries[half:])...)
	}
}

// try commits entries as one batch. What was written of them counts, even if the time
// is over before the rest.
func (q *Queue) try(l *lane, entries []Entry) (results []Result, panicked error) {
	ctx, cancel := context.WithTimeout(q.work, commitTimeout)
	defer cancel()
	defer func() {
		if r := recover(); r != nil {
			// Not the value: it may contain part of the payload.
			panicked = fault.New(fault.Transient, fault.Panicked, fmt.Errorf("committing panicked with a %T", r))
		}
	}()
	start := time.Now()
	results = q.committer.Commit(ctx, entries)
	failed := ctx.Err() != nil || !slices.ContainsFunc(results, Result.settled)
	l.size.follow(len(entries), time.Since(start), failed)
	return results, nil
}

// settled reports whether an entry need not be delivered again.
func (r Result) settled() bool { return r.Err == nil || fault.KindOf(r.Err) == fault.Permanent }

// batchSize is how many entries the next batch may have.
type batchSize struct{ limit, most int }

func newBatchSize(most int) batchSize {
	most = max(min(most, largestBatch), 1)
	return batchSize{min(firstBatch, most), most}
}

// follow sets the size by what a batch of n entries took. After one that failed, the
// next is at most half as large, so the same entries do not fail again for the same
// reason for ever.
func (s *batchSize) follow(n int, took time.Duration, failed bool) {
	switch {
	case failed:
		s.limit = max(n/2, 1)
	case took > targetTime:
		s.limit = max(int(int64(n)*int64(targetTime)/int64(took)), n/2, 1)
	case n == s.limit && took < targetTime/2:
		s.limit = min(2*n, s.most)
	}
}
