package kit

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

const (
	// patience is generous, because a machine may be busy with other tests; a
	// condition that holds costs no more than the time it takes to hold.
	patience = 90 * time.Second
	interval = 5 * time.Millisecond
)

// Eventually waits until ok reports true, for conditions that other goroutines or
// processes bring about. It fails the test after 90 seconds.
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

// Buffer is a buffer that any number of goroutines may use at once.
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
