package storetest

import (
	"context"
	"errors"
	"iter"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// Worker commits one batch, or sweeps. It is a coroutine: [Worker.Resume] runs it until a hook of
// its client calls [Rest].
type Worker struct {
	Batch []store.Entry
	// Results are the results of the batch, once the worker has finished.
	Results []store.Result

	rest func(struct{}) bool
	next func() (struct{}, bool)
	stop func()
}

type workerKey struct{}

// Start returns a worker that has not done anything yet.
func Start(committer *store.Committer, batch []store.Entry) *Worker {
	var w *Worker
	w = start(func(ctx context.Context) { w.Results = committer.Commit(ctx, batch) })
	w.Batch = batch
	return w
}

func start(work func(context.Context)) *Worker {
	w := &Worker{}
	w.next, w.stop = iter.Pull(func(rest func(struct{}) bool) {
		w.rest = rest
		work(context.WithValue(context.Background(), workerKey{}, w))
	})
	return w
}

// Resume runs the worker up to its next rest. It reports whether there is more to do.
func (w *Worker) Resume() bool {
	_, more := w.next()
	return more
}

// Kill stops the worker where it is. Nothing that it does afterwards has an effect.
func (w *Worker) Kill() { w.stop() }

var errDead = fault.New(fault.Transient, "dead", errors.New("the process is dead"))

// Rest is a hook that lets other workers run first.
func Rest(ctx context.Context, _ Operation) error {
	if w := ctx.Value(workerKey{}).(*Worker); !w.rest(struct{}{}) {
		return errDead
	}
	return nil
}

// Exhaust calls run once for every sequence of choices that it can make, where a choice
// is a number below n. It returns how many sequences there were.
func Exhaust(run func(choose func(n int) int)) int {
	var taken, of []int
	for runs := 1; ; runs++ {
		made := 0
		run(func(n int) int {
			if made == len(taken) {
				taken, of = append(taken, 0), append(of, n)
			}
			made++
			return taken[made-1]
		})
		for len(taken) > 0 && taken[len(taken)-1]+1 == of[len(of)-1] {
			taken, of = taken[:len(taken)-1], of[:len(of)-1]
		}
		if len(taken) == 0 {
			return runs
		}
		taken[len(taken)-1]++
	}
}
