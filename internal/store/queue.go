package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/billbus/billbus/internal/fault"
)

const commitTimeout = 20 * time.Second

// Queue makes batches of the entries that callers bring one by one, and commits
// them from one goroutine, which [NewQueue] starts and [Queue.Close] ends.
type Queue struct {
	committer *Committer
	maxBatch  int

	incoming chan request
	closing  chan struct{}
	done     chan struct{}
	once     sync.Once
	work     context.Context // done: give up the commit under way
	abort    context.CancelFunc
}

type request struct {
	entry Entry
	done  chan Result
}

// NewQueue starts a queue. maxBatch bounds the entries of one commit: half of
// what is in flight lets one batch gather while the other is written.
func NewQueue(committer *Committer, maxBatch int) *Queue {
	q := &Queue{
		committer: committer, maxBatch: maxBatch,
		incoming: make(chan request), closing: make(chan struct{}), done: make(chan struct{}),
	}
	q.work, q.abort = context.WithCancel(context.Background())
	go q.run()
	return q
}

// Commit writes the entry's audit document and then the state of its
// subscription, and returns when both are durable. Errors are marked with what
// they mean: permanent ones concern this entry alone.
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
		// The outcome is unknown; the next delivery finds out.
		return "", fault.New(fault.Transient, fault.DatabaseTimeout, ctx.Err())
	}
}

// Abort gives up: the commit under way fails, and nothing more is accepted. It
// is for a shutdown that has waited long enough for a database that hangs.
func (q *Queue) Abort() {
	q.abort()
	q.once.Do(func() { close(q.closing) })
}

// Close writes what was accepted.
func (q *Queue) Close() {
	q.once.Do(func() { close(q.closing) })
	<-q.done
	q.abort()
}

// run commits one batch after the other: whatever has gathered while the
// previous one was written.
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
			continue
		default:
		}
		break
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
