package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// bench is what the helpers of package kit ask of a test. It ends a scenario, not the
// program.
type bench struct {
	testing.TB // for the methods that no helper calls
	//nolint:containedctx // testing.TB has one, too
	ctx context.Context
	dir string

	mu       sync.Mutex
	cleanups []func()
	failures []string
}

func (b *bench) Helper()                           {}
func (b *bench) Context() context.Context          { return b.ctx }
func (b *bench) Error(args ...any)                 { b.fail(fmt.Sprint(args...)) }
func (b *bench) Errorf(format string, args ...any) { b.fail(fmt.Sprintf(format, args...)) }
func (b *bench) Fatal(args ...any)                 { b.fail(fmt.Sprint(args...)); runtime.Goexit() }

func (b *bench) Fatalf(format string, args ...any) {
	b.fail(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (b *bench) fail(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = append(b.failures, text)
}

func (b *bench) Cleanup(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cleanups = append(b.cleanups, f)
}

func (b *bench) TempDir() string {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		b.Fatal(err)
	}
	return dir
}

// run calls f, which a Fatal may end, and then what was to be cleaned up. It returns what
// failed.
func (b *bench) run(f func()) []string {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
	for _, cleanup := range slices.Backward(b.cleanups) {
		cleanup()
	}
	return b.failures
}
