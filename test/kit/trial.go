package kit

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
)

// Trial is what the helpers of this package ask of a test, for programs that are no tests.
// A failure ends the trial, not the program.
type Trial struct {
	testing.TB // for the methods that no helper calls
	Dir        string

	//nolint:containedctx // testing.TB has one, too
	ctx      context.Context
	mu       sync.Mutex
	cleanups []func()
	failures []string
}

// NewTrial returns a trial with a folder for its files.
func NewTrial(ctx context.Context, dir string) *Trial { return &Trial{ctx: ctx, Dir: dir} }

// Helper implements [testing.TB].
func (t *Trial) Helper() {}

// Context implements [testing.TB].
func (t *Trial) Context() context.Context { return t.ctx }

// Error implements [testing.TB].
func (t *Trial) Error(args ...any) { t.fail(fmt.Sprint(args...)) }

// Errorf implements [testing.TB].
func (t *Trial) Errorf(format string, args ...any) { t.fail(fmt.Sprintf(format, args...)) }

// Fatal implements [testing.TB].
func (t *Trial) Fatal(args ...any) { t.fail(fmt.Sprint(args...)); runtime.Goexit() }

// Fatalf implements [testing.TB].
func (t *Trial) Fatalf(format string, args ...any) {
	t.fail(fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (t *Trial) fail(text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, text)
}

// Cleanup implements [testing.TB].
func (t *Trial) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanups = append(t.cleanups, f)
}

// TempDir implements [testing.TB].
func (t *Trial) TempDir() string {
	dir, err := os.MkdirTemp(t.Dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// Run calls f, which a Fatal may end, and then what was to be cleaned up. It returns what
// failed.
func (t *Trial) Run(f func()) []string {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
	for _, cleanup := range slices.Backward(t.cleanups) {
		cleanup()
	}
	return t.failures
}
