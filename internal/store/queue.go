package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/billbus/billbus/internal/fault"
)

const commitTimeout = 20 * time.Second

// Queue collects the entries that callers bring one by one into batches. It commits
// them from one goroutine, which [NewQueue] starts and [Queue.Close] ends.
type Queue struct {
	committer *Committer
	maxBatch  int

	incoming chan request
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
		committer: committer, maxBatch: maxBatch,
		incoming: make(chan request), closing: make(chan struct{}), done: make(chan struct{}),
	}
	q.work, q.abort = context.WithCancel(context.Background())
	go q.run()
	return q
}

// Commit writes the audit document of an entry, then the record of its
// subscription, and returns when both are durable. Its errors are marked by package
// fault: a permanent one concerns this entry only. If ctx is done first, the
// outcome is unknown, and the next delivery finds out.
func (q *Queue) Commit(ctx context.Context, entry Entry) (Effect, error) {
	r := request{entry: entry, done: make(chan Result, 1)}
	select {
	case q.incoming <- r:
	case <-q.closing:
		return "", fault.New(fault.Transient, fault.Closing, errors.New("store is closing"))
	case <-ctx.Done():
		return "", fault.New(fault.Transient, fault.DatabaseBusy, ctx.Err())
	}
	select {
	case res := <-r.done:
		return res.Effect, res.Err
	case <-ctx.Done():
		return "", fault.New(fault.Transient, fault.DatabaseTimeout, ctx.Err())
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
// previous one was written, up to maxBatch.
func (q *Queue) run() {
	defer close(q.done)
	for {
		select {
		case r := <-q.incoming:
			q.commit(q.gather(r))
		case <-q.closing:
			return
		}
	}
}

func (q *Queue) gather(first request) []request {
	gathered := []request{first}
	for len(gathered) < q.maxBatch {
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
	ctx, cancel := context.WithTimeout(q.work, commitTimeout)
	defer cancel()
	entries := make([]Entry, len(gathered))
	for i, r := range gathered {
		entries[i] = r.entry
	}
	for i, res := range q.committer.Commit(ctx, entries) {
		gathered[i].done <- res
	}
}
