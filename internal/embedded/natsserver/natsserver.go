// Package natsserver runs a NATS server with JetStream inside the process, for
// standalone and for tests. Production runs on a NATS cluster.
package natsserver

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	readyTimeout = 10 * time.Second
	// maxPayload leaves room for the largest webhook and its normalized form.
	maxPayload = 4 << 20
)

// Config says where the server listens and keeps its data.
type Config struct {
	Addr string // host:port; port 0 picks a free one
	Dir  string // JetStream's folder
	// SyncAlways makes every acknowledged message survive a power failure. It costs
	// most of the throughput.
	SyncAlways bool
	// Password is the password of user "billbus". Without it and Token, anyone may connect.
	Password string
	Token    string
	// MaxStore limits the bytes of all streams together, and MaxPayload those of a
	// message. 0 means the disk's free space, and 4 MiB.
	MaxStore   int64
	MaxPayload int32
	// Node makes the server one of a cluster.
	Node Node
}

// Node is a server of a cluster.
type Node struct {
	Name   string
	Port   int    // to which the others connect
	Routes string // the URLs of all of them, such as "nats://127.0.0.1:6222,nats://127.0.0.1:6223"
}

// Server is a running server.
type Server struct {
	srv *server.Server
}

// Start runs a server and returns when it accepts connections.
func Start(cfg Config) (*Server, error) {
	opts, err := cfg.options()
	if err != nil {
		return nil, err
	}
	srv, err := server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("configuring embedded NATS server: %w", err)
	}
	srv.Start()
	if !srv.ReadyForConnections(readyTimeout) {
		srv.Shutdown()
		return nil, errors.New("embedded NATS server did not become ready: is its port free, and its data folder writable?")
	}
	return &Server{srv: srv}, nil
}

func (cfg Config) options() (*server.Options, error) {
	host, portText, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("address of embedded NATS server: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("address of embedded NATS server: %w", err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	opts := &server.Options{
		ServerName: "billbus-embedded",
		Host:       host, Port: port,
		JetStream: true, StoreDir: cfg.Dir, SyncAlways: cfg.SyncAlways,
		JetStreamMaxStore: cfg.MaxStore, MaxPayload: cmp.Or(cfg.MaxPayload, maxPayload),
		NoLog: true, NoSigs: true,
	}
	if n := cfg.Node; n.Name != "" {
		opts.ServerName, opts.Routes = n.Name, server.RoutesFromStr(n.Routes)
		opts.Cluster = server.ClusterOpts{Name: "billbus", Host: host, Port: n.Port}
	}
	opts.Authorization = cfg.Token
	if cfg.Password != "" {
		opts.Username, opts.Password = "billbus", cfg.Password
	}
	return opts, nil
}

// URL returns the address for clients.
func (s *Server) URL() string { return s.srv.ClientURL() }

// Close stops the server and waits until its data is on disk.
func (s *Server) Close() {
	s.srv.Shutdown()
	s.srv.WaitForShutdown()
}
