// Package mongotest is a server in memory that speaks MongoDB's wire protocol, for tests and
// measurements where there is no MongoDB. For the commands, operators and options that Billbus
// uses, it has the documented semantics of a standalone MongoDB, and it refuses all others. It
// keeps nothing on disk, and has no users, transactions or retryable writes; write concerns
// have no meaning for it, and a decimal is not a number.
package mongotest

import (
	"bufio"
	"net"
	"sync"
)

// Server is a running server.
type Server struct {
	listener net.Listener
	data     data
	open     sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// Listen starts a server. Port 0 is one that is free.
func Listen(addr string) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{listener: l, conns: map[net.Conn]bool{}, data: data{collections: map[namespace]*collection{}, cursors: map[int64]*cursor{}}}
	s.open.Go(s.accept)
	return s, nil
}

// URI is where clients connect to.
func (s *Server) URI() string { return "mongodb://" + s.listener.Addr().String() + "/" }

// Close closes all connections, and forgets the data.
func (s *Server) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.open.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.open.Go(func() { s.serve(conn) })
	}
}

// hold keeps a connection for Close, and reports whether the server is still open.
func (s *Server) hold(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[conn] = true
	return !s.closed
}

func (s *Server) release(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// serve answers requests until the client hangs up, or sends what no driver sends.
func (s *Server) serve(conn net.Conn) {
	defer s.release(conn)
	if !s.hold(conn) {
		return
	}
	in := bufio.NewReader(conn)
	for {
		req, err := read(in)
		if err != nil {
			return
		}
		out, err := req.reply(s.data.run(req.command))
		if err != nil {
			return
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}
