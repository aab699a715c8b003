// Package servers runs the servers that a test kills, freezes and starts again, each in
// a process of its own. It is apart from package kit, because it links the servers. Only
// tests import it.
package servers

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/billbus/billbus/internal/embedded/docdb"
	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/test/kit"
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

// Nodes returns NATS servers, by name, and the addresses of all. More than one are a
// cluster. The folder of binaries has the built nats-server; jetStream are more lines of
// the configuration of JetStream.
func Nodes(t testing.TB, binaries, dir string, n int, jetStream string) (nodes map[string]*kit.Process, url string) {
	t.Helper()
	var clients, routes []string
	for range n {
		clients = append(clients, "nats://"+kit.FreeAddr(t))
		routes = append(routes, "nats://"+kit.FreeAddr(t))
	}
	nodes = map[string]*kit.Process{}
	for i := range n {
		name := fmt.Sprintf("node%d", i+1)
		file := filepath.Join(dir, name+".conf")
		text := fmt.Sprintf("server_name: %s\nlisten: %q\nmax_payload: 4MB\njetstream { store_dir: %q\n%s }\n",
			name, strings.TrimPrefix(clients[i], "nats://"), filepath.Join(dir, name), jetStream)
		if n > 1 {
			text += fmt.Sprintf("cluster { name: billbus, listen: %q, routes: [%s] }\n", strings.TrimPrefix(routes[i], "nats://"), strings.Join(routes, ", "))
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		nodes[name] = &kit.Process{
			Name: name, Command: []string{filepath.Join(binaries, "nats-server"), "--config", file}, Log: filepath.Join(dir, name+".log"),
		}
	}
	return nodes, strings.Join(clients, ",")
}
