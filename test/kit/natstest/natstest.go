// Package natstest runs a NATS server inside a test. It is apart from package kit,
// because it links the server. Only tests import it.
package natstest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/billbus/billbus/events"
	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/test/kit"
)

// Start starts a server on a free port. It stops at the end of the test.
func Start(t testing.TB) *natsserver.Server {
	t.Helper()
	return StartAt(t, "127.0.0.1:0", t.TempDir())
}

// StartAt starts a server on addr with its data in dir, to replace one that was
// closed.
func StartAt(t testing.TB, addr, dir string) *natsserver.Server {
	t.Helper()
	return StartWith(t, natsserver.Config{Addr: addr, Dir: dir})
}

// StartWith starts a server with the given configuration.
func StartWith(t testing.TB, cfg natsserver.Config) *natsserver.Server {
	t.Helper()
	srv, err := natsserver.Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	return srv
}

// Serve starts a server with options of its own.
func Serve(t testing.TB, opts *server.Options) *server.Server {
	t.Helper()
	opts.NoLog, opts.NoSigs = true, true
	srv, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS does not start")
	}
	return srv
}

// StartCluster starts n servers of a cluster, and returns the URL for clients.
func StartCluster(t testing.TB, n int) (url string) {
	t.Helper()
	var urls, routes []string
	for range n {
		routes = append(routes, "nats://"+kit.FreeAddr(t))
	}
	for i, route := range routes {
		port, err := strconv.Atoi(route[strings.LastIndex(route, ":")+1:])
		if err != nil {
			t.Fatal(err)
		}
		node := natsserver.Node{Name: fmt.Sprint("node", i), Port: port, Routes: strings.Join(routes, ",")}
		urls = append(urls, StartWith(t, natsserver.Config{Addr: "127.0.0.1:0", Dir: t.TempDir(), Node: node}).URL())
	}
	return strings.Join(urls, ",")
}

// JetStream connects to the server at url. The connection survives a restart of the
// server, and closes at the end of the test.
func JetStream(t testing.TB, url string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// Stream returns the current information about a stream.
func Stream(t testing.TB, js jetstream.JetStream, name string) jetstream.Stream {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// Count returns the number of messages in a stream, without those about changes of access.
func Count(t testing.TB, js jetstream.JetStream, stream string) uint64 {
	t.Helper()
	info, err := Stream(t, js, stream).Info(t.Context(), jetstream.WithSubjectFilter(events.SubjectAccess))
	if err != nil {
		t.Fatal(err)
	}
	count := info.State.Msgs
	for _, n := range info.State.Subjects {
		count -= n
	}
	return count
}

// Message returns one message of a stream.
func Message(t testing.TB, js jetstream.JetStream, stream string, sequence uint64) *jetstream.RawStreamMsg {
	t.Helper()
	msg, err := Stream(t, js, stream).GetMsg(t.Context(), sequence)
	if err != nil {
		t.Fatal(err)
	}
	return msg
}

// Unsettled returns how many messages of a stream, among those on the subjects that the
// subscriber reads, a durable consumer has not acknowledged yet. It also goes by the last
// message of the stream, because a consumer learns about it a moment after its publisher.
func Unsettled(t testing.TB, js jetstream.JetStream, stream, durable string) (uint64, error) {
	t.Helper()
	c, err := js.Consumer(t.Context(), stream, durable)
	if err != nil {
		return 0, err
	}
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		return 0, err
	}
	info := c.CachedInfo()
	for _, subject := range events.FactSubjects() {
		last, err := s.GetLastMsgForSubject(t.Context(), subject)
		if err == nil && last.Sequence > info.Delivered.Stream {
			return max(info.NumPending, 1), nil
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return 0, err
		}
	}
	return info.NumPending + uint64(info.NumAckPending), nil
}
