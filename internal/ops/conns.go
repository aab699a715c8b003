package ops

import (
	"bytes"
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// longHeader is the size of a header that is not read for everyone at the same time. Nobody needs
	// one: it is a hundred signatures.
	longHeader = 16 << 10
	// maxLongHeaders is how many connections may have such a header.
	maxLongHeaders = 64
	// maxLines is how many lines a header may have. Reading thousands takes longer than everything else
	// that is done for a stranger.
	maxLines = 1000
	// firstChance is how long a new connection keeps its place in any case. A sender whose request is
	// on its way with the connection is not too slow for that.
	firstChance = 250 * time.Millisecond
	// nextDismissal is how long the server may take to notice, until another connection is dismissed.
	nextDismissal = 10 * time.Millisecond
)

// The server logs no such error.
var errHeader = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("too many lines, or too many long headers at once")}

// Limit lets ln have at most n connections at the same time. One more takes the place of the oldest
// stranger, once that is 0.25 s old, so those who open many connections and send little keep nobody
// out. If [Trust] was called for all, it waits until one is closed. A connection is closed that sends a
// long header while many others do, or one of thousands of lines.
func Limit(ln net.Listener, n int) net.Listener {
	ctx, stop := context.WithCancel(context.Background())
	return &limited{Listener: ln, stop: stop, stopped: ctx, open: semaphore.NewWeighted(int64(n)), long: semaphore.NewWeighted(maxLongHeaders)}
}

// Trust makes the connection of a request keep its place until it is closed.
func Trust(ctx context.Context) {
	if c, ok := ctx.Value(connKey{}).(*limitedConn); ok {
		c.place.leave(c)
	}
}

type connKey struct{}

// withConn is for [http.Server.ConnContext].
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, belowTLS(conn))
}

func belowTLS(conn net.Conn) net.Conn {
	if c, ok := conn.(*tls.Conn); ok {
		return c.NetConn()
	}
	return conn
}

// abandoning ends a request on a connection that was dismissed. The server would keep its place for half
// a second, to give the client time to read the answer.
func abandoning(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if c, ok := r.Context().Value(connKey{}).(*limitedConn); ok && c.dismissed.Load() {
			panic(http.ErrAbortHandler)
		}
	})
}

type limited struct {
	net.Listener
	stop       func()
	stopped    context.Context //nolint:containedctx // ends Accept
	open, long *semaphore.Weighted
	strangers  queue
}

func (l *limited) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if !l.makeRoom() {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	c := &limitedConn{Conn: conn, long: l.long, place: &l.strangers, since: time.Now()}
	c.release = sync.OnceFunc(func() { l.open.Release(1) })
	l.strangers.join(c)
	return c, nil
}

// makeRoom takes a place. It reports false if the listener was closed.
func (l *limited) makeRoom() bool {
	for !l.open.TryAcquire(1) {
		ctx, cancel := context.WithTimeout(l.stopped, l.strangers.dismiss())
		err := l.open.Acquire(ctx, 1)
		cancel()
		if err == nil || l.stopped.Err() != nil {
			return err == nil
		}
	}
	return true
}

func (l *limited) Close() error {
	l.stop()
	return l.Listener.Close()
}

// queue has the connections that may be closed to make room, the oldest first.
type queue struct {
	mu    sync.Mutex
	conns list.List
}

func (q *queue) join(c *limitedConn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	c.element = q.conns.PushBack(c)
}

// leave has no effect on a connection that has left.
func (q *queue) leave(c *limitedConn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.conns.Remove(c.element)
}

// dismiss disconnects the first, if it has had its chance, and returns when to try the next. A place
// is free when the server has noticed, and has freed what it keeps for the connection.
func (q *queue) dismiss() (next time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first := q.conns.Front()
	if first == nil {
		return firstChance
	}
	c := first.Value.(*limitedConn)
	if left := firstChance - time.Since(c.since); left > 0 {
		return left
	}
	q.conns.Remove(first)
	c.dismissed.Store(true)
	_ = c.Conn.Close()
	return nextDismissal
}

// limitedConn is a connection that has one of a limited number of places, and counts the bytes of
// headers.
type limitedConn struct {
	net.Conn
	long    *semaphore.Weighted
	place   *queue
	element *list.Element
	since   time.Time

	dismissed atomic.Bool
	release   func()

	mu     sync.Mutex
	header int  // bytes of the header that is being read, and perhaps the first 4 KiB of a body
	lines  int  // of the same
	isLong bool // holds one of long, until its request is answered
	inBody bool
}

func (c *limitedConn) Close() error {
	c.place.leave(c)
	defer c.release()
	return c.Conn.Close()
}

func (c *limitedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inBody {
		return n, err
	}
	if c.lines += bytes.Count(p[:n], []byte{'\n'}); c.lines > maxLines {
		return c.refuse()
	}
	if c.header += n; c.header > longHeader && !c.isLong {
		if !c.long.TryAcquire(1) {
			return c.refuse()
		}
		c.isLong = true
	}
	return n, err
}

// refuse also closes the connection, because the reader of headers overlooks an error between two lines.
func (c *limitedConn) refuse() (int, error) {
	_ = c.Conn.Close()
	return 0, errHeader
}

// note is called when the state changes. A connection becomes active when a header has been read.
func (c *limitedConn) note(state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inBody = state == http.StateActive; c.inBody {
		return
	}
	if c.header, c.lines = 0, 0; c.isLong {
		c.long.Release(1)
		c.isLong = false
	}
}
