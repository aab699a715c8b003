package kit

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

const (
	// patience is generous, because the machine may be busy with other tests. It costs
	// nothing: waiting ends as soon as the condition holds.
	patience = 90 * time.Second
	interval = 5 * time.Millisecond
)

// Eventually waits for a condition that other goroutines or processes bring about.
// It fails the test after 90 seconds.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for: %s", patience, what)
		}
		time.Sleep(interval)
	}
}

// Drained waits until left reports 0. It fails the test if the number has not
// fallen for 90 seconds. An error counts as no progress.
func Drained(t testing.TB, what string, left func() (uint64, error)) {
	t.Helper()
	var before uint64
	for started := false; ; started = true {
		var now uint64
		Eventually(t, what, func() bool {
			n, err := left()
			now = n
			return err == nil && (n == 0 || !started || n < before)
		})
		if now == 0 {
			return
		}
		before = now
	}
}

// Buffer is a buffer that goroutines may use at once.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
