package ops

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"

	"golang.org/x/sync/semaphore"
)

const (
	// longHeader is the size of a header that is not read for everyone at the same time. Nobody needs
	// one: it is a hundred signatures.
	longHeader = 16 << 10
	// maxLongHeaders is how many connections may have such a header.
	maxLongHeaders = 64
)

var errLongHeaders = errors.New("too many long headers at once")

// Limit lets ln have at most n connections at the same time. One more takes the place of the oldest
// stranger, so those who open many connections and send little keep nobody out. If [Trust] was called
// for all, it waits until one is closed. A connection is closed that sends a long header while many
// others do.
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
	return context.WithValue(ctx, connKey{}, conn)
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
		if errors.Is(err, syscall.EMFILE) { // the limit of the system is lower
			l.strangers.dismiss()
		}
		return nil, err
	}
	if !l.open.TryAcquire(1) {
		l.strangers.dismiss()
		if l.open.Acquire(l.stopped, 1) != nil {
			return nil, errors.Join(net.ErrClosed, conn.Close())
		}
	}
	c := &limitedConn{Conn: conn, long: l.long, place: &l.strangers}
	c.release = sync.OnceFunc(func() { l.open.Release(1) })
	l.strangers.join(c)
	return c, nil
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

// dismiss disconnects the first. Its place is free when the server has noticed, and has freed what it
// keeps for the connection.
func (q *queue) dismiss() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if first := q.conns.Front(); first != nil {
		_ = q.conns.Remove(first).(*limitedConn).Conn.Close()
	}
}

// limitedConn is a connection that has one of a limited number of places, and counts the bytes of
// headers.
type limitedConn struct {
	net.Conn
	long    *semaphore.Weighted
	place   *queue
	element *list.Element
	release func()

	mu     sync.Mutex
	header int  // bytes of the header that is being read
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
	if c.header += n; c.header > longHeader && !c.isLong {
		if !c.long.TryAcquire(1) {
			return 0, &net.OpError{Op: "read", Net: "tcp", Err: errLongHeaders} // the server logs no such error
		}
		c.isLong = true
	}
	return n, err
}

// note is called when the state changes. A connection becomes active when a header has been read.
func (c *limitedConn) note(state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.inBody = state == http.StateActive; c.inBody {
		return
	}
	if c.header = 0; c.isLong {
		c.long.Release(1)
		c.isLong = false
	}
}
