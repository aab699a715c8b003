package handlers

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/billbus/billbus/internal/fault"
)

const (
	// bodyTimeout bounds how long a sender may take to send the body.
	bodyTimeout = 10 * time.Second
	// turnTimeout is how long a webhook waits while others use up the memory or are
	// being published. It is short, because the time for publishing comes on top.
	turnTimeout = 300 * time.Millisecond
	// smallBody is the size up to which a body needs no memory of the budget while it
	// is read. Most events are smaller.
	smallBody = 16 << 10
	// mediumBody is the size up to which a body does not compete with larger ones.
	// Stripe's events are hardly ever larger.
	mediumBody = 256 << 10
	// expansion is how many times the size of its body a webhook needs until it is
	// published: for the message, its encoded form, and what it takes to make them.
	expansion = 16
)

var errMemory = fault.New(fault.Transient, fault.MemoryUsedUp, errors.New("other webhooks use up WEBHOOK_BODY_BUDGET"))

// memory is the budget of all webhooks in progress, in bytes.
//
// Anyone can send bodies, and they have to be read before it is known who signed them.
// So bodies that are being read and webhooks that are verified have parts of their own,
// and each of them has one for what is large, which does not hold up the rest.
type memory struct{ reading, readingLarge, verified, verifiedLarge turns }

func newMemory(budget int64) memory {
	part := budget / 8
	return memory{newTurns(part), newTurns(2 * part), newTurns(3 * part), newTurns(2 * part)}
}

// verify returns the memory that a verified webhook takes, or false if there is none.
func (m memory) verify(size int) (taken share, ok bool) {
	taken = share{turns: m.verifiedLarge}
	if size <= smallBody {
		taken = share{turns: m.verified}
	}
	ok = taken.grow(int64(size) * expansion)
	return taken, ok
}

// read returns the body of a request, and the memory that it takes.
//
// The memory grows with what has arrived: a sender that announces much and sends
// little keeps nobody waiting.
func (m memory) read(w http.ResponseWriter, r *http.Request, limit int64) (body []byte, taken share, err error) {
	// The response writers of tests have no deadline.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	source := http.MaxBytesReader(w, r.Body, limit)
	size := r.ContentLength
	if size < 0 {
		size = limit + 1 // one byte more shows that a body is too large
	}
	taken = share{turns: m.readingLarge}
	if size <= mediumBody {
		taken = share{turns: m.reading}
	}
	body = make([]byte, 0, min(size, smallBody))
	for {
		var ended bool
		body, ended, err = fill(source, body)
		if ended || err != nil || int64(len(body)) >= size {
			return body, taken, err
		}
		next := min(size, 2*int64(cap(body)))
		if !taken.grow(next) {
			return nil, taken, errMemory
		}
		body = append(make([]byte, 0, next), body...)
	}
}

// fill reads until the buffer is full or the body ends, and reports whether it ended.
func fill(body io.Reader, buf []byte) (_ []byte, ended bool, err error) {
	for len(buf) < cap(buf) {
		n, err := body.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, true, nil
		}
		if err != nil {
			return nil, false, err
		}
	}
	return buf, false, nil
}

// turns is what webhooks in progress share. Those that do not get any wait.
type turns struct {
	size int64
	free *semaphore.Weighted
}

func newTurns(size int64) turns { return turns{size, semaphore.NewWeighted(size)} }

// share is what one webhook has.
type share struct {
	turns
	has int64
}

// grow waits until the webhook has n in all, but not for long. It reports whether it
// does. One that needs more than there is gets everything.
func (s *share) grow(n int64) bool {
	more := min(n, s.size) - s.has
	if more <= 0 {
		return true
	}
	if !s.free.TryAcquire(more) {
		ctx, cancel := context.WithTimeout(context.Background(), turnTimeout)
		defer cancel()
		if s.free.Acquire(ctx, more) != nil {
			return false
		}
	}
	s.has += more
	return true
}

func (s *share) giveBack() { s.free.Release(s.has) }
