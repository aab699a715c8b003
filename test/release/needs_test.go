package release_test

import (
	"os"
	"os/exec"
	"testing"
)

// requireRelease makes tests fail that lack a program or module.
const requireRelease = "BILLBUS_REQUIRE_RELEASE"

// needs skips the test if programs are not installed.
func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			lacks(t, err)
		}
	}
}

// needsTool skips the test if a tool cannot be built, because its modules cannot be downloaded.
func needsTool(t *testing.T, modfile, name string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile="+modfile, "-n", name)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("%s", out)
		lacks(t, err)
	}
}

func lacks(t *testing.T, err error) {
	t.Helper()
	if os.Getenv(requireRelease) != "" {
		t.Fatalf("%v, and %s is set", err, requireRelease)
	}
	t.Skipf("skipped (with %s set, the test fails): %v", requireRelease, err)
}
