package ops

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// Listen opens a TCP address. It is separate from Serve, so that a taken port is an error at start.
// The error names the setting to change.
func Listen(setting, addr string) (net.Listener, error) {
	ln, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("the port of %s is taken: stop the program that listens there or set %s to another address: %w", addr, setting, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s (set by %s): %w", addr, setting, err)
	}
	return ln, nil
}

// Serve answers requests until ctx is done. Then it accepts no new requests and waits up to grace for
// those in flight, whose contexts do not end with ctx. It closes the listener.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, grace time.Duration, log *slog.Logger) error {
	srv, busy := newServer(h, log)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving on %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	unfinished := stop(ctx, srv, busy, grace)
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", ln.Addr(), err)
	}
	if unfinished != nil {
		return fmt.Errorf("requests on %s did not finish within %s: %w", ln.Addr(), grace, unfinished)
	}
	return nil
}

func newServer(h http.Handler, log *slog.Logger) (*http.Server, *busyConns) {
	busy := &busyConns{}
	srv := &http.Server{
		Handler: abandoning(h),
		// OPTIONS * would be answered 200.
		DisableGeneralOptionsHandler: true,

		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		// For clients that do not read.
		WriteTimeout: 30 * time.Second,
		// Longer than proxies keep idle connections: a request on one that is just being closed would fail.
		IdleTimeout: 2 * time.Minute,
		// A signature header with a thousand entries has 69 KB. A request that is refused here never
		// reaches the handler, and is neither logged nor counted.
		MaxHeaderBytes: 256 << 10,
		ErrorLog:       slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		ConnState:      busy.note,
		ConnContext:    withConn,
	}
	return srv, busy
}

// stop closes the listener, waits for the requests in flight, and cancels those that do not finish
// within grace. Shutdown alone would also wait five seconds for connections that clients opened and
// have not used yet.
func stop(ctx context.Context, srv *http.Server, busy *busyConns, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	shut := make(chan error, 1)
	go func() { shut <- srv.Shutdown(ctx) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-shut:
			return errors.Join(err, srv.Close())
		case <-tick.C:
		}
		if busy.none() {
			cancel() // Shutdown waits for unused connections only; Close closes them
			if err := <-shut; err != nil && !errors.Is(err, context.Canceled) {
				return errors.Join(err, srv.Close())
			}
			return srv.Close()
		}
	}
}

// busyConns are the connections with a request in flight, from its first byte until its answer has
// been written.
type busyConns struct{ conns sync.Map }

func (b *busyConns) note(conn net.Conn, state http.ConnState) {
	if c, ok := belowTLS(conn).(*limitedConn); ok {
		c.note(state)
	}
	if state == http.StateActive {
		b.conns.Store(conn, nil)
		return
	}
	b.conns.Delete(conn)
}

func (b *busyConns) none() bool {
	for range b.conns.Range {
		return false
	}
	return true
}
