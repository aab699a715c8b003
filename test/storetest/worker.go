package storetest

import (
	"context"
	"errors"
	"iter"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// Worker commits one batch. It is a coroutine: it runs while [Worker.Resume] is
// called, up to where a hook of its client calls [Rest].
type Worker struct {
	Batch []store.Entry
	// Results are those of the batch, once it has ended.
	Results []store.Result

	rest func(struct{}) bool
	next func() (struct{}, bool)
	stop func()
}

type workerKey struct{}

// Start returns a worker that has done nothing yet.
func Start(committer *store.Committer, batch []store.Entry) *Worker {
	w := &Worker{Batch: batch}
	w.next, w.stop = iter.Pull(func(rest func(struct{}) bool) {
		w.rest = rest
		w.Results = committer.Commit(context.WithValue(context.Background(), workerKey{}, w), batch)
	})
	return w
}

// Resume lets the worker go on, and reports whether it has more to do.
func (w *Worker) Resume() bool {
	_, more := w.next()
	return more
}

// Kill ends the worker where it is. Nothing that it does from now on has an effect.
func (w *Worker) Kill() { w.stop() }

var errDead = fault.New(fault.Transient, "dead", errors.New("the process is dead"))

// Rest is a hook that lets others go first.
func Rest(ctx context.Context, _ Operation) error {
	if w := ctx.Value(workerKey{}).(*Worker); !w.rest(struct{}{}) {
		return errDead
	}
	return nil
}

// Exhaust calls run with every sequence of choices that it can make, where each
// choice is one of n, and returns how many there were.
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
