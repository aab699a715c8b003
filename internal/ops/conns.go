package ops

import (
	"errors"
	"net"
	"net/http"
	"sync"

	"golang.org/x/net/netutil"
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

// Limit lets ln have at most n connections at the same time. Others wait until one is closed. A
// connection is closed that sends a long header while many others do.
func Limit(ln net.Listener, n int) net.Listener {
	return &limited{netutil.LimitListener(ln, n), semaphore.NewWeighted(maxLongHeaders)}
}

type limited struct {
	net.Listener
	long *semaphore.Weighted
}

func (l *limited) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &headerConn{Conn: conn, long: l.long}, nil
}

// headerConn is a connection that counts the bytes of headers.
type headerConn struct {
	net.Conn
	long *semaphore.Weighted

	mu     sync.Mutex
	header int  // bytes of the header that is being read
	isLong bool // holds one of long, until its request is answered
	inBody bool
}

func (c *headerConn) Read(p []byte) (int, error) {
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
func (c *headerConn) note(state http.ConnState) {
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
