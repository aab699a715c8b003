package natsbus

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
)

// defaultMaxBytes stays below the 64 MiB that a NATS server sends ahead to a client
// (max_pending) before it disconnects the client as a slow consumer.
const defaultMaxBytes = 32 << 20

// budget bounds the bytes of the messages in flight. A pull may bring as many as are
// free. The server ends it at a message that would exceed them: then the next pull
// waits until all bytes are free, and the one after that brings one message of any
// size, alone.
type budget struct {
	max int

	mu    sync.Mutex
	used  int
	stage stage
	freed chan struct{} // signals that used has shrunk
}

// stage says how many bytes must be free for the next pull.
type stage int

const (
	half  stage = iota // a pull for a few bytes would only end at the next message
	whole              // half was too little for the next message
	alone              // all was too little
)

func newBudget(limit int) *budget {
	return &budget{max: limit, freed: make(chan struct{}, 1)}
}

// wait waits until enough bytes are free and returns how many the next pull may bring.
// It returns 0 if there is no limit, for one message. It reports false if ctx is done.
func (b *budget) wait(ctx context.Context) (limit int, ok bool) {
	for {
		if limit, ok := b.free(); ok {
			return limit, ctx.Err() == nil
		}
		select {
		case <-b.freed:
		case <-ctx.Done():
			return 0, false
		}
	}
}

func (b *budget) free() (limit int, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.stage {
	case alone:
		return 0, b.used == 0
	case whole:
		return b.max, b.used == 0
	default:
		return b.max - b.used, b.used <= b.max/2
	}
}

func (b *budget) take(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += n
}

func (b *budget) give(n int) {
	b.mu.Lock()
	b.used -= n
	b.mu.Unlock()
	select {
	case b.freed <- struct{}{}:
	default:
	}
}

// pulled notes how a pull ended: with messages, or, if it is cut off, because the next
// message is larger than what was free.
func (b *budget) pulled(messages int, cutOff bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case messages > 0:
		b.stage = half
	case cutOff && b.stage < alone:
		b.stage++
	}
}

// sizeOf returns the size of a message as the server counts it.
func sizeOf(jm *nats.Msg) int {
	n := len(jm.Subject) + len(jm.Reply) + len(jm.Data)
	for key, values := range jm.Header {
		for _, value := range values {
			n += len(key) + len(value) + len(": \r\n")
		}
	}
	return n
}
