// Package servers runs the servers that a test kills, freezes and starts again, each in
// a process of its own. It is apart from package kit, because it links the servers. Only
// tests import it.
package servers

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/billbus/billbus/internal/embedded/docdb"
	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/mongotest"
)

// A server is this same program: with roleVar set, it runs a server until it gets SIGTERM.
const (
	roleVar = "BILLBUS_TEST_ROLE"
	addrVar = "BILLBUS_TEST_ADDR"
	dirVar  = "BILLBUS_TEST_DIR"
)

// PostgreSQL is the variable with the URL of a database, on which [Documents] runs
// instead of on SQLite.
const PostgreSQL = "BILLBUS_TEST_POSTGRESQL"

// What a process of [Process] runs.
const (
	NATS      = "nats"
	Documents = "documents"
	Memory    = "memory" // a server in memory with MongoDB's semantics, see package mongotest
)

// Package is the path of the NATS server that [Nodes] needs, for [kit.RunWithBinaries].
const Package = "github.com/nats-io/nats-server/v2"

// Serve runs a server, if this process was started by [Process]. It reports whether it was.
func Serve() (bool, error) {
	role := os.Getenv(roleVar)
	if role == "" {
		return false, nil
	}
	return true, serve(role, os.Getenv(addrVar), os.Getenv(dirVar))
}

func serve(role, addr, dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch role {
	case NATS:
		srv, err := natsserver.Start(natsserver.Config{Addr: addr, Dir: dir})
		if err != nil {
			return err
		}
		defer srv.Close()
	case Documents:
		srv, err := docdb.Start(docdb.Config{Addr: addr, Dir: dir, PostgreSQL: os.Getenv(PostgreSQL)})
		if err != nil {
			return err
		}
		defer srv.Close()
	case Memory:
		srv, err := mongotest.Listen(addr)
		if err != nil {
			return err
		}
		defer srv.Close()
	}
	<-ctx.Done()
	return nil
}

// Process returns a process that runs this program in a role. Its main must call [Serve]
// first.
func Process(t testing.TB, dir, role, addr string) *kit.Process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &kit.Process{
		Name: role, Command: []string{self}, Log: filepath.Join(dir, role+".log"),
		Env: append(os.Environ(), roleVar+"="+role, addrVar+"="+addr, dirVar+"="+filepath.Join(dir, role)),
	}
}

// Route returns the address at which from reaches to, which listens on addr.
type Route func(from, to, addr string) string

// Cluster is what [Nodes] makes servers from.
type Cluster struct {
	Binaries  string // folder of the built nats-server
	Dir       string // of configuration and logs
	Store     string // of data; Dir by default
	Nodes     int    // more than one are a cluster
	JetStream string // more lines of the configuration of JetStream
	// Route, if set, leads the servers to each other; they connect in no other way, and do
	// not tell clients about each other.
	Route Route
}

// Nodes returns NATS servers, by name, and the address of each for clients.
func Nodes(t testing.TB, c Cluster) (nodes map[string]*kit.Process, clients map[string]string) {
	t.Helper()
	clients, routes := map[string]string{}, map[string]string{}
	for i := range c.Nodes {
		name := fmt.Sprintf("node%d", i+1)
		clients[name], routes[name] = kit.FreeAddr(t), kit.FreeAddr(t)
	}
	nodes = map[string]*kit.Process{}
	for name, addr := range clients {
		text := fmt.Sprintf("server_name: %s\nlisten: %q\nmax_payload: 4MB\njetstream { store_dir: %q\n%s }\n",
			name, addr, filepath.Join(cmp.Or(c.Store, c.Dir), name), c.JetStream)
		if c.Nodes > 1 {
			text += c.peers(name, routes)
		}
		file := filepath.Join(c.Dir, name+".conf")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		nodes[name] = &kit.Process{
			Name: name, Command: []string{filepath.Join(c.Binaries, "nats-server"), "--config", file}, Log: filepath.Join(c.Dir, name+".log"),
		}
	}
	return nodes, clients
}

// peers returns the configuration of the cluster for one server.
func (c Cluster) peers(name string, routes map[string]string) string {
	route, hidden := c.Route, "no_advertise: true, advertise: \"127.0.0.1:1\", " // where nothing listens
	if route == nil {
		route, hidden = func(_, _, addr string) string { return addr }, ""
	}
	var urls []string
	for _, other := range slices.Sorted(maps.Keys(routes)) {
		if other != name {
			urls = append(urls, "nats://"+route(name, other, routes[other]))
		}
	}
	return fmt.Sprintf("cluster { name: billbus, listen: %q, %sroutes: [%s] }\n", routes[name], hidden, strings.Join(urls, ", "))
}

// URL returns the addresses of servers as clients take them.
func URL(clients map[string]string) string {
	var urls []string
	for _, name := range slices.Sorted(maps.Keys(clients)) {
		urls = append(urls, "nats://"+clients[name])
	}
	return strings.Join(urls, ",")
}
