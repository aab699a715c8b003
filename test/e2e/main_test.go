package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/billbus/billbus/internal/embedded/docdb"
	"github.com/billbus/billbus/internal/embedded/natsserver"
	"github.com/billbus/billbus/test/kit"
)

// The test binary is also the servers that the tests kill: with roleVar set, a process
// runs that server until it gets SIGTERM.
const (
	roleVar = "BILLBUS_E2E_ROLE"
	addrVar = "BILLBUS_E2E_ADDR"
	dirVar  = "BILLBUS_E2E_DIR"
)

var binaries string // folder of the built programs

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		if err := serve(role, os.Getenv(addrVar), os.Getenv(dirVar)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	// These tests spend most of their time waiting for other processes.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	const cmd = "github.com/billbus/billbus/cmd/"
	os.Exit(kit.RunWithBinaries(&binaries, m.Run, cmd+"bridge", cmd+"subscriber", cmd+"stripesim", "github.com/nats-io/nats-server/v2"))
}

func serve(role, addr, dir string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch role {
	case "nats":
		srv, err := natsserver.Start(natsserver.Config{Addr: addr, Dir: dir})
		if err != nil {
			return err
		}
		defer srv.Close()
	case "documents":
		srv, err := docdb.Start(docdb.Config{Addr: addr, Dir: dir})
		if err != nil {
			return err
		}
		defer srv.Close()
	}
	<-ctx.Done()
	return nil
}
