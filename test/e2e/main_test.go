package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/billbus/billbus/test/kit"
	"github.com/billbus/billbus/test/kit/servers"
)

var binaries string // folder of the built programs

func TestMain(m *testing.M) {
	// The test binary is also the servers that the tests kill.
	if served, err := servers.Serve(); served {
		if err != nil {
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
	os.Exit(kit.RunWithBinaries(&binaries, m.Run, cmd+"bridge", cmd+"subscriber", cmd+"stripesim", servers.Package))
}
