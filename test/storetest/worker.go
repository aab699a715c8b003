package storetest

import (
	"context"
	"errors"
	"slices"

	"github.com/billbus/billbus/internal/fault"
	"github.com/billbus/billbus/internal/store"
)

// Worker commits one batch, or sweeps. [Worker.Resume] runs it until a hook of its client calls
// [Rest]. So one of several workers runs at a time.
//
// It has a goroutine and not a coroutine of package iter: the race detector never frees
// its memory for a coroutine that has ended (Go 1.26).
type Worker struct {
	Batch []store.Entry
	// Results are the results of the batch, once the worker has finished.
	Results []store.Result

	resume        chan struct{} // wakes the worker
	more          chan bool     // says that it rests, or has finished
	finished, die bool
}

type workerKey struct{}

// Start returns a worker that has not done anything yet.
func Start(committer *store.Committer, batch []store.Entry) *Worker {
	var w *Worker
	w = start(func(ctx context.Context) { w.Results = committer.Commit(ctx, withFacts(batch)) })
	w.Batch = batch
	return w
}

// withFacts returns entries with the facts of their messages, as a subscriber makes them.
func withFacts(batch []store.Entry) []store.Entry {
	batch = slices.Clone(batch)
	for i := range batch {
		batch[i].Fact = store.FactOf(batch[i].Message)
	}
	return batch
}

func start(work func(context.Context)) *Worker {
	w := &Worker{resume: make(chan struct{}), more: make(chan bool)}
	go func() {
		<-w.resume
		if !w.die {
			work(context.WithValue(context.Background(), workerKey{}, w))
		}
		w.more <- false
	}()
	return w
}

// Resume runs the worker up to its next rest. It reports whether there is more to do.
func (w *Worker) Resume() bool {
	if w.finished {
		return false
	}
	w.resume <- struct{}{}
	more := <-w.more
	w.finished = !more
	return more
}

// Kill stops the worker where it is. Nothing that it does afterwards has an effect.
func (w *Worker) Kill() {
	w.die = true
	w.Resume()
}

func (w *Worker) rest() (alive bool) {
	if !w.die {
		w.more <- true
		<-w.resume
	}
	return !w.die
}

var errDead = fault.New(fault.Transient, "dead", errors.New("the process is dead"))

// Rest is a hook that lets other workers run first.
func Rest(ctx context.Context, _ Operation) error {
	if w := ctx.Value(workerKey{}).(*Worker); !w.rest() {
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
