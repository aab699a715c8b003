// Package examples_test runs each example as a process, next to a NATS server. It kills
// and restarts the example, and then checks the effects of the messages: the state of
// each subscription is correct, and each cancellation is noted once.
package examples_test

import (
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/billbus/billbus/test/kit"
)

// requireVariable is set by CI: an example that cannot run there fails.
const requireVariable = "BILLBUS_REQUIRE_EXAMPLES"

var binaries string // folder of the built examples

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests spend most of their time waiting for other processes.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(kit.RunWithBinaries(&binaries, m.Run, "./go-nats", "./go-watermill", "./entitlements", "./notifier", "./provisioner", "../cmd/standalone"))
}

// skip skips the test, or fails it if all examples have to run.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv(requireVariable) != "" {
		t.Fatalf("%s, and %s is set: run `make examples`", why, requireVariable)
	}
	t.Skipf("%s: run `make examples`", why)
}

// touch opens every file of the examples, and of other folders. go test caches a result
// until a file that the test has read changes, but it does not know what other processes
// read.
func touch(t *testing.T, others ...string) {
	t.Helper()
	for _, root := range append(others, ".") {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.Name() == "node_modules":
				return fs.SkipDir
			case entry.IsDir():
				return nil
			}
			_, err = os.ReadFile(path)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
