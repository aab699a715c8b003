// Package examples_test runs each example as a process of its own beside a NATS
// server, kills it, starts it again, and then checks what it has made of the
// messages: each subscription's state as it truly is, each cancellation noted once.
package examples_test

import (
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// requireVariable is set by CI: there, an example that cannot be run has failed.
const requireVariable = "BILLBUS_REQUIRE_EXAMPLES"

var binaries string // folder of the built examples

func TestMain(m *testing.M) {
	flag.Parse()
	// These tests wait for other processes most of the time.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	os.Exit(withBinaries(m.Run))
}

func withBinaries(run func() int) int {
	dir, err := os.MkdirTemp("", "billbus-examples-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	build := exec.CommandContext(context.Background(), "go", "build", "-o", dir+string(filepath.Separator), "./go-nats", "./go-watermill")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the examples:", err)
		return 1
	}
	binaries = dir
	return run()
}

// lack skips the test, or fails it where everything has to be run.
func lack(t *testing.T, what string) {
	t.Helper()
	if os.Getenv(requireVariable) != "" {
		t.Fatalf("%s, and %s is set: run `make examples`", what, requireVariable)
	}
	t.Skipf("%s: run `make examples`", what)
}

// touch opens every file of the examples: go test remembers which files a test has
// read and runs it again when one has changed, but it does not know what other
// processes read.
func touch(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
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
