package e2e_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/billbus/billbus/internal/embedded/docdb"
	"github.com/billbus/billbus/internal/embedded/natsserver"
)

// The test binary is also the servers that the tests kill: a process that is
// started with roleVar set plays that role until it is told to stop.
const (
	roleVar = "BILLBUS_E2E_ROLE"
	addrVar = "BILLBUS_E2E_ADDR"
	dirVar  = "BILLBUS_E2E_DIR"
)

var binaries string // folder of the built programs

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		if err := play(role, os.Getenv(addrVar), os.Getenv(dirVar)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	// These tests wait for other processes most of the time.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(withBinaries(m.Run))
}

func play(role, addr, dir string) error {
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

func withBinaries(run func() int) int {
	dir, err := os.MkdirTemp("", "billbus-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	build := exec.CommandContext(context.Background(), "go", "build", "-o", dir+string(filepath.Separator),
		"github.com/billbus/billbus/cmd/bridge", "github.com/billbus/billbus/cmd/subscriber", "github.com/billbus/billbus/cmd/stripesim")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the programs:", err)
		return 1
	}
	binaries = dir
	return run()
}
