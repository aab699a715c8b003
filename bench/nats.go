package main

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/internal/natsbus"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/natstest"
	"github.com/billbus/billbus/test/kit/servers"
)

const (
	stream   = "BILLBUS"
	consumer = "billbus-subscriber"
)

// natsServer is a NATS server of one measurement.
type natsServer struct {
	*kit.Process
	url string
	js  jetstream.JetStream
}

// nats starts a NATS server in dir. Its streams are those that the bridge creates.
func (b *bench) nats(t *kit.Trial, dir, syncInterval string) *natsServer {
	jetStream := ""
	if syncInterval != "default" {
		jetStream = "sync_interval: " + syncInterval
	}
	nodes, clients := servers.Nodes(t, servers.Cluster{Binaries: b.binaries, Dir: dir, Nodes: 1, JetStream: jetStream})
	s := &natsServer{Process: nodes["node1"], url: servers.URL(clients)}
	s.Start(t)
	kit.Eventually(t, "NATS listens", func() bool { return listens(clients["node1"]) })
	s.js = natstest.JetStream(t, s.url)
	s.provision(t)
	return s
}

func listens(addr string) bool {
	conn, err := net.Dial("tcp", addr) //nolint:noctx // on this machine
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// open connects as the programs do.
func (s *natsServer) open(t *kit.Trial) *natsbus.Bus {
	bus, err := natsbus.Open(natsbus.Auth{URL: s.url}, "bench", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bus.Close)
	if err := bus.WaitConnected(t.Context()); err != nil {
		t.Fatal(err)
	}
	return bus
}

func (s *natsServer) provision(t *kit.Trial) {
	settings := natsbus.StreamSettings{Name: stream, Replicas: 1, MaxBytes: -1, DuplicateWindow: 72 * time.Hour, StateView: true}
	p := s.open(t).NewProvisioner(natsbus.ProvisionCreate, settings, natsbus.Consumer{})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(ctx) }()
	kit.Eventually(t, "the streams exist", func() bool { return p.Check(ctx) == nil })
	stop()
	<-done
}

// stored returns how many messages about events are in the stream.
func (s *natsServer) stored(t *kit.Trial) int {
	return int(natstest.Count(t, s.js, stream)) //nolint:gosec // a small number
}
