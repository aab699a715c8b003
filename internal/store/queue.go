package store

import (
	"context"
	"errors"
	"fmt"
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

// Queue collects the entries that callers bring one by one into batches. It commits
// them from one goroutine, which [NewQueue] starts and [Queue.Close] ends.
type Queue struct {
	committer *Committer
	size      batchSize // of run's goroutine

	incoming chan request
	jobs     chan func()
	closing  chan struct{}
	done     chan struct{}
	once     sync.Once
	work     context.Context // of every commit; done after Abort
	abort    context.CancelFunc
}

type request struct {
	entry Entry
	done  chan Result
}

// NewQueue starts a queue. maxBatch bounds the entries of one commit. With half of
// the messages in flight, one batch gathers while the other is written.
func NewQueue(committer *Committer, maxBatch int) *Queue {
	q := &Queue{
		committer: committer, size: newBatchSize(maxBatch),
		incoming: make(chan request), jobs: make(chan func()), closing: make(chan struct{}), done: make(chan struct{}),
	}
	q.work, q.abort = context.WithCancel(context.Background())
	go q.run()
	return q
}

// Commit writes the audit document of an entry, then the record of its
// subscription, and returns when both are durable. Its errors are marked by package
// fault: a permanent one concerns this entry only. If ctx is done before it is the turn of the
// entry, nothing is written of it. Then it always gets an answer: no batch takes longer than
// its timeout.
func (q *Queue) Commit(ctx context.Context, entry Entry) (Effect, error) {
	r := request{entry: entry, done: make(chan Result, 1)}
	select {
	case q.incoming <- r:
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
// written between two batches: the embedded database allows one writer at a time, and
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
	<-q.done
	q.abort()
}

// run commits one batch after the other. Each holds what was brought while the
// previous one was written, up to a size that follows from how long those took.
func (q *Queue) run() {
	defer close(q.done)
	for {
		select {
		case r := <-q.incoming:
			q.commit(q.gather(r))
		case job := <-q.jobs:
			job()
		case <-q.closing:
			return
		}
	}
}

func (q *Queue) gather(first request) []request {
	gathered := []request{first}
	for len(gathered) < q.size.limit {
		select {
		case r := <-q.incoming:
			gathered = append(gathered, r)
		default:
			return gathered
		}
	}
	return gathered
}

func (q *Queue) commit(gathered []request) {
	entries := make([]Entry, len(gathered))
	for i, r := range gathered {
		entries[i] = r.entry
	}
	for i, res := range q.isolate(entries) {
		gathered[i].done <- res
	}
}

// isolate commits entries together. If that panics, it commits each half on its own,
// until the entry at fault is alone: one message must not keep others from being stored.
func (q *Queue) isolate(entries []Entry) []Result {
	results, panicked := q.try(entries)
	switch half := len(entries) / 2; {
	case panicked == nil:
		return results
	case half == 0:
		return []Result{{Err: panicked}}
	default:
		return append(q.isolate(entries[:half]), q.isolate(entries[half:])...)
	}
}

// try commits entries as one batch. What was written of them counts, even if the time
// is over before the rest.
func (q *Queue) try(entries []Entry) (results []Result, panicked error) {
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
	q.size.follow(len(entries), time.Since(start), failed)
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
