package arch_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// namesMongoDB are the packages that may use the driver's types, tests included.
var namesMongoDB = []string{"internal/mongostore", "test/cases", "test/chaos/verdict", "test/kit/deploy", "test/kit/judge", "test/mongotest", "test/reliability", "test/e2e", "bench", "bench/floor"}

func TestFewPackagesNameTheMongoDBDriver(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if within(imported, mongoDriver) && !slices.Contains(namesMongoDB, p.path()) {
				t.Errorf("%s or its tests import %s; only %s may", p.path(), imported, strings.Join(namesMongoDB, " and "))
			}
		}
	}
}

// sleeps are the files of tests that may call time.Sleep: kit.Eventually polls, and a
// fake server is slow.
var sleeps = []string{"test/kit/wait.go", "internal/stripesim/send_test.go"}

// TestTestsDoNotSleep also permits time.Sleep with testing/synctest, where it takes no
// time.
func TestTestsDoNotSleep(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, "./...") {
		files := slices.Concat(p.TestGoFiles, p.XTestGoFiles)
		if strings.HasPrefix(p.path(), "test/") {
			files = append(files, p.GoFiles...)
		}
		for _, name := range files {
			source, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			sleeping := bytes.Contains(source, []byte("time"+".Sleep(")) && !bytes.Contains(source, []byte(`"testing/synctest"`))
			if sleeping && !slices.Contains(sleeps, p.path()+"/"+name) {
				t.Errorf("%s/%s sleeps: wait with kit.Eventually, a channel or testing/synctest", p.path(), name)
			}
		}
	}
}

// TestMutantsApply notices a patch that `make mutants` could not apply any more. That takes
// too long to run with every change.
func TestMutantsApply(t *testing.T) {
	t.Parallel()
	patches, err := filepath.Glob(filepath.Join(root(t), "tools", "mutants", "*.patch"))
	if err != nil || len(patches) == 0 {
		t.Fatalf("found no patches: %v", err)
	}
	touch(t)
	for _, patch := range patches {
		text, err := os.ReadFile(patch)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), "git", "apply", "--check", "-")
		cmd.Dir, cmd.Stdin = root(t), bytes.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", filepath.Base(patch), err, out)
		}
	}
}
