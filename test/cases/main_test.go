package cases_test

import (
	"flag"
	"os"
	"testing"

	"github.com/billbus/billbus/test/kit"
)

var (
	binaries string // folder of the built programs
	seedFlag = flag.Int64("seed", 0, "seed of the random orders; 0 for a random one")
)

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests spend most of their time waiting for other processes.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	const cmd = "github.com/billbus/billbus/cmd/"
	os.Exit(kit.RunWithBinaries(&binaries, m.Run, cmd+"standalone", cmd+"subscriber"))
}
